package tunnel

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// scoutRest is the least time from the start of one scout to that of the next.
	scoutRest = 10 * time.Second
	// vouchedFor is how long the opening of one session is taken as proof that sessions can be opened.
	vouchedFor = 10 * time.Second
)

// scouted is the end to which a scout's session leads. No connection is made to it, and no task has a server on that port.
var scouted = Endpoint{Host: "127.0.0.1", Port: 1} //nolint:gochecknoglobals // a constant

// heard takes a change of state of a destination's tunnel. The run of that tunnel calls it, so it must not wait for that run.
func (p *pool) heard(d *destination, e Event) {
	if !d.scout {
		at := d.endpoint
		e.Destination = &at
		p.engine().states.publish(e)
	}
	blamed := ownFault(e.Err)
	p.mu.Lock()
	switch {
	case e.State == Open:
		d.trouble = nil
		p.vouch(e.Link)
	case blamed:
		d.trouble = e.Err
		if e.Link.Session != "" {
			p.vouch(e.Link) // the destination had a session, so sessions can be opened
		}
	case e.Err != nil && !errors.Is(e.Err, errStopped):
		if d.trouble == nil {
			d.since = e.At
		}
		d.trouble = e.Err
		if e.State == Failed && !anyOpen(p.order) && (!barred(e.Err) || p.proofAt.IsZero()) {
			p.lost = e.Err // an error with which any other tunnel would have failed too
		}
	}
	bereft := (e.State == Reopening || e.State == Asleep) && !d.warm && d.idle() && e.At.Sub(d.used) >= bereftFor
	done := d.scout && (e.State == Open || blamed) || bereft
	if done {
		p.drop(d)
	}
	p.mu.Unlock()
	if e.Err != nil && (blamed || e.State == Failed) {
		p.fail(d, e.Err)
	}
	p.ail()
}

// vouch notes that a session was opened, which is proof that sessions can be opened. p.mu is held.
func (p *pool) vouch(l Link) {
	p.link, p.proofAt, p.proof = l, time.Now(), Proof{Target: l.Target, Session: true}
	p.sick, p.lost = nil, nil
	close(p.vouched)
	p.vouched = make(chan struct{})
}

// ail has pool.run work the tunnel's state out again.
func (p *pool) ail() {
	select {
	case p.health <- struct{}{}:
	default:
	}
}

// standing works out the tunnel's state from the states of its destinations, and what is wrong with all of them. fatal is why the
// tunnel is lost; nil while it is not.
func (p *pool) standing() (e Event, fatal error) {
	best, troubled := Closed, error(nil)
	var opening Link
	for _, t := range p.inners() {
		state, err := t.State()
		if state.Final() || state != Open && err != nil && ownFault(err) {
			continue // an error of one destination alone says nothing of the others
		}
		if best == Closed || weight(state) > weight(best) {
			best = state
		}
		if state == Handshaking {
			opening = t.Link()
		}
		if err != nil && troubled == nil {
			troubled = err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if troubled != nil && best != Open {
		p.sick = troubled
	}
	e.Link = p.link
	ever := !p.proofAt.IsZero()
	switch {
	case best == Open:
		e.State = Open
	case p.lost != nil:
		return e, p.lost
	case !ever:
		e.State, e.Err = Starting, p.sick
		if best == Handshaking && p.sick == nil {
			e.State, e.Link = Handshaking, opening
		}
	case best == Resuming:
		e.State, e.Err = Resuming, troubled
	case p.sick != nil || best == Reopening:
		e.State, e.Err = Reopening, p.sick
	default:
		e.State = Open
	}
	return e, nil
}

// lastLink returns the session that was opened last.
func (p *pool) lastLink() Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link
}

// weight orders the states of destinations by how much they speak for the tunnel.
func weight(s State) int {
	switch s {
	case Open:
		return 6
	case Resuming:
		return 5
	case Reopening:
		return 4
	case Handshaking:
		return 3
	case Starting:
		return 2
	case Asleep:
		return 1
	case Closed, Failed:
	}
	return 0
}

// show records the tunnel's state when it has changed, and sends a scout out while nothing else would find out that there can be
// sessions again.
func (p *pool) show() {
	t := p.tunnel
	e, fatal := p.standing()
	if fatal != nil {
		t.stop(fatal)
		return
	}
	t.mu.Lock()
	changed := e.State != t.state || e.Err != nil && !sameText(e.Err, t.err) // another Link is no change: each new host has a session of its own
	t.mu.Unlock()
	if changed {
		t.record(e)
	}
	if e.State != Open {
		p.explore()
	}
}

// explore opens a session that leads nowhere (a scout), to find out whether sessions can be opened, unless there is a scout or a
// destination is trying to open a session, which tells as well.
func (p *pool) explore() {
	p.mu.Lock()
	trying := slices.ContainsFunc(p.order, func(d *destination) bool {
		state, _ := d.inner.State()
		return state != Asleep && !state.Final()
	})
	if p.scout != nil || p.closing || trying || time.Since(p.scoutAt) < scoutRest {
		p.mu.Unlock()
		return
	}
	d := &destination{pool: p, endpoint: scouted, scout: true, opened: time.Now(), used: time.Now(), settled: make(chan struct{})}
	d.inner = p.inner(d, 1)
	p.scout, p.scoutAt = d, d.opened
	p.mu.Unlock()
	d.inner.start()
}

// prove is Tunnel.Prove for a dynamic tunnel: there is no far end that could be asked, so that an open session is the proof.
func (p *pool) prove(ctx context.Context) (Proof, error) {
	for {
		e, _ := p.standing()
		p.mu.Lock()
		proof, vouched := p.proof, p.vouched
		fresh := !p.proofAt.IsZero() && (time.Since(p.proofAt) < vouchedFor || e.State == Open && anyOpen(p.order))
		p.mu.Unlock()
		if fresh {
			return proof, nil
		}
		p.explore()
		select {
		case <-vouched:
		case <-time.After(time.Second): // a scout may have failed: another one is to be sent out
		case <-p.tunnel.done:
			return Proof{}, p.tunnel.noSession(p.tunnel.ctx) //nolint:contextcheck // the tunnel's own end
		case <-ctx.Done():
			return Proof{}, p.tunnel.noSession(ctx)
		}
	}
}

// anyOpen reports whether any of the destinations has an open session.
func anyOpen(all []*destination) bool {
	for _, d := range all {
		if state, _ := d.inner.State(); state == Open {
			return true
		}
	}
	return false
}

// obstacle returns what holds up a session that is being opened, as far as that is known; nil when some destination is open.
func (p *pool) obstacle() error {
	for _, t := range p.inners() {
		if state, _ := t.State(); state == Open {
			return nil
		}
		if err := t.Obstacle(); err != nil {
			return err
		}
	}
	return nil
}

// sum adds up the totals of the destinations' sessions, past and present. RoundTrip is the shortest.
func (p *pool) sum() (all Stats) {
	p.mu.Lock()
	all = p.past
	p.mu.Unlock()
	for _, t := range p.inners() {
		s := t.Stats()
		all.Resent += s.Resent
		all.Retries += s.Retries
		all.Lanes += s.Lanes
		all.MessageSize = max(all.MessageSize, s.MessageSize)
		if all.RoundTrip == 0 || s.RoundTrip > 0 && s.RoundTrip < all.RoundTrip {
			all.RoundTrip = s.RoundTrip
		}
	}
	return all
}
