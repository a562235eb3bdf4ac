package tunnel_test

import (
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// What an agent has lost it repairs one message in 100 ms, and all that comes after waits for that: a new connection goes
// through another session meanwhile, where the tunnel may have one.
func TestNewConnectionsDoNotWaitForARepair(t *testing.T) {
	skipInShort(t)
	for _, c := range []struct {
		name     string
		lanes    int
		sessions int
		within   time.Duration
	}{
		{"with room for another session", 0, 2, 1500 * time.Millisecond},
		{"without", 1, 1, 8 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newFaultWorld(t, tunnel.Options{Lanes: c.lanes}, func(f *emulator.Faults) { f.Pacing = time.Millisecond })
			tn, machine := w.openTimed(tunnel.Spec{})
			first := w.dial(tn)
			done := make(chan error, 1)
			go func() { done <- download(first, 1, 700_000) }()
			need.Eventually(t, "bytes", func() bool { return tn.Stats().Received > 50_000 })
			w.account.Fault(func(f *emulator.Faults) { f.Down.Data.DropNext = 50 })
			need.Eventually(t, "the loss", func() bool { return w.account.Faults().Down.Data.DropNext == 0 })
			time.Sleep(100 * time.Millisecond) // something has come after it
			began := time.Now()
			if err := echoed(w.dial(tn), 2, 1000); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > c.within+machine {
				t.Errorf("a new connection has waited %s, want at most %s and a session's opening", took, c.within)
			}
			if n := len(w.account.Sessions()); (n > 1) != (c.sessions > 1) { // with room for others one is left empty for whoever comes next
				t.Errorf("%d sessions, want %d", n, c.sessions)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
