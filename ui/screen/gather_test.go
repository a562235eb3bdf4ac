package screen

import (
	"testing"
	"testing/synctest"
	"time"

	"culvert/tunnel"
)

// Each batch costs a drawing of the whole screen.
func TestEndsOfConnectionsComeInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endings := make(chan tunnel.Ending)
		go func() {
			defer close(endings)
			for range 500 {
				endings <- tunnel.Ending{}
				time.Sleep(time.Millisecond)
			}
		}()
		var batches, all int
		for batch := gather(endings); batch != nil; batch = gather(endings) {
			batches++
			all += len(batch)
		}
		if all != 500 || batches > 7 {
			t.Errorf("got %d ends in %d batches, want 500 in about 5", all, batches)
		}
	})
}
