package tunnel

import (
	"testing"
	"time"
)

// openLane is a lane that takes connections.
func openLane() *lane {
	l := stood(standing{}).lane
	l.opening = newHandshake(Endpoint{Port: 80})
	close(l.opening.complete)
	l.attached.Store(true)
	return l
}

// Each of these keeps new connections away from a lane, whether a client waits for one (allot) or culvert asks something of its
// own (place): they go to the other lane, although that one is busy, or wait.
func TestALaneInTroubleGetsNoNewConnections(t *testing.T) {
	for _, c := range []struct {
		name  string
		where func(*lane)
	}{
		{"slow", func(l *lane) { l.slow.Store(true) }},
		{"hung", func(l *lane) { l.hung.Store(true) }},
		{"its agent is away", func(l *lane) { l.away.Store(true) }},
		{"its agent is silent", func(l *lane) { l.silent.Store(true) }},
		{"it sees its connections out", func(l *lane) { l.draining.Store(true) }},
		{"its far end is not proved", func(l *lane) { l.trial.Store(true) }},
		{"it has no socket", func(l *lane) { l.attached.Store(false) }},
		{"it has not shaken hands", func(l *lane) { l.opening = newHandshake(Endpoint{Port: 80}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad, well := openLane(), openLane()
			if !bad.usable() || leastBusy([]*lane{bad}) != bad {
				t.Fatal("a lane without trouble gets no connections")
			}
			c.where(bad)
			well.streams.Store(1)
			now := time.Now()
			well.bulkAt.Store(now.UnixNano()) // it downloads: the other one would be better by far
			if bad.usable() {
				t.Error("the lane gets connections")
			}
			if got := leastBusy([]*lane{bad, well}); got != well {
				t.Error("a question is put to it")
			}
			if got := leastBusy([]*lane{bad}); got != nil {
				t.Error("a question is put to it where it is the only one")
			}
			tn := &Tunnel{engine: &Engine{}, lanes: []*lane{bad, well}, pressed: make(chan struct{}, 1), later: time.NewTimer(time.Hour)}
			defer tn.later.Stop()
			w := tn.join(true)
			tn.allot(now.Add(freshFor))
			if got := w.lane(); got != well {
				t.Error("a connection is placed on it")
			}
			tn.lanes = []*lane{bad}
			w = tn.join(true)
			tn.allot(now.Add(freshFor))
			if got := w.lane(); got != nil {
				t.Error("a connection is placed on it where it is the only one")
			}
		})
	}
}
