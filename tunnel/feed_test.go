package tunnel

import (
	"testing"
	"time"
)

// A reader who is away costs a bounded number of events: none of the states, the last connections, the sums of the others.
func TestAWatcherWhoIsAwayMissesOnlyConnectionsAndIsToldHowMany(t *testing.T) {
	const many, each = 300_000, 3
	var f feed
	events := f.watch(t.Context())
	f.publish(Event{Tunnel: 1, State: Starting})
	f.publish(Event{Tunnel: 2, State: Starting})
	for i := range many {
		if i%1000 == 0 {
			f.publish(Event{Tunnel: 1, State: Open, At: time.Unix(int64(i), 0)})
		}
		f.publish(Event{Tunnel: ID(1 + i%2), Ended: &Connection{ID: uint64(i), Received: each, Sent: 2 * each}})
	}
	f.publish(Event{Tunnel: 2, State: Failed})
	f.mu.Lock()
	for w := range f.watchers {
		for id, of := range w.ended {
			if n := len(of.last); n > maxEnded {
				t.Errorf("%d ended connections of tunnel %d wait", n, id)
			}
		}
	}
	f.mu.Unlock()
	f.close()

	states, single := 0, 0
	var missed Missed
	var last uint64
	var final Event
	for e := range events {
		final = e
		if e.Ended == nil {
			states++
			continue
		}
		if e.Ended.ID < last {
			t.Fatalf("connection %d comes after %d", e.Ended.ID, last)
		}
		last = e.Ended.ID
		single++
		missed.Connections += e.Missed.Connections
		missed.Received += e.Missed.Received
		missed.Sent += e.Missed.Sent
	}
	if want := many/1000 + 3; states != want {
		t.Errorf("got %d states, want %d", states, want)
	}
	if final.State != Failed {
		t.Errorf("the last event is %+v, want the last state", final)
	}
	if got := uint64(single) + missed.Connections; got != many || missed.Received != each*missed.Connections || missed.Sent != 2*missed.Received {
		t.Errorf("got %d connections and %+v, want %d in all", single, missed, many)
	}
	if single > 4*maxEnded { // of two tunnels, those that were taken before and those that waited
		t.Errorf("got %d connections one by one, want the last ones alone", single)
	}
}
