// Package headless is culvert's face for scripts and CI: it opens tunnels, proves them ready and prints one line or JSON
// object per event until it is told to stop.
package headless

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

// Forward is one tunnel to open: what to look for, and a Spec whose Target is still to be found.
type Forward struct {
	Query aws.Query
	Spec  tunnel.Spec
	Probe Probe // instead of Options.Probe, unless it is the zero Probe
}

// Options say what to open and where to print. Client, Engine, Forwards, Wait, Out and Err are needed.
type Options struct {
	Client   *aws.Client
	Engine   *tunnel.Engine // Run closes it
	Forwards []Forward
	Wait     time.Duration // until everything is proved ready
	Probe    Probe
	Roots    *x509.CertPool // trusted by a URL probe; nil are the system's
	Out      io.Writer      // events
	Err      io.Writer      // what is being waited for
	JSON     bool
	Color    bool
	Traffic  time.Duration // between traffic events; 0 is 10 s
	Ready    func([]*tunnel.Tunnel)
	Command  *Command // runs once everything is ready, and ends the run
	GitHub   *GitHub  // nil outside of GitHub Actions
	Board    *Board   // shows the run to others; nil when nobody looks
}

const (
	trafficEvery = 10 * time.Second
	closeTimeout = 5 * time.Second // for terminating the sessions
	drainTimeout = time.Second     // for the events of that
)

// Run opens the forwards and stays until ctx ends, every tunnel is lost, or the command ends. It returns nil when it was
// told to stop and all tunnels were healthy, or the command ended with 0; else *StoppedError (told to stop too early),
// *UnreadyError, *LostError, *CommandError, *TemplateError, *EndError, or what kept it from starting. The engine is closed
// and its sessions are terminated in every case.
func Run(ctx context.Context, o Options) error {
	if o.Board == nil {
		o.Board = &Board{}
	}
	r := &run{
		Options: o, printer: printer{out: o.Out, json: o.JSON, color: o.Color}, notices: &notices{out: o.Err}, started: time.Now(),
	}
	o.Board.begin(r.started, o.Client)
	watched, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	events := o.Engine.Watch(watched)

	probing, stopProbing := context.WithCancel(ctx)
	r.probed = make(chan probed)
	unfold := r.fold("culvert: open the tunnels")
	r.unfold = unfold
	err := r.prepare()
	if err == nil {
		err = r.open(ctx)
	}
	if err == nil {
		err = r.attend(ctx, probing, events)
	}
	stopProbing()
	r.probes.Wait()
	o.Board.ending()
	if o.Command != nil {
		unfold()
		unfold = r.fold("culvert: close the tunnels")
	}
	closing := r.close(ctx, events)
	unfold()
	if err == nil {
		err = closing
	}
	o.Board.ended(err)
	r.summarize(err)
	return err
}

// fold groups what is printed on GitHub, where that is text.
func (r *run) fold(title string) (unfold func()) {
	if r.JSON {
		return func() {}
	}
	return r.GitHub.Group(r.Out, title)
}

// prepare finds what would be in vain before anything is opened.
func (r *run) prepare() error {
	if err := r.GitHub.Check(); err != nil {
		return err
	}
	if r.Command == nil {
		return nil
	}
	program, err := r.Command.prepared(len(r.Forwards))
	r.program = program
	return err
}

// summarize writes the step's summary on GitHub.
func (r *run) summarize(err error) {
	if r.GitHub == nil {
		return
	}
	how := "ended as it should"
	if err != nil {
		how = "ended: " + err.Error()
	}
	r.GitHub.Summarize(Summary("culvert", how, r.Board.Set(), true))
}

// run is one call of Run. Its fields belong to the goroutine of that call, but for probed and probes.
type run struct {
	Options

	printer printer
	notices *notices
	started time.Time
	tunnels []*tracked // tunnel ID n at n-1
	probed  chan probed
	probes  sync.WaitGroup
	program *program   // nil without a command
	child   <-chan int // its exit code, once it runs
	unfold  func()     // ends the group of the opening
}

// tracked is a tunnel with what the face knows of it.
type tracked struct {
	*tunnel.Tunnel

	target  aws.Target
	state   tunnel.State
	probing bool
	ready   bool
	probe   Probe
	proxy   string // its URL, once it is proved to be one
	trouble error  // the last obstacle on the way to ready
	lost    error  // set in state Failed
	shown   tunnel.Stats
}

// local is the listener as it is printed.
func (t *tracked) local() string {
	if socket := t.Spec().Socket; socket != "" {
		return socket
	}
	return t.Addr().String()
}

func (t *tracked) healthy() bool {
	return t.ready && (t.state == tunnel.Open || t.state == tunnel.Asleep)
}

// open finds the targets, all at once, and then opens the tunnels in the order of the forwards.
func (r *run) open(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	targets, errs := make([]aws.Target, len(r.Forwards)), make([]error, len(r.Forwards))
	var finders sync.WaitGroup
	for i, f := range r.Forwards {
		finders.Go(func() {
			if targets[i], errs[i] = find(waiting, r.Client, f.Query, r.notices); errs[i] != nil {
				cancel() // one that cannot be found ends the others
			}
		})
	}
	finders.Wait()
	if err := r.notFound(ctx, errs); err != nil {
		return err
	}
	for i, f := range r.Forwards {
		f.Spec.Target = targets[i]
		opened, err := r.Engine.Open(f.Spec) //nolint:contextcheck // a tunnel lives until the engine is closed
		if err != nil {
			return err
		}
		t := &tracked{Tunnel: opened, target: targets[i], probe: f.Probe}
		r.tunnels = append(r.tunnels, t)
		r.Board.opened(t)
	}
	return nil
}

// notFound picks the error to report among those of the finders: not one that only says that it was called off.
func (r *run) notFound(ctx context.Context, errs []error) error {
	if ctx.Err() != nil {
		return &StoppedError{Doing: "looking for the target", Cause: context.Cause(ctx)}
	}
	var late error
	for i, err := range errs {
		switch {
		case err == nil, errors.Is(err, context.Canceled):
		case errors.Is(err, context.DeadlineExceeded):
			late = &UnreadyError{Forward: r.Forwards[i].Spec.Remote.String(), Wait: r.Wait, Err: err}
		default:
			return err
		}
	}
	return late
}

// attend follows the tunnels: it starts the probes, prints the events and decides when it is over.
func (r *run) attend(ctx, probing context.Context, events <-chan tunnel.Event) error {
	late := time.NewTimer(r.Wait - time.Since(r.started))
	defer late.Stop()
	every := r.Traffic
	if every == 0 {
		every = trafficEvery
	}
	traffic := time.NewTicker(every)
	defer traffic.Stop()
	stop := ctx.Done()
	for {
		if r.printer.err != nil && r.program == nil { // beside a command the events are not what it is about
			return fmt.Errorf("print events: %w", r.printer.err)
		}
		select {
		case <-stop:
			if r.child == nil {
				return r.stopped(ctx)
			}
			stop = nil // the command is told, and ends the run
		case code := <-r.child:
			return r.ended(code)
		case <-late.C:
			if t := r.unready(); t != nil {
				return &UnreadyError{Forward: t.Spec().Remote.String(), Wait: r.Wait, Err: t.trouble}
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
		case p := <-r.probed:
			if err := r.result(ctx, p); err != nil {
				return err
			}
		}
	}
}

// ended decides what the end of the command means.
func (r *run) ended(code int) error {
	lost := r.firstLost()
	switch {
	case lost != nil && !r.Command.KeepGoing:
		return fmt.Errorf("while %q ran, which ended with %d: %w", r.Command.Args[0], code, lost)
	case lost != nil:
		r.notices.say("warning: " + lost.Error())
		r.GitHub.Warn(lost.Error(), Remedy(lost))
	}
	if code != 0 {
		return &EndError{Name: r.Command.Args[0], Code: code}
	}
	return nil
}

// event prints what happened to a tunnel and takes it into account.
func (r *run) event(probing context.Context, e tunnel.Event) error {
	t := r.tracked(e.Tunnel)
	if t == nil {
		return nil
	}
	if e.Ended != nil {
		r.Board.connection(e.Tunnel, e.Ended)
		r.printer.event(newConnectionEvent(e))
		return nil
	}
	t.state = e.State
	r.printer.event(newStateEvent(e, t))
	if e.Err != nil {
		t.trouble = e.Err
	}
	switch {
	case e.State == tunnel.Failed:
		t.lost = &LostError{Tunnel: e.Tunnel, Err: e.Err}
		if !t.ready || r.allLost() && r.child == nil {
			return r.firstLost()
		}
	case e.State == tunnel.Open && !t.probing:
		t.probing = true
		r.probes.Go(func() { r.prove(probing, e.Tunnel, prober{tunnel: t.Tunnel, probe: r.probeOf(t), roots: r.Roots}) })
	}
	return nil
}

func (r *run) tracked(id tunnel.ID) *tracked {
	for _, t := range r.tunnels {
		if t.ID() == id {
			return t
		}
	}
	return nil
}

func (r *run) allLost() bool {
	for _, t := range r.tunnels {
		if t.lost == nil {
			return false
		}
	}
	return true
}

func (r *run) firstLost() error {
	for _, t := range r.tunnels {
		if t.lost != nil {
			return t.lost
		}
	}
	return nil
}

// stopped decides what being told to stop means.
func (r *run) stopped(ctx context.Context) error {
	if err := r.firstLost(); err != nil {
		return err
	}
	for _, t := range r.tunnels {
		if !t.healthy() {
			return &StoppedError{Doing: fmt.Sprintf("tunnel %d was %s", t.ID(), t.condition()), Cause: context.Cause(ctx)}
		}
	}
	return nil
}

func (t *tracked) condition() string {
	if t.state == tunnel.Open {
		return "being probed"
	}
	return t.state.String()
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

// close ends the tunnels, prints what that brings about and the end of each. Its own time limit holds, as ctx may be
// over already.
func (r *run) close(ctx context.Context, events <-chan tunnel.Event) error {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.Engine.Close(closing) }()
	late := time.NewTimer(closeTimeout + drainTimeout)
	defer late.Stop()
	for delivered := false; !delivered; {
		select {
		case e, more := <-events: // closed by the engine when it is done
			if delivered = !more; more {
				r.lastEvent(e)
			}
		case <-late.C:
			delivered = true
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

// lastEvent prints an event that arrives while everything is being closed: nothing is decided by it any more.
func (r *run) lastEvent(e tunnel.Event) {
	t := r.tracked(e.Tunnel)
	switch {
	case t == nil:
	case e.Ended != nil:
		r.Board.connection(e.Tunnel, e.Ended)
		r.printer.event(newConnectionEvent(e))
	default:
		t.state = e.State
		r.printer.event(newStateEvent(e, t))
	}
}
