package headless

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// probeOf is the probe of one tunnel. A URL that the run is to probe is fetched through the forwards that look like proxies or,
// when none does, through the first one.
func (r *run) probeOf(t *tracked) Probe {
	if t.forward.Probe.Kind != ProbeAuto {
		return t.forward.Probe
	}
	if !r.Probe.fits(t.Spec()) {
		return Probe{}
	}
	if r.Probe.Kind != ProbeURL || isProxy(t.Spec()) {
		return r.Probe
	}
	for _, other := range r.tunnels {
		if isProxy(other.Spec()) {
			return Probe{}
		}
	}
	if t == r.tunnels[0] {
		return r.Probe
	}
	return Probe{}
}

// loginOf is the login for the proxy behind a tunnel; nil when there is none. The proxy of a tunnel to any host is culvert
// itself, which needs none.
func (r *run) loginOf(t *tracked) *doctor.Login {
	if t.Spec().Dynamic != nil {
		return nil
	}
	return cmp.Or(t.forward.Login, r.Login)
}

func (r *run) loginOfID(id int) *doctor.Login {
	if t := r.tracked(tunnel.ID(id) - r.Board.before); t != nil {
		return r.loginOf(t)
	}
	return nil
}

// probed is the outcome of a single probe.
type probed struct {
	tunnel tunnel.ID
	proof  proof
	err    error
	// lasting is how long err has been the same refusal, once that is too long; 0 before.
	lasting time.Duration
}

// The longest pauses between two probes of a far end that does not answer: longestPause while the run waits for it to be ready,
// againPause when it was proved before.
const (
	longestPause = 4 * time.Second
	againPause   = 15 * time.Second
)

// startProof begins to prove a tunnel's far end, for the first time or again behind another task or session.
func (r *run) startProof(ctx context.Context, t *tracked) {
	t.probing, t.moved, t.proving = true, false, t.Link()
	longest := longestPause
	if t.ready {
		longest = againPause
	}
	p := prober{tunnel: t.Tunnel, probe: r.probeOf(t), roots: r.Roots, login: r.loginOf(t), before: t.found}
	r.probes.Go(func() { r.prove(ctx, t.ID(), p, longest) })
}

// prove probes until it succeeds or ctx ends, and reports every outcome.
func (r *run) prove(ctx context.Context, id tunnel.ID, p prober, longest time.Duration) {
	var met refusals
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, longest) {
		found, err := p.once(ctx)
		lasting := met.meet(ctx, p.tunnel, err, cmp.Or(r.Patience, refusedFor))
		select {
		case r.probed <- probed{tunnel: id, proof: found, err: err, lasting: lasting}:
		case <-ctx.Done():
			return
		}
		if err == nil {
			return
		}
		select {
		case <-time.After(met.pause(pause)):
		case <-ctx.Done():
			return
		}
	}
}

// result takes the outcome of a probe into account. When that makes the last tunnel ready, it writes the outputs and starts the
// command.
func (r *run) result(ctx, probing context.Context, p probed) error {
	t := r.tracked(p.tunnel)
	if p.err == nil {
		t.probing = false
		if t.moved && t.lost == nil { // the proof may be of the task or session before the move
			r.startProof(probing, t)
			return nil
		}
	}
	if t.ready {
		r.again(ctx, t, p)
		return nil
	}
	if p.err != nil {
		return r.unproved(ctx, t, p)
	}
	t.ready, t.late, t.trouble, t.found = true, false, nil, p.proof
	now := time.Now()
	e := newReadyEvent(now, t, p.proof, now.Sub(r.started))
	e.ProxyURL = t.shownProxy(r.loginOf(t))
	r.Board.proved(p.tunnel, e.ProxyURL, p.proof, now.Sub(r.started)) // before the event is printed: its reader may ask for the set at once
	r.printer.event(e)
	if p.proof.login {
		wanted := &doctor.LoginWantedError{Remote: t.Spec().Remote}
		r.warn(t, wanted.Error(), wanted.Remedy())
	}
	if r.settle(); !r.whole() {
		return nil
	}
	if err := r.GitHub.Outputs(ListenerOutputs(r.Board.Set(), r.loginOfID)); err != nil {
		return err
	}
	if r.program == nil || ctx.Err() != nil {
		return nil //nolint:nilerr // attend sees that it is over
	}
	r.unfold()
	listeners := r.listeners()
	r.warnOfProxies(listeners)
	child, err := r.program.start(ctx, listeners, r.notices.say)
	r.child = child
	return err
}

// again reports the outcome of a proof that follows on the first one, when it is news.
func (r *run) again(ctx context.Context, t *tracked, p probed) {
	if p.err != nil && (t.state != tunnel.Open || ctx.Err() != nil) {
		return // the state says already that there is no session, or the end of the run has ended the probe
	}
	before := t.doubt
	if t.doubt = p.err; p.err != nil && before != nil && cause(before) == cause(p.err) {
		return
	}
	r.Board.doubted(p.tunnel, p.err)
	r.printer.event(newProofEvent(time.Now(), t, p))
}

// unproved is the loss of a tunnel whose far end was proved once and is not any more; nil when its last proof succeeded.
func (t *tracked) unproved() error {
	if t.doubt != nil && t.lost == nil {
		return &LostError{Tunnel: t.ID(), Err: t.doubt, Unproved: true}
	}
	return nil
}

// unproved takes a failed probe into account of a tunnel that was not ready yet.
func (r *run) unproved(ctx context.Context, t *tracked, p probed) error {
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // attend sees that it is over
	case t.kept: // its user knows that it is not proved, and nobody waits for it
		if !t.late {
			t.late = true
			r.settle()
		}
		r.Board.late(t.ID(), p.err)
	case p.lasting > 0:
		return r.giveUp(t, p.lasting, p.err)
	case !t.late:
		t.trouble = p.err
	}
	r.notices.wait(fmt.Sprint(p.tunnel), p.err)
	return nil
}

// listeners are the local addresses of the forwards.
func (r *run) listeners() []Listener {
	var listeners []Listener
	for _, t := range r.tunnels {
		p := Listener{Addr: t.local(), URL: t.proxy(r.loginOf(t))}
		if t.Spec().Socket == "" {
			at := reachable(t.Addr())
			p.Host, p.Port, p.Addr = at.Addr().String(), at.Port(), at.String()
		}
		listeners = append(listeners, p)
	}
	return listeners
}

// unready returns the first tunnel that is still to be proved, nil when there is none.
func (r *run) unready() *tracked {
	for _, t := range r.tunnels {
		if !t.ready && t.lost == nil && !t.late {
			return t
		}
	}
	return nil
}
