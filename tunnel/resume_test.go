package tunnel_test

import (
	"fmt"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// A service that closes every socket it has taken is not asked in a circle, whether or not something came through it.
func TestAServiceThatClosesAtOnceIsNotAskedInACircle(t *testing.T) {
	t.Parallel()
	skipInShort(t)
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprintf("busy %t", busy), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, need.Server(t, answer), tunnel.Options{Lanes: 1}, func(f *emulator.Faults) { f.Pacing = time.Millisecond })
			tn := w.open(tunnel.Spec{})
			if busy {
				if _, err := w.dial(tn).Write(order(orderFlood, 1, 0)); err != nil {
					t.Fatal(err)
				}
				need.Eventually(t, "bytes", func() bool { return tn.Stats().Received > 50_000 })
			}
			w.account.Fault(func(f *emulator.Faults) { f.ClientLeg.Every = 100 * time.Millisecond })
			time.Sleep(5 * time.Second)
			// Six at once at the most, and one more in three seconds; the others after rests that grow.
			if calls := w.account.Calls(resumeCall); calls < 3 || calls > 18 {
				t.Errorf("busy %t: resumed %d times in five seconds", busy, calls)
			}
			t.Logf("busy %t: %d calls", busy, w.account.Calls(resumeCall))
			if err := tn.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
