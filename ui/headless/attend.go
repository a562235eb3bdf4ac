package headless

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
)

// trafficEvery is how often the traffic of a tunnel is printed unless Options.Traffic says otherwise.
const trafficEvery = 10 * time.Second

// attend follows the tunnels: it starts the probes, prints the events and decides when it is over.
func (r *run) attend(ctx, probing context.Context, events <-chan tunnel.Event, endings <-chan tunnel.Ending) error {
	late := time.NewTimer(r.Wait - time.Since(r.started))
	defer late.Stop()
	every := r.Traffic
	if every == 0 {
		every = trafficEvery
	}
	traffic := time.NewTicker(every)
	defer traffic.Stop()
	stop, unprinted := ctx.Done(), r.printer.failed
	if r.program != nil { // a command goes on when nobody reads the events
		unprinted = nil
	}
	for {
		select {
		case <-unprinted:
			return r.unread(ctx)
		case <-stop:
			if r.child == nil {
				return r.stopped(ctx)
			}
			stop = nil // the command is sent the signal; the run ends when the command does
		case code := <-r.child:
			return r.ended(code)
		case <-late.C:
			if err := r.late(); err != nil {
				return err
			}
		case f := <-r.found:
			if err := r.open(f); err != nil { //nolint:contextcheck // a tunnel lives until the engine is closed
				return err
			}
		case <-traffic.C:
			r.traffic()
		case e, more := <-events:
			if !more {
				return errors.New("the engine was closed")
			}
			if err := r.event(probing, e); err != nil {
				return err
			}
		case e := <-endings:
			r.connection(e)
		case p := <-r.probed:
			if err := r.result(ctx, probing, p); err != nil {
				return err
			}
		}
	}
}

// event prints an event of a tunnel, updates the state of the tunnel, and starts a proof where one is due. An error ends the
// run.
func (r *run) event(probing context.Context, e tunnel.Event) error {
	t := r.tracked(e.Tunnel)
	if t == nil {
		t = r.latecomer(probing, e.Tunnel)
	}
	if t == nil {
		return nil
	}
	before := t.state
	if e.Destination == nil {
		t.state = e.State
	}
	if !t.standsAsBefore(before, e) {
		r.printer.event(newStateEvent(e, t))
	}
	if e.Destination != nil {
		return nil
	}
	if e.Err != nil {
		t.trouble = e.Err
	}
	switch {
	case e.State == tunnel.Failed:
		t.lost = &LostError{Tunnel: e.Tunnel, Err: e.Err}
		switch {
		case r.allLost() && r.child == nil:
			return r.firstLost()
		case !t.ready && !t.kept && !r.hope(t.forward.Account):
			return t.lost
		case !t.ready:
			r.settle()
		}
	case e.State == tunnel.Open && t.probing:
		t.moved = t.moved || t.proveAgain(before, e)
	case e.State == tunnel.Open && (!t.ready || t.proveAgain(before, e) && r.probeOf(t).Kind != ProbeNone):
		r.startProof(probing, t)
	}
	return nil
}

// connection counts and prints a connection that has ended.
func (r *run) connection(e tunnel.Ending) {
	if r.tracked(e.Tunnel) == nil {
		return
	}
	r.Board.connection(e.Tunnel, &e.Connection)
	r.Board.missed(e.Tunnel, e.Missed)
	r.printer.skip(int(e.Missed.Connections)) //nolint:gosec // far fewer than an int can count
	r.printer.event(newConnectionEvent(e))
}

// unread returns the error with which a run ends whose events cannot be printed any more. A reader that has had enough, such as
// head(1), ends the run as SIGPIPE would, without a message.
func (r *run) unread(ctx context.Context) error {
	_, err := r.printer.close()
	if !ReaderGone(err) {
		return fmt.Errorf("print events: %w", err)
	}
	err = r.stopped(ctx)
	if _, early := errors.AsType[*StoppedError](err); early {
		return &EndError{Name: "culvert", Code: 128 + int(syscall.SIGPIPE)}
	}
	return err
}

// ended returns the error with which a run ends once its command has ended with code. A lost tunnel counts for more than the
// code, unless Command.KeepGoing is set.
func (r *run) ended(code int) error {
	lost := r.firstLost()
	switch {
	case lost != nil && !r.Command.KeepGoing:
		return fmt.Errorf("while %q ran, which ended with %d: %w", r.Command.Args[0], code, lost)
	case lost != nil:
		r.notices.say("warning: " + lost.Error())
		r.GitHub.Warn(lost.Error(), say.Remedy(lost))
	}
	for _, t := range r.tunnels {
		if unproved := t.unproved(); unproved != nil && lost == nil {
			r.notices.say("warning: " + unproved.Error())
			r.GitHub.Warn(unproved.Error(), say.Remedy(unproved))
		}
	}
	if code != 0 {
		return &EndError{Name: r.Command.Args[0], Code: code}
	}
	return nil
}

// stopped returns the error with which a run ends that is told to stop; nil when its tunnels are as they should be.
func (r *run) stopped(ctx context.Context) error {
	for _, t := range r.tunnels {
		if t.lost != nil && t.ready {
			return t.lost
		}
		if unproved := t.unproved(); unproved != nil {
			return unproved
		}
	}
	if len(r.pending) > 0 {
		return &StoppedError{Doing: "looking for the target", Cause: context.Cause(ctx)}
	}
	for _, t := range r.tunnels {
		if t.lost == nil && !t.late && !t.healthy() {
			return &StoppedError{Doing: fmt.Sprintf("tunnel %d was %s", t.ID(), t.condition()), Cause: context.Cause(ctx)}
		}
	}
	return nil
}

// traffic prints the totals of the tunnels on which something has changed.
func (r *run) traffic() {
	for _, t := range r.tunnels {
		s := t.Stats()
		if s.Sent == t.shown.Sent && s.Received == t.shown.Received && s.Connections == t.shown.Connections {
			continue
		}
		t.shown = s
		r.printer.event(trafficEvent{head: newHead(time.Now(), "traffic", t.ID()), Sent: s.Sent, Received: s.Received, Connections: s.Connections})
	}
}
