package tunnel

import (
	"context"
	"time"
)

const (
	// slowAfter is how long an agent may owe an acknowledge before its lane gets no new connections. Such an agent is gone, or
	// waits for a destination that does not read, which holds up all connections of the session (protocol.md 6).
	slowAfter = 5 * time.Second
	// strandAfter is how long it may owe one before the connections whose first byte it has not acknowledged are closed, so
	// that their clients can try again on another lane.
	strandAfter = 15 * time.Second
	// stuckAfter is how long it may owe one before the session is given up, with all of its connections.
	stuckAfter = 2 * time.Minute
	// muxKeepAlive is how often agents up to 3.1.1511.0 are sent an empty mux frame: they close a session on which they have
	// received nothing for 30 s.
	muxKeepAlive = 10 * time.Second
)

// watch looks at the lane each second: whether its agent is slow, silent or stuck, and whether a keep-alive is due. cancel ends
// the session, with the reason.
func (l *lane) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	agent, _ := l.opening.agreed()
	every := l.options.keepAlive
	if agent.KeepAlive() && (every <= 0 || every > muxKeepAlive) {
		every = muxKeepAlive
	}
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	alive := time.Now()
	var v vigil
	for rest := checkEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-l.stir:
			l.changed(l, nil)
		case <-tick.C:
		}
		now := time.Now()
		if err := l.heed(&v, now); err != nil {
			cancel(err)
			return
		}
		if err := l.heedSize(); err != nil {
			cancel(err)
			return
		}
		quiet := l.channel.quiet(now)
		if slow := quiet > slowAfter && !l.excused(&v, now) || l.silent.Load(); l.slow.Swap(slow) != slow {
			l.changed(l, nil)
		}
		if quiet > stuckAfter && l.open() {
			cancel(&StuckError{Session: l.session.ID, For: quiet})
			return
		}
		m, many := l.carrier.(*mux)
		if many && quiet > strandAfter && l.open() {
			m.strand()
		}
		if many && every > 0 && now.Sub(alive) >= every {
			alive = now
			if err := m.keepAlive(); err != nil {
				return
			}
		}
		if next := l.look(); next != rest {
			rest = next
			tick.Reset(rest)
		}
	}
}
