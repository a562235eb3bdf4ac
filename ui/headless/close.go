package headless

import (
	"context"
	"fmt"
	"time"

	"culvert/tunnel"
)

const (
	closeTimeout = 5 * time.Second // for terminating the sessions
	drainTimeout = time.Second     // for the events of that
)

// close ends the tunnels, prints what that brings about and the end of each. Its own time limit holds, as ctx may be
// over already.
func (r *run) close(ctx context.Context, events <-chan tunnel.Event, endings <-chan tunnel.Ending) error {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.Engine.Close(closing) }()
	late := time.NewTimer(closeTimeout + drainTimeout)
	defer late.Stop()
	for events != nil || endings != nil {
		select {
		case e, more := <-events: // closed by the engine when it is done, as the other one
			if !more {
				events = nil
				continue
			}
			r.lastEvent(e)
		case e, more := <-endings:
			if !more {
				endings = nil
				continue
			}
			r.connection(e)
		case <-late.C:
			events, endings = nil, nil
		}
	}
	err := <-done
	r.traffic()
	for _, t := range r.tunnels {
		e := closedEvent{head: newHead(time.Now(), "closed", t.ID()), Reason: "stopped"}
		if t.lost != nil {
			e.Reason = "lost"
			e.Error, e.Remedy = words(t.lost)
		}
		r.printer.event(e)
	}
	if err != nil {
		return fmt.Errorf("terminate the sessions: %w", err)
	}
	return nil
}

// lament says which sessions could not be terminated.
func (r *run) lament() {
	left := r.Engine.Unended()
	for _, u := range left {
		r.notices.say("warning: " + u.Error() + "; " + u.Remedy())
		r.GitHub.Warn(u.Error(), u.Remedy())
	}
	r.Board.lament(left)
}

// lastEvent prints an event that arrives while everything is being closed: nothing is decided by it any more.
func (r *run) lastEvent(e tunnel.Event) {
	if t := r.tracked(e.Tunnel); t != nil {
		if e.Destination == nil {
			t.state = e.State
		}
		r.printer.event(newStateEvent(e, t))
	}
}
