package tunnel_test

import (
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// renewing is a world whose sockets are renewed when they are as old as that, or a little older.
func renewing(t *testing.T, after time.Duration, faults func(*emulator.Faults)) *faultWorld {
	t.Helper()
	w := newFaultWorld(t, tunnel.Options{Lanes: 1}, func(f *emulator.Faults) {
		f.Pacing = time.Millisecond
		if faults != nil {
			faults(f)
		}
	})
	w.engine.Renew(after)
	return w
}

const resumeCall = "ResumeSession"

// undisturbed fails the test if the tunnel has shown anything but its start.
func (w *faultWorld) undisturbed(tn *tunnel.Tunnel) {
	w.Helper()
	if got := w.path(tn); got != "starting handshaking open" {
		w.Errorf("the tunnel went %q", got)
	}
	if n := tn.Stats().Retries; n > 0 {
		w.Errorf("%d retries are shown", n)
	}
}

// The hourly close is foreseen: in a quiet second another socket takes the session over, and nobody notices.
func TestASocketIsRenewedInAQuietSecond(t *testing.T) {
	w := renewing(t, 1500*time.Millisecond, nil)
	tn := w.open(tunnel.Spec{})
	session := tn.Link().Session
	conn := w.dial(tn)
	for range 3 { // words in between, after which it is quiet for long enough
		if err := echoed(conn, 1, 3000); err != nil {
			t.Fatal(err)
		}
		before := w.account.Calls(resumeCall)
		need.Eventually(t, "a renewal", func() bool { return w.account.Calls(resumeCall) > before })
	}
	if err := echoed(conn, 2, 3000); err != nil {
		t.Fatal(err)
	}
	if got := tn.Link().Session; got != session {
		t.Errorf("the session is now %s, want %s", got, session)
	}
	w.undisturbed(tn)
}

// Where no second is quiet it is renewed all the same, before the service closes it.
func TestABusySocketIsRenewedBeforeItsHour(t *testing.T) {
	w := renewing(t, 3*time.Second, func(f *emulator.Faults) { f.ClientLeg.Every = 5 * time.Second }) // two seconds are enough on a busy machine
	tn := w.open(tunnel.Spec{})
	enough := make(chan struct{})
	failed := make(chan error, 2)
	for _, one := range []trade{download, upload} {
		conn := w.dial(tn)
		go func() {
			_, err := keep(conn, one, 200_000, enough)
			failed <- err
		}()
	}
	need.Eventually(t, "two renewals", func() bool { return w.account.Calls(resumeCall) >= 2 })
	close(enough)
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	w.undisturbed(tn)
}

func TestTheOldSocketStaysWhereNoNewOneComes(t *testing.T) {
	for name, fault := range map[string]func(*emulator.Faults){
		"resume denied": func(f *emulator.Faults) { f.ResumeWith = emulator.ResumeDenied },
		"upgrade refused": func(f *emulator.Faults) {
			f.API = []emulator.APIFault{{Action: "ssmmessages:OpenDataChannel", Kind: emulator.Deny}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := renewing(t, 1500*time.Millisecond, nil)
			tn := w.open(tunnel.Spec{})
			w.account.Fault(fault)
			conn := w.dial(tn)
			for range 3 {
				if err := echoed(conn, 1, 3000); err != nil {
					t.Fatal(err)
				}
				time.Sleep(1200 * time.Millisecond)
			}
			need.Eventually(t, "an attempt", func() bool { return w.account.Calls(resumeCall) > 0 })
			if err := download(conn, 2, 50_000); err != nil {
				t.Fatal(err)
			}
			w.undisturbed(tn)
		})
	}
}

// A service that goes on with the first socket would leave a client that had closed it without any.
func TestTheOldSocketStaysWhereTheServiceGoesOnWithIt(t *testing.T) {
	skipInShort(t)
	const after = 4 * time.Second
	w := renewing(t, after, func(f *emulator.Faults) { f.FirstSocket = true })
	tn := w.open(tunnel.Spec{})
	conn := w.dial(tn)
	slowest, usual := time.Duration(0), time.Duration(0) // usual is the slowest before anything is attempted
	for began := time.Now(); time.Since(began) < 9*time.Second; time.Sleep(20 * time.Millisecond) {
		asked := time.Now()
		if err := echoed(conn, 1, 1000); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(asked))
		if time.Since(began) < after/2 {
			usual = slowest
		}
	}
	if w.account.Calls(resumeCall) == 0 {
		t.Error("nothing was attempted")
	}
	if slowest > 1500*time.Millisecond+2*usual {
		t.Errorf("an answer has taken %s, before the attempt %s", slowest, usual)
	}
	w.undisturbed(tn)
}
