package tunnel

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"culvert/aws"
)

// The agent resolves the name of a remote host once, when its session begins, and a resumed session keeps that address
// (measured, protocol.md "Documents"). So a name that has moved, as a database's does when it fails over, is followed by
// a session of its own: it is opened beside the others, proved, and only then takes the new connections. The sessions
// before it see their connections out.

const (
	// doubtRest is the least time between two sessions that are opened because connections fail: a host that is down
	// costs no more than that.
	doubtRest = 10 * time.Second
	// trialWithin is what the far end has to accept a connection through a session that is on trial.
	trialWithin = 5 * time.Second
	// maxAside is how many sessions may see out their connections beside those that take new ones; a name is not
	// resolved anew as long as there are so many.
	maxAside = 2
)

// named reports whether an endpoint is a name that the agent resolves.
func (e Endpoint) named() bool {
	host := strings.TrimSuffix(e.Host, ".")
	_, err := netip.ParseAddr(host)
	return host != "" && err != nil && !strings.EqualFold(host, "localhost")
}

// doubted notes that the far end takes no connections: its name may lead elsewhere by now.
func (t *Tunnel) doubted(err error) {
	if !t.spec.Remote.named() || !isVerdict(err) {
		return
	}
	select {
	case t.doubt <- struct{}{}:
	default:
	}
}

// renew opens a session to resolve the remote host's name anew, if there is reason to and room for it.
func (r *runner) renew(now time.Time) {
	if r.trial != nil || r.opening != nil || now.Sub(r.tried) < doubtRest || !r.roomy() {
		return
	}
	r.tried = now
	l := r.newLane()
	l.trial.Store(true)
	r.trial = l
	r.log.Info("connections to the remote host fail, resolving its name anew in a session of its own", "host", r.spec.Remote.Host)
	target := r.Link().Target
	r.start(l, func(context.Context) (aws.Target, error) { return target, nil })
}

// roomy reports whether there is a session to compare with, and room for another one beside it.
func (r *runner) roomy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	aside, usable := 0, false
	for _, l := range r.lanes {
		if l.aside {
			aside++
		}
		usable = usable || l.usable()
	}
	return usable && aside < maxAside
}

// try proves the session on trial.
func (r *runner) try(l *lane) {
	r.running++
	go func() {
		ctx, cancel := context.WithTimeout(r.ctx, trialWithin)
		defer cancel()
		_, err := l.prove(ctx)
		r.steps <- step{lane: l, tried: true, err: err}
	}()
}

// tryEnded ends the trial of a session: it takes over, or is ended.
func (r *runner) tryEnded(l *lane, err error) {
	if r.trial != l { // it is over already
		return
	}
	r.trial = nil
	if err != nil {
		r.log.Info("the remote host does not answer through another session either", "session", l.session.ID, "error", err)
		l.quit(errDrained)
		return
	}
	r.log.Info("another session takes the new connections, the name of the remote host was resolved anew", "session", l.session.ID)
	r.mu.Lock()
	for _, other := range r.lanes {
		if other != l && !other.draining.Swap(true) {
			other.aside = true
		}
	}
	r.mu.Unlock()
	l.openedAt = time.Now()
	l.trial.Store(false)
	r.wake()
}
