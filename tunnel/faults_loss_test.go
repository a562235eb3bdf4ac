package tunnel_test

import (
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
	for _, c := range []struct {
		losses int
		most   time.Duration
	}{{1, 500 * time.Millisecond}, {3, 2 * time.Second}} {
		var more time.Duration
		for range 3 { // a busy machine makes the gaps longer
			if more = lossy(t, c.losses) - lossy(t, 0); more <= c.most {
				break
			}
		}
		if more > c.most {
			t.Errorf("%d losses cost %s, want at most %s", c.losses, more, c.most)
		}
	}
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
