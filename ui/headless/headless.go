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
}

// Options say what to open and where to print. All fields but Roots, JSON, Color, Traffic and Ready are needed.
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
}

const (
	trafficEvery = 10 * time.Second
	closeTimeout = 5 * time.Second // for terminating the sessions
	drainTimeout = time.Second     // for the events of that
)

// Run opens the forwards and stays until ctx ends or every tunnel is lost. It returns nil when it was told to stop and
// all tunnels were healthy; else *StoppedError (told to stop too early), *UnreadyError, *LostError, or what kept it from
// starting. The engine is closed and its sessions are terminated in every case.
func Run(ctx context.Context, o Options) error {
	r := &run{Options: o, printer: printer{out: o.Out, json: o.JSON, color: o.Color}, started: time.Now()}
	watched, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	events := o.Engine.Watch(watched)

	probing, stopProbing := context.WithCancel(ctx)
	r.probed = make(chan probed)
	err := r.open(ctx)
	if err == nil {
		err = r.attend(ctx, probing, events)
	}
	stopProbing()
	r.probes.Wait()
	if closing := r.close(ctx, events); err == nil {
		err = closing
	}
	return err
}

// run is one call of Run. Its fields belong to the goroutine of that call, but for probed and probes.
type run struct {
	Options

	printer printer
	started time.Time
	tunnels []*tracked // tunnel ID n at n-1
	probed  chan probed
	probes  sync.WaitGroup
}

// tracked is a tunnel with what the face knows of it.
type tracked struct {
	*tunnel.Tunnel

	target  aws.Target
	state   tunnel.State
	probing bool
	ready   bool
	trouble error // the last obstacle on the way to ready
	lost    error // set in state Failed
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
	notices := &notices{out: r.Err}
	var finders sync.WaitGroup
	for i, f := range r.Forwards {
		finders.Go(func() {
			if targets[i], errs[i] = find(waiting, r.Client, f.Query, notices); errs[i] != nil {
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
		r.tunnels = append(r.tunnels, &tracked{Tunnel: opened, target: targets[i]})
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
	for {
		if r.printer.err != nil {
			return fmt.Errorf("print events: %w", r.printer.err)
		}
		select {
		case <-ctx.Done():
			return r.stopped(ctx)
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
			r.result(p)
		}
	}
}

// event prints what happened to a tunnel and takes it into account.
func (r *run) event(probing context.Context, e tunnel.Event) error {
	t := r.tracked(e.Tunnel)
	if t == nil {
		return nil
	}
	if e.Ended != nil {
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
		if !t.ready || r.allLost() {
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

// probeOf is the probe of one tunnel: a URL is fetched through the forwards that look like proxies, or through the only
// or first one.
func (r *run) probeOf(t *tracked) Probe {
	if r.Probe.Kind != ProbeURL || proxyPort(t.Spec().Remote.Port) {
		return r.Probe
	}
	for _, other := range r.tunnels {
		if proxyPort(other.Spec().Remote.Port) {
			return Probe{}
		}
	}
	if t == r.tunnels[0] {
		return r.Probe
	}
	return Probe{}
}

// probed is the outcome of a single probe.
type probed struct {
	tunnel tunnel.ID
	proxy  bool
	err    error
}

// prove probes until it succeeds or ctx ends, and reports every outcome.
func (r *run) prove(ctx context.Context, id tunnel.ID, p prober) {
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 4*time.Second) {
		proxy, err := p.once(ctx)
		select {
		case r.probed <- probed{tunnel: id, proxy: proxy, err: err}:
		case <-ctx.Done():
			return
		}
		if err == nil {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// result takes the outcome of a probe into account.
func (r *run) result(p probed) {
	t := r.tracked(p.tunnel)
	if p.err != nil {
		t.trouble = p.err
		return
	}
	t.ready, t.trouble = true, nil
	now := time.Now()
	e := readyEvent{head: newHead(now, "ready", p.tunnel), Local: t.local(), Took: now.Sub(r.started).Milliseconds()}
	if p.proxy && t.Spec().Socket == "" {
		e.ProxyURL = "http://" + proxyHost(t.Tunnel)
	}
	r.printer.event(e)
	if r.unready() == nil && r.Ready != nil {
		r.Ready(r.Engine.Tunnels())
	}
}

// unready returns the first tunnel that is still to be proved, nil when there is none.
func (r *run) unready() *tracked {
	for _, t := range r.tunnels {
		if !t.ready && t.lost == nil {
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
		r.printer.event(newConnectionEvent(e))
	default:
		t.state = e.State
		r.printer.event(newStateEvent(e, t))
	}
}
