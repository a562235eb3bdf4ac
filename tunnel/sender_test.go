package tunnel

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws/wire"
)

// measured is a channel that has measured one round trip.
func measured(t *testing.T, trip time.Duration) *channel {
	t.Helper()
	c := testChannel(nil)
	mustSend(t, c, "x")
	first := written(t, c)
	time.Sleep(trip)
	mustReceive(t, c, ackFor(t, first[0]))
	if _, got := c.figures(); got != trip {
		t.Fatalf("measured %s, want %s", got, trip)
	}
	return c
}

// Karn's rule: the acknowledge of a message that went out twice may be for either copy, so it measures nothing. Taken for the
// second copy's, this one would tell of 10 ms on a path of 100.
func TestAnAcknowledgeOfTwoCopiesMeasuresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := measured(t, 100*time.Millisecond)
		mustSend(t, c, "y")
		first := written(t, c)
		time.Sleep(220 * time.Millisecond) // a few messages under way are sent again after two round trips and 20 ms
		if again := unsent(t, c); !slices.Equal(again, []int64{1}) {
			t.Fatalf("wrote %v, want the second message again", again)
		}
		time.Sleep(10 * time.Millisecond)
		mustReceive(t, c, ackFor(t, first[0]))
		if _, got := c.figures(); got != 100*time.Millisecond {
			t.Errorf("the round trip is %s now, want 100ms still", got)
		}
		mustSend(t, c, "z")
		next := written(t, c)
		time.Sleep(20 * time.Millisecond)
		mustReceive(t, c, ackFor(t, next[0]))
		if _, got := c.figures(); got != 90*time.Millisecond {
			t.Errorf("the round trip is %s after one of 20ms, want 90ms", got)
		}
	})
}

// loseOne sends some messages of which the first is lost and the others are acknowledged after a round trip of 100 ms, and
// waits until the loss is known.
func loseOne(t *testing.T, c *channel) {
	t.Helper()
	mustSend(t, c, "a")
	all := written(t, c)
	time.Sleep(30 * time.Millisecond)
	mustSend(t, c, "b", "c", "d", "e", "f")
	all = append(all, written(t, c)...)
	time.Sleep(100 * time.Millisecond)
	for _, m := range all[1:] {
		mustReceive(t, c, ackFor(t, m))
	}
	time.Sleep(c.out.reorderWindow())
	again := written(t, c)
	if len(again) != 1 || again[0].Sequence != all[0].Sequence {
		t.Fatalf("wrote %v, want message %d again", again, all[0].Sequence)
	}
	mustReceive(t, c, ackFor(t, again[0]))
}

func TestALossShrinksTheWindowAFifthOncePerRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := measured(t, 100*time.Millisecond)
		c.out.window.size = 500_000
		before := c.out.window.size
		for range 3 {
			loseOne(t, c)
			// What is acknowledged meanwhile adds a little, before the loss is known.
			if got, least := c.out.window.size, before*8/10; got < least || got > least+6*(wire.Overhead+1)*8/10 {
				t.Fatalf("a window of %d bytes has %d after a loss, want four fifths", before, got)
			}
			before = c.out.window.size
		}
		if grown := c.out.window.size; grown != c.out.window.threshold {
			t.Errorf("the window of %d bytes grows by all that is acknowledged up to %d", grown, c.out.window.threshold)
		}

		now := time.Now().Add(time.Minute)
		c.out.window.lost(now, 100*time.Millisecond)
		once := c.out.window.size
		c.out.window.lost(now.Add(99*time.Millisecond), 100*time.Millisecond)
		if got := c.out.window.size; got != once {
			t.Errorf("two losses in one round trip shrink the window twice, from %d to %d bytes", once, got)
		}
		for i := range 100 {
			c.out.window.lost(now.Add(time.Duration(i)*time.Second), 100*time.Millisecond)
		}
		if got := c.out.window.size; got != leastWindow {
			t.Errorf("after a hundred losses %d bytes are left, want %d", got, leastWindow)
		}
	})
}
