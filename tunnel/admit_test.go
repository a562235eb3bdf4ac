package tunnel

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// tap is a context whose end is taken notice of before the call that ends it returns.
type tap struct {
	context.Context //nolint:containedctx // it stands in for one

	over chan struct{}
}

func (c tap) Done() <-chan struct{} { return c.over }
func (tap) Err() error              { return context.Canceled }

// A sender that gives up in the instant in which it is let in passes its turn on: nobody else would wake the next one, as no
// acknowledge is under way that could.
func TestAnUnusedTurnGoesToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		mustSend(t, c, "x")
		c.out.window.size = c.out.inFlight // full
		gone := tap{t.Context(), make(chan struct{})}
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- c.admit(gone) }()
		synctest.Wait()
		go func() { second <- c.admit(t.Context()) }()
		synctest.Wait()

		c.mu.Lock()
		gone.over <- struct{}{} // it has seen that, and waits for the lock
		c.out.window.size++     // room for one
		c.admitNext()
		if n := len(c.waiting); n != 1 {
			t.Errorf("%d senders wait, want the second alone", n)
		}
		c.mu.Unlock()

		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
		select {
		case err := <-second:
			if err != nil {
				t.Errorf("the next one got %v", err)
			}
		case <-time.After(time.Hour):
			t.Error("the next one was never let in, although there is room")
			c.finish(errStopped)
			if err := <-second; !errors.Is(err, errStopped) {
				t.Errorf("at the end it got %v", err)
			}
		}
	})
}

// Senders that wait are let in as far as there is room, each for a message, in the order in which they came.
func TestSendersAreLetInOneMessageAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		mustSend(t, c, "x")
		c.out.window.size = c.out.inFlight
		let := make(chan int, 8)
		for i := range 4 {
			go func() {
				if c.admit(t.Context()) == nil {
					let <- i
				}
			}()
			synctest.Wait()
		}
		for _, want := range []struct{ room, in int }{{0, 0}, {1024, 1}, {1025, 2}, {1, 1}} {
			c.mu.Lock()
			c.out.window.size = c.out.inFlight + want.room
			before := len(c.waiting)
			c.admitNext()
			after := len(c.waiting)
			c.mu.Unlock()
			if before-after != want.in {
				t.Errorf("%d bytes let %d in, want %d", want.room, before-after, want.in)
			}
			synctest.Wait()
		}
		if len(let) != 4 {
			t.Fatalf("%d were let in, want all 4", len(let))
		}
		seen := 0
		for range 4 {
			seen |= 1 << <-let
		}
		if seen != 15 {
			t.Errorf("let in were %b", seen)
		}
	})
}
