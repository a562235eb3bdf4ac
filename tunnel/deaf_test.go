package tunnel

import (
	"testing"
	"testing/synctest"
	"time"
)

// From when on an agent was deaf decides which connections are opened anew elsewhere: too early, and the far end gets a request
// twice; too late, and connections are lost that were not.
func TestSinceWhenAnAgentIsDeaf(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	at := func(milliseconds int) time.Time { return start.Add(time.Duration(milliseconds) * time.Millisecond) }
	message := func(sent, tries int, acked bool) *outgoing {
		return &outgoing{firstSent: at(sent), lastSent: at(sent), tries: tries, acked: acked}
	}
	const far = 1_000_000
	lately := at(0).Add(firstTimeout) // more than heardLately
	for _, c := range []struct {
		name    string
		unacked []*outgoing
		away    time.Duration
		want    time.Time
	}{
		{"nothing is under way", nil, 0, lately},
		{"sent once", []*outgoing{message(0, 1, false)}, 0, lately},
		{"sent twice: two timeouts later", []*outgoing{message(-700, 2, false)}, 0, at(100)},
		{"but no later than else", []*outgoing{message(far, 2, false)}, 0, lately},
		{"behind one that was acknowledged", []*outgoing{message(-900, 1, true), message(-700, 2, false)}, 0, at(100)},
		{"the repetition of an acknowledged one says nothing", []*outgoing{message(-700, 2, true), message(0, 1, false)}, 0, lately},
		{"nor does that of a later one", []*outgoing{message(0, 1, false), message(-700, 2, false)}, 0, lately},
		{"away: a round trip before that was said", nil, 4 * time.Second, at(10_000 - 4000 - 30)},
		{"away, but deaf before that", []*outgoing{message(-700, 2, false)}, 4 * time.Second, at(100)},
	} {
		ch := testChannel(nil)
		ch.heard.Store(start.UnixNano())
		ch.out.unacked = c.unacked
		ch.out.window.measured(30 * time.Millisecond)
		if got := ch.deafSince(c.away, at(10_000)); !got.Equal(c.want) {
			t.Errorf("%s: %s after its last word, want %s", c.name, got.Sub(start), c.want.Sub(start))
		}
	}
}

func TestWhatADeafAgentHasNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		mustSend(t, c, "a", "b", "c")
		all := written(t, c)
		sent := time.Now()
		before, after := sent.Add(-time.Millisecond), sent.Add(time.Millisecond)
		mustReceive(t, c, ackFor(t, all[0]))
		mustSend(t, c, "d") // not written
		for _, x := range []struct {
			name  string
			first int64
			deaf  time.Time
			want  bool
		}{
			{"acknowledged", 0, before, false},
			{"sent when it was deaf", 1, before, true},
			{"sent in the same instant", 1, sent, false},
			{"sent before", 1, after, false},
			{"never sent", 3, after, true},
			{"not even queued", 4, after, true},
		} {
			if got := c.unheard(x.first, x.deaf); got != x.want {
				t.Errorf("%s: unheard %t, want %t", x.name, got, x.want)
			}
		}
		mustReceive(t, c, ackFor(t, all[2]))
		if c.unheard(1, before) {
			t.Error("unheard although a later message was acknowledged")
		}
		if !c.unheard(3, before) {
			t.Error("heard although only earlier messages were acknowledged")
		}
	})
}
