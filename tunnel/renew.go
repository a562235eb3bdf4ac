package tunnel

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"culvert/aws"
)

// The agent resolves the name of a remote host once, when its session begins, and a resumed session keeps that address
// (measured, protocol.md "Documents"). So a name that has moved, as a database's does when it fails over, is followed by
// a session of its own: it is opened beside the others, proved, and only then takes the new connections. The sessions
// before it see their connections out. That happens when connections fail, and by the clock (Options.ReResolve), as the
// old address may still answer; then only on account of new connections, so that a tunnel that nobody uses costs no
// sessions, and between two proofs there always was a connection of the user's.

const (
	// doubtRest is the least time between two sessions that are opened because connections fail: a host that is down
	// costs no more than that.
	doubtRest = 10 * time.Second
	// trialWithin is how long the far end may take to accept a connection through a session that is on trial.
	trialWithin = 5 * time.Second
	// maxAside is how many sessions with an older address may serve their connections to the end beside those that take new
	// ones. The name is not resolved anew as long as there are so many.
	maxAside = 2
	// renewWithin is how long a new connection waits for a session that resolves the name anew, when there is an older
	// one that would take it.
	renewWithin = 3 * time.Second
	// swapWithin is how long the tunnel's only session, which nobody used, may be away while another one takes its place
	// before that is a change of the tunnel's state. AWS takes a second or two to open one; and what is shown must be true within
	// two seconds of the fact.
	swapWithin = 1500 * time.Millisecond
)

// named reports whether an endpoint is a name that the agent resolves.
func (e Endpoint) named() bool {
	host := strings.TrimSuffix(e.Host, ".")
	_, err := netip.ParseAddr(host)
	return host != "" && err != nil && !strings.EqualFold(host, "localhost")
}

// doubted notes that the far end takes no connections, so that its name may lead to another address by now.
func (t *Tunnel) doubted(err error) {
	if !t.spec.Remote.named() || !isVerdict(err) {
		return
	}
	select {
	case t.doubt <- struct{}{}:
	default:
	}
}

// stale reports whether a new connection should rather wait for a session that resolves the name anew. t.mu is held.
func (t *Tunnel) stale(now time.Time) bool {
	every := t.engine.options.ReResolve
	return every > 0 && t.spec.Remote.named() && !t.resolved.IsZero() && now.Sub(t.resolved) > every
}

// follow has the name of a far end that takes no connections resolved anew, if there is room for it.
func (r *runner) follow(now time.Time) {
	if now.Sub(r.tried) < doubtRest || !r.quiet() {
		return
	}
	if some, room := r.room(maxAside); some && room {
		r.tried = now
		r.renew()
	}
}

// refresh has the name resolved anew when that was done too long ago and there have been connections since: ahead of time
// while the tunnel is used, so that they need not wait, and else when one does wait.
func (r *runner) refresh(now time.Time) {
	every := r.engine.options.ReResolve
	if every == 0 || !r.spec.Remote.named() || !r.quiet() {
		return
	}
	accepted := r.connections.accepted()
	r.mu.Lock()
	age := now.Sub(r.resolved)
	r.mu.Unlock()
	if age < every/4 {
		r.accepted = accepted // those that prove the session are no reason for the next one
	}
	if age < every*3/4 || accepted == r.accepted {
		return
	}
	switch some, room := r.room(1); {
	case !some: // without a session: the next one resolves the name in any case
	case room:
		r.renew()
	default:
		r.resolvedAt(now) // without room for another session: not before the next period
	}
}

// quiet reports whether no session is being opened, nor waited for.
func (r *runner) quiet() bool { return r.trial == nil && len(r.opening) == 0 && !r.renewing }

// room reports whether there is a session that takes connections (some), and whether another one may replace it (room): with limit
// or more sessions that only serve older connections to the end it may not, unless the one to replace has no connections.
func (r *runner) room(limit int) (some, room bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	aside, idle := 0, true
	for _, l := range r.lanes {
		if l.aside {
			aside++
		} else if l.streams.Load() > 0 {
			idle = false
		}
		some = some || l.open() && !l.draining.Load()
	}
	return some, idle || aside < limit
}

// renew has makeRoom open a session that resolves the name anew.
func (r *runner) renew() {
	r.accepted = r.connections.accepted()
	r.renewing = true
}

// makeRoom opens the session that renew asked for, or makes room for it where the tunnel has as many sessions as it may have: the
// session with the fewest connections gets no more of them and ends with its last one. The tunnel's only session is replaced when it
// has no connections.
func (r *runner) makeRoom() {
	if !r.renewing || r.trial != nil || len(r.opening) > 0 {
		return
	}
	if r.sessions < r.ceiling() {
		r.yield(nil)
		r.renewing = false
		l := r.newLane()
		l.trial.Store(true)
		r.trial = l
		r.log.Info("resolving the name of the remote host anew, in a session of its own", "host", r.spec.Remote.Host)
		target := r.Link().Target
		if r.of == nil {
			r.lead(l, target)
			r.start(l, nil)
			return
		}
		r.start(l, func(ctx context.Context) (aws.Target, error) { return r.of.seat(ctx, l, []aws.Target{target}, false) })
		return
	}
	least, others := r.least()
	switch {
	case least == nil:
	case others:
		r.yield(least)
		least.endIfDrained()
	case least.streams.Load() == 0:
		r.yield(least)
		if least.endIfDrained() {
			r.log.Info("replacing the only session to resolve the name of the remote host anew", "host", r.spec.Remote.Host)
			r.renewing, r.swapped = false, time.Now()
			return
		}
		r.yield(nil) // a connection came meanwhile
	}
	now := time.Now()
	r.mu.Lock()
	stale := r.stale(now)
	r.mu.Unlock()
	if stale { // no connection waits for it; to wake those who wait for a session would have them ask for it, and come here, again and again
		r.resolvedAt(now)
	}
}

// least is the session with the fewest connections among those that take new ones, or would if they were not making room; others
// reports whether there are more of them. least is nil while a session is being ended, which makes room by itself.
func (r *runner) least() (least *lane, others bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var able []*lane
	for _, l := range r.lanes {
		if l.ending {
			return nil, false // there will be room
		}
		if l.open() && (!l.draining.Load() || l == r.yielding) {
			able = append(able, l)
		}
	}
	for _, l := range able {
		if n := l.streams.Load(); least == nil || n < least.streams.Load() || n == least.streams.Load() && l == r.yielding {
			least = l
		}
	}
	return least, slices.ContainsFunc(able, func(l *lane) bool { return l != least && !l.slow.Load() && !l.hung.Load() })
}

// yield has session l make room, or none if l is nil, and the one that did so far take new connections again.
func (r *runner) yield(l *lane) {
	if last := r.yielding; last != nil && last != l && !last.leaving.Load() && !last.ending {
		last.draining.Store(false)
	}
	if l != nil {
		l.draining.Store(true)
	}
	r.yielding = l
}

// resolvedAt notes when the name was resolved by the sessions that take connections, and tells those that wait for it.
func (r *runner) resolvedAt(at time.Time) {
	r.mu.Lock()
	r.resolved = at
	r.mu.Unlock()
	r.wake()
}

// first notes the age of the only session that takes connections.
func (r *runner) first(l *lane) {
	r.mu.Lock()
	alone := !slices.ContainsFunc(r.lanes, func(other *lane) bool { return other != l && other.usable() })
	r.mu.Unlock()
	if alone {
		r.resolvedAt(l.startedAt)
	}
}

// try proves the session on trial.
func (r *runner) try(l *lane) {
	r.running++
	go func() {
		ctx, cancel := context.WithTimeout(r.ctx, trialWithin)
		defer cancel()
		_, err := l.prove(ctx)
		r.reports <- report{lane: l, tried: true, err: err}
	}()
}

// judge ends the trial of a session, if that is not over yet. With a nil error the session takes new connections from now on, and
// the older ones only serve theirs to the end; else it is ended.
func (r *runner) judge(l *lane, err error) {
	if r.trial != l {
		return
	}
	r.trial = nil
	if err != nil {
		r.log.Info("no other session reaches the remote host", "session", l.session.ID, "error", err)
		l.quit(errDrained)
	} else {
		r.log.Info("the session that resolved the name of the remote host anew takes the new connections", "session", l.session.ID)
		r.mu.Lock()
		for _, other := range r.lanes {
			if other != l && !other.draining.Swap(true) {
				other.aside = true
			}
		}
		r.mu.Unlock()
		l.openedAt = time.Now()
		l.trial.Store(false)
	}
	r.resolvedAt(l.startedAt)
}

// accepted is how many connections there have been since the tunnel was opened.
func (c *connections) accepted() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastID
}
