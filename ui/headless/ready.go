package headless

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"culvert/tunnel"
)

// probeOf is the probe of one tunnel: a URL is fetched through the forwards that look like proxies, or through the only
// or first one.
func (r *run) probeOf(t *tracked) Probe {
	if t.forward.Probe.Kind != ProbeAuto {
		return t.forward.Probe
	}
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
	proof  proof
	err    error
	// lasting is for how long err has been the same refusal, once that is too long; else 0.
	lasting time.Duration
}

// prove probes until it succeeds or ctx ends, and reports every outcome.
func (r *run) prove(ctx context.Context, id tunnel.ID, p prober) {
	var met refusals
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 4*time.Second) {
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

// result takes the outcome of a probe into account; with the last one everything is ready.
func (r *run) result(ctx context.Context, p probed) error {
	t := r.tracked(p.tunnel)
	if p.err != nil {
		return r.unproved(ctx, t, p)
	}
	t.ready, t.late, t.trouble = true, false, nil
	now := time.Now()
	e := newReadyEvent(now, t, p.proof, now.Sub(r.started))
	if p.proof.proxy && t.Spec().Socket == "" {
		t.proxy = "http://" + proxyHost(t.Tunnel)
	}
	e.ProxyURL = t.proxy
	r.printer.event(e)
	r.Board.proved(p.tunnel, t.proxy, now.Sub(r.started))
	if r.settle(); !r.whole() {
		return nil
	}
	if err := r.GitHub.Outputs(PlaceOutputs(r.Board.Set())); err != nil {
		return err
	}
	if r.program == nil || ctx.Err() != nil {
		return nil //nolint:nilerr // attend sees that it is over
	}
	r.unfold()
	child, err := r.program.start(ctx, r.places(), r.notices.say)
	r.child = child
	return err
}

// unproved takes a probe into account that has failed.
func (r *run) unproved(ctx context.Context, t *tracked, p probed) error {
	switch {
	case ctx.Err() != nil || t.ready:
		return nil //nolint:nilerr // attend sees that it is over
	case p.lasting > 0:
		return r.giveUp(t, p.lasting, p.err)
	case !t.late:
		t.trouble = p.err
	}
	r.notices.wait(fmt.Sprint(p.tunnel), p.err)
	return nil
}

// places are where the forwards listen.
func (r *run) places() []Place {
	var places []Place
	for _, t := range r.tunnels {
		p := Place{Addr: t.local(), URL: t.proxy}
		if t.Spec().Socket == "" {
			at := reachable(t.Addr())
			p.Host, p.Port, p.Addr = at.Addr().String(), at.Port(), at.String()
		}
		places = append(places, p)
	}
	return places
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
