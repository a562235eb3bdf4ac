package tunnel

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws/wire"
)

func publication(t *testing.T, kind wire.Type) []byte {
	t.Helper()
	return encode(t, wire.Message{Type: kind, Schema: 1, Created: 1, ID: newID(), Body: []byte("{}")})
}

// unsent are the sequence numbers of the data that a channel wants to write now.
func unsent(t *testing.T, c *channel) []int64 {
	t.Helper()
	_, data := sequences(t, written(t, c))
	return data
}

func mustSend(t *testing.T, c *channel, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := c.push(wire.Output, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDataIsHeldBackWhileTheAgentIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		var told []bool
		c.onPause = func(paused bool) { told = append(told, paused) }
		mustSend(t, c, "a", "b")
		if got := unsent(t, c); !slices.Equal(got, []int64{0, 1}) {
			t.Fatalf("wrote %v before the pause", got)
		}
		mustReceive(t, c, publication(t, wire.PausePublication), publication(t, wire.PausePublication))
		mustSend(t, c, "c")
		if got := unsent(t, c); len(got) != 0 || !c.paused() {
			t.Fatalf("wrote %v although the agent is away", got)
		}
		time.Sleep(time.Second)
		if got := unsent(t, c); !slices.Equal(got, []int64{0}) {
			t.Fatalf("wrote %v a second later, want the oldest alone", got)
		}
		mustReceive(t, c, publication(t, wire.StartPublication))
		if got := unsent(t, c); !slices.Equal(got, []int64{1, 2}) {
			t.Errorf("wrote %v when the agent was back, want what is lost and what was held back", got)
		}
		if !slices.Equal(told, []bool{true, false}) {
			t.Errorf("told of %v, want one pause and its end", told)
		}
	})
}

// A pause of which nobody tells the end must not stop a session.
func TestAPauseEndsWithWhatIsHeardOfTheAgent(t *testing.T) {
	for _, name := range []string{"an acknowledge", "data", "an acknowledge on the next socket"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := testChannel((&collected{}).deliver)
				mustReceive(t, c, publication(t, wire.PausePublication))
				mustSend(t, c, "a", "b")
				first := written(t, c)
				if len(first) != 1 || first[0].Sequence != 0 {
					t.Fatalf("wrote %v, want the first message alone, for the agent to answer", first)
				}
				switch name {
				case "an acknowledge":
					mustReceive(t, c, ackFor(t, first[0]))
				case "data":
					mustReceive(t, c, fromAgent(t, 0, "x"))
				default:
					c.attach(time.Now())
					again := written(t, c)
					if len(again) != 1 || again[0].Sequence != 0 || !c.paused() {
						t.Fatalf("wrote %v on the next socket, want the first message alone, for the agent to answer", again)
					}
					mustReceive(t, c, ackFor(t, again[0]))
				}
				if got := unsent(t, c); c.paused() || !slices.Contains(got, 1) {
					t.Errorf("wrote %v, want what was held back", got)
				}
			})
		})
	}
}

// An agent that came back while there was no socket to say so is found by its answer, however often that gets lost.
func TestTheAgentIsAskedEachSecondInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		mustSend(t, c, "a", "b")
		written(t, c)
		mustReceive(t, c, publication(t, wire.PausePublication))
		for range 100 { // so that it would be sent again after five seconds
			time.Sleep(100 * time.Millisecond)
			unsent(t, c)
		}
		c.attach(time.Now())
		began, last := time.Now(), time.Now()
		asked := 0
		for time.Since(began) < 10*time.Second {
			if got := unsent(t, c); slices.Equal(got, []int64{0}) {
				last = time.Now()
				asked++
			} else if len(got) > 0 {
				t.Fatalf("wrote %v, want the oldest alone", got)
			}
			if time.Since(last) > feelEvery+50*time.Millisecond {
				t.Fatalf("the agent was last asked %s ago", time.Since(last))
			}
			time.Sleep(50 * time.Millisecond)
		}
		if asked > 11 {
			t.Errorf("the agent was asked %d times in ten seconds", asked)
		}
	})
}

func TestTheOldestMessageGoesOutFirstInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		mustSend(t, c, "a", "b", "c")
		all := written(t, c)
		mustReceive(t, c, ackFor(t, all[2])) // the others look lost soon, the newer of them first
		c.mu.Lock()
		c.out.unacked[1].lost, c.out.unacked[0].lost = true, true
		c.out.again = []*outgoing{c.out.unacked[1], c.out.unacked[0]}
		c.mu.Unlock()
		mustReceive(t, c, publication(t, wire.PausePublication))
		if got := unsent(t, c); !slices.Equal(got, []int64{0}) {
			t.Errorf("wrote %v, want the oldest alone", got)
		}
		mustReceive(t, c, publication(t, wire.StartPublication))
		if got := unsent(t, c); !slices.Equal(got, []int64{1}) {
			t.Errorf("wrote %v after the pause", got)
		}
	})
}
