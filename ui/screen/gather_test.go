package screen

import (
	"testing"
	"testing/synctest"
	"time"

	"culvert/tunnel"
)

// Each batch costs a drawing of the whole screen.
func TestEndsOfConnectionsComeInBatchesAndStatesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan tunnel.Event)
		go func() {
			defer close(events)
			for range 500 {
				events <- tunnel.Event{Ended: &tunnel.Connection{}}
				time.Sleep(time.Millisecond)
			}
			events <- tunnel.Event{State: tunnel.Failed}
			events <- tunnel.Event{State: tunnel.Closed}
		}()
		var batches, all int
		for batch := gather(events); batch != nil; batch = gather(events) {
			batches++
			all += len(batch)
			for _, e := range batch[:len(batch)-1] {
				if e.Ended == nil {
					t.Errorf("%s waits for connections to end", e.State)
				}
			}
		}
		if all != 502 || batches > 8 {
			t.Errorf("got %d events in %d batches, want 502 in about 7", all, batches)
		}
	})
}
