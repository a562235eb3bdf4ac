package tunnel

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws/wire"
)

// A proof is without an answer only as long as nothing holds up the proof or its answer: not while it is on its way to the agent,
// while the agent is away, or while the agent still has to send again what was lost.
func TestAProofIsOwedAnAnswerOnlyWhileNothingHoldsItUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		m := newMux(c)
		over := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(over)
			_, _, _ = m.prove(ctx)
		}()
		defer func() { cancel(); <-over }()
		synctest.Wait()
		// owed looks once a second, as a runner does, and returns what it sees last.
		owed := func(seconds int) (asked time.Duration) {
			for range seconds {
				time.Sleep(time.Second)
				asked = m.asked(time.Now()).Truncate(time.Second)
			}
			return asked
		}
		if got := owed(1); got != 0 {
			t.Errorf("a proof on its way is owed an answer for %s", got)
		}
		for _, sent := range written(t, c) {
			mustReceive(t, c, ackFor(t, sent))
		}
		if got := owed(4); got != 3*time.Second {
			t.Errorf("after the agent has taken it in for 4 s it is owed an answer for %s, want 3s from the first look", got)
		}
		c.pauseOn(wire.PausePublication)
		if got := owed(9); got != 0 {
			t.Errorf("while the agent is away it is owed an answer for %s", got)
		}
		c.pauseOn(wire.StartPublication)
		c.missing.Store(7)
		if got := owed(9); got != 0 {
			t.Errorf("behind seven lost messages it is owed an answer for %s", got)
		}
		c.missing.Store(0)
		if got := owed(9); got != 8*time.Second {
			t.Errorf("9 s after all that it is owed an answer for %s, want 8s", got)
		}
	})
}
