package tunnel_test

import (
	"fmt"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// A row: lost sockets in a download, at 20 ms there and back. The agent goes on sending into the gap, and what it loses it repairs
// one message in 100 ms, so what a loss costs is how long the gap was.
func TestFaultLostSocketsCostADownloadLittle(t *testing.T) {
	skipInShort(t)
	bounds := map[int]time.Duration{1: 500 * time.Millisecond, 3: 2 * time.Second}
	var missed []string
	for range 3 { // a busy machine makes the gaps longer
		var took [4]time.Duration
		t.Run("downloads", func(t *testing.T) {
			for _, losses := range []int{0, 1, 3} { // at the same time, so that the machine is as busy for each
				t.Run(fmt.Sprintf("%d losses", losses), func(t *testing.T) {
					t.Parallel()
					took[losses] = lossy(t, losses)
				})
			}
		})
		missed = nil
		for losses, most := range bounds {
			if more := took[losses] - took[0]; more > most {
				missed = append(missed, fmt.Sprintf("%d losses cost %s, want at most %s", losses, more, most))
			}
		}
		if len(missed) == 0 || t.Failed() {
			return
		}
	}
	t.Error(missed)
}

// lossy is how long a download takes whose socket is lost so often, in as many seconds.
func lossy(t *testing.T, losses int) time.Duration {
	t.Helper()
	w := newWorld(t, need.Server(t, answer), tunnel.Options{Lanes: 1}, func(f *emulator.Faults) {
		f.Pacing, f.Delay = time.Millisecond, 10*time.Millisecond
	})
	tn := w.open(tunnel.Spec{})
	conn := w.dial(tn)
	if err := echoed(conn, 1, 1000); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- download(conn, 2, 2_500_000) }()
	for range losses {
		time.Sleep(900 * time.Millisecond)
		w.account.CloseClientLeg(1000)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	_ = conn.Close()
	t.Logf("%d losses: %s", losses, took.Round(time.Millisecond))
	return took
}

// A session that is being resumed outlives the news that a policy allows no other one: it is carrying connections, and comes back.
func TestASessionBeingResumedOutlivesTheDenialOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, answer), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{Lanes: 2})
	w.sessions("both", 2)
	conn := w.dial(tn)
	if err := echoed(conn, 1, 50_000); err != nil {
		t.Fatal(err)
	}
	all := w.account.Sessions()
	carrying, other := all[0], all[1]
	if other.Up > carrying.Up {
		carrying, other = other, carrying
	}
	w.account.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:ResumeSession", Kind: emulator.ServerError}, {Action: "ssm:StartSession", Kind: emulator.Deny}}
	})
	w.account.CutClientLeg(carrying.ID)
	w.account.KillSession(other.ID, "")
	refused := w.account.Calls("StartSession")
	need.Eventually(t, "another session to be denied twice", func() bool {
		if state, err := tn.State(); state.Final() {
			t.Fatalf("the tunnel has ended with %v", err)
		}
		return w.account.Calls("StartSession") > refused+1
	})
	w.account.Fault(func(f *emulator.Faults) { f.API = nil })
	if err := echoed(conn, 2, 50_000); err != nil {
		t.Errorf("the connection of the session that was resumed: %v", err)
	}
}
