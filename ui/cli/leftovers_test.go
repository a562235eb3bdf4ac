package cli

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// What AWS keeps waiting must not hold up the end of a process: culvert down would kill it.
func TestTheEndDoesNotWaitLongForWhatGoesOnBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acc := &account{}
		for range 5 {
			acc.beside(t.Context(), func(ctx context.Context) { <-ctx.Done() })
		}
		begin := time.Now()
		acc.close()
		if took := time.Since(begin); took != leaveWithin {
			t.Errorf("closing took %s, want %s for all together", took, leaveWithin)
		}
		quick := &account{}
		quick.beside(t.Context(), func(context.Context) { time.Sleep(time.Second) })
		begin = time.Now()
		quick.close()
		if took := time.Since(begin); took != time.Second {
			t.Errorf("closing took %s, want as long as it lasts", took)
		}
	})
}
