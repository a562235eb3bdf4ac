package tunnel

import (
	"testing"
	"time"
)

// A reader who is away misses no state, and costs a bounded number of ended connections: the last ones, and the sums of the
// others.
func TestAWatcherWhoIsAwayMissesOnlyConnectionsAndIsToldHowMany(t *testing.T) {
	const many, each = 300_000, 3
	e := New(Options{})
	events, ends := e.Watch(t.Context()), e.Endings(t.Context())
	for i := range many {
		if i%1000 == 0 {
			e.states.publish(Event{Tunnel: 1, State: Open, At: time.Unix(int64(i), 0)})
		}
		e.endings.publish(Ending{Tunnel: ID(1 + i%2), Connection: Connection{ID: uint64(i), Received: each, Sent: 2 * each}})
	}
	e.states.publish(Event{Tunnel: 2, State: Failed})
	e.endings.mu.Lock()
	for w := range e.endings.watchers {
		for id, of := range w.queue.(*endings).of {
			if n := len(of.last); n > maxEndings {
				t.Errorf("%d ended connections of tunnel %d wait", n, id)
			}
		}
	}
	e.endings.mu.Unlock()
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	states := 0
	var final Event
	for final = range events {
		states++
	}
	if want := many/1000 + 1; states != want || final.State != Failed {
		t.Errorf("got %d states, the last one %s; want %d that end with %s", states, final.State, want, Failed)
	}
	single := 0
	var missed Missed
	var last uint64
	for e := range ends {
		if e.Connection.ID < last {
			t.Fatalf("connection %d comes after %d", e.Connection.ID, last)
		}
		last = e.Connection.ID
		single++
		missed.Connections += e.Missed.Connections
		missed.Received += e.Missed.Received
		missed.Sent += e.Missed.Sent
	}
	if got := uint64(single) + missed.Connections; got != many || missed.Received != each*missed.Connections || missed.Sent != 2*missed.Received {
		t.Errorf("got %d connections and %+v, want %d in all", single, missed, many)
	}
	if single > 4*maxEndings { // of two tunnels, those that were taken before and those that waited
		t.Errorf("got %d connections one by one, want the last ones alone", single)
	}
}
