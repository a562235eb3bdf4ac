package headless

import (
	"context"
	"fmt"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
)

const (
	closeTimeout = 5 * time.Second // for Engine.Close to terminate the sessions
	drainTimeout = time.Second     // for the events of the end to arrive after that
)

// close ends the tunnels, and prints the events of that and a closed event for each tunnel. It has a time limit of its own, as
// ctx may be over already.
func (r *run) close(ctx context.Context, events <-chan tunnel.Event, endings <-chan tunnel.Ending) error {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.Engine.Close(closing) }()
	late := time.NewTimer(closeTimeout + drainTimeout)
	defer late.Stop()
	for events != nil || endings != nil {
		select {
		case e, more := <-events: // the engine closes both channels at its end
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
		r.regret(u)
	}
	r.Board.lament(left)
}

// regret warns of what was not done as the run ended, on GitHub with an annotation.
func (r *run) regret(err error) {
	r.notices.say("warning: " + WithRemedy(err))
	r.GitHub.Warn(err.Error(), say.Remedy(err))
}

// lastEvent prints an event that arrives while everything is being closed. It decides nothing any more.
func (r *run) lastEvent(e tunnel.Event) {
	if t := r.tracked(e.Tunnel); t != nil {
		if e.Destination == nil {
			t.state = e.State
		}
		r.printer.event(newStateEvent(e, t))
	}
}
