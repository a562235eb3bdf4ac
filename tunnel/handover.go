package tunnel

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// The service closes a client's websocket when it is about an hour old (protocol.md 7), in the midst of whatever is under way. As
// that is foreseeable, culvert resumes the session before, in a second in which nothing moves, and has the new socket carry it
// before the old one is closed.
//
// That works with a service which takes a second socket of the same client while the first one stands, and sends to the last one.
// Whether AWS's service does is not known. So the old socket is read to its end; it is closed only when the agent has been heard
// through the new one, and otherwise stays in use. Where the service closes the old socket at once all the same, it is most
// likely that nothing was under way in that second, and what was lost is repaired as after any loss.

const (
	// renewAfter is the age at which a socket is replaced; serve adds up to 15 percent to it.
	renewAfter = 50 * time.Minute
	// calmFor is how long no stream data and no acknowledge has to have come for the session to count as quiet.
	calmFor = time.Second
	// renewAgain is by what renewAfter is divided for the pause after a failed attempt, which is therefore a minute.
	renewAgain = 50
	// overlap is how long a new socket may still take to open when the old one is lost meanwhile.
	overlap = 2 * time.Second
	// answerWithin is how long it may take until the agent is heard through the new socket.
	answerWithin = 5 * time.Second
	// readOn is how long the old socket is still read before culvert closes it.
	readOn = 2 * time.Second
	// hushWithin is how long the old socket's writer may take to finish what it is writing.
	hushWithin = time.Second
)

var (
	errReplaced = errors.New("another socket carries the session")
	errUnheard  = errors.New("the agent was not heard through the new socket")
)

// serve carries the session over a socket and, one after the other, those that replace it before it is an hour old, until a socket
// is lost. It returns that one.
func (l *lane) serve(ctx context.Context, s *socket) *pump {
	p := s.pump(ctx, l.channel)
	after := l.options.renewAfter
	if after <= 0 {
		<-p.ended
		return p
	}
	for {
		// Spread at random, as tunnels that were opened in the same minute must not renew their sockets in the same minute; but
		// all of them well before the hour.
		from, latest := spread(after, after/10), spread(after*11/10, after/20)
		for !l.due(p, from, latest) {
			if !p.rest(min(calmFor, after/renewAgain), from) {
				return p
			}
		}
		next, err := l.handOver(ctx, p)
		if err == nil {
			l.log.Info("socket renewed", "age", p.lived())
			p = next
			continue
		}
		l.log.Info("socket not renewed, staying with the old one", "error", err)
		if !next.rest(after/renewAgain, 0) {
			return next
		}
	}
}

// spread returns a random duration between from and from plus by.
func spread(from, by time.Duration) time.Duration { return from + rand.N(by+1) } //nolint:gosec // not a secret

// rest waits for d, and at least until the socket has reached an age. It reports whether the socket still stands then.
func (p *pump) rest(d, age time.Duration) bool {
	select {
	case <-time.After(max(d, age-p.lived())):
		return true
	case <-p.ended:
		return false
	}
}

// due reports whether the socket is to be renewed now.
func (l *lane) due(p *pump, from, latest time.Duration) bool {
	age := p.lived()
	if age < from || !l.open() || l.channel.paused() {
		return false
	}
	if _, many := l.carrier.(*mux); !many {
		return false // without a mux there is no message that asks the agent for an answer through the new socket
	}
	return age >= latest || l.calm(time.Now())
}

// calm reports whether the session has been quiet for calmFor.
func (l *lane) calm(now time.Time) bool {
	return now.Sub(time.Unix(0, l.lastData.Load())) >= calmFor && l.channel.calm(now, calmFor)
}

// handOver opens another socket and lets it carry the session. It returns the socket that carries the session in the end: the new
// one, or the old one and why it was not replaced.
func (l *lane) handOver(ctx context.Context, old *pump) (*pump, error) {
	s, err := l.another(ctx, old)
	if err != nil {
		return old, err
	}
	standing := old.hush()
	if l.overBy(old.lost()) != nil { // the session has ended meanwhile
		_ = s.conn.Close()
		return old, old.lost()
	}
	fresh := s.pump(ctx, l.channel)
	if !standing {
		return fresh, nil
	}
	if m, ok := l.carrier.(*mux); ok {
		_ = m.keepAlive() // something for the agent to acknowledge; an error means that the session is over, which both sockets report
	}
	if !l.heardThrough(fresh, old) {
		fresh.cut(errUnheard)
		<-fresh.ended
		if old.unhush() {
			l.channel.attach(time.Now())
		}
		return old, errUnheard
	}
	select {
	case <-old.ended: // the service closes a socket that was replaced
	case <-fresh.ended:
	case <-time.After(readOn):
	}
	old.cut(errReplaced)
	<-old.ended
	if l.overBy(old.why) != nil {
		fresh.cut(old.why)
		<-fresh.ended
		return old, old.why
	}
	return fresh, nil
}

// another resumes the session, which opens a second socket for it, while the old one still carries it.
func (l *lane) another(ctx context.Context, old *pump) (*socket, error) {
	ctx, stop := context.WithTimeout(ctx, dialTimeout)
	defer stop()
	release := context.AfterFunc(old.over, func() { //nolint:contextcheck // the old socket's end, not this call's
		select {
		case <-time.After(overlap):
			stop()
		case <-ctx.Done():
		}
	})
	defer release()
	session, ahead, err := l.ask(ctx, true)
	if err != nil {
		return nil, err
	}
	l.leads(session)
	return ahead.dial(ctx, l.client, session, l.clientID)
}

// heardThrough reports whether a message has come through the new socket within answerWithin. A new socket that stays silent is
// accepted too if the old one is lost.
func (l *lane) heardThrough(fresh, old *pump) bool {
	patience := time.After(answerWithin)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for fresh.frames.Load() == 0 {
		select {
		case <-tick.C:
		case <-fresh.ended:
			return false
		case <-patience:
			return old.over.Err() != nil
		}
	}
	return true
}

// lived is how old the socket is.
func (p *pump) lived() time.Duration { return time.Since(p.began) }

// welcome reports whether the service has accepted the socket: it sent a message on it, or did not close it at once.
func (p *pump) welcome() bool { return p.frames.Load() > 0 || p.life >= briefly }

// lost is why the socket has ended; nil while it stands.
func (p *pump) lost() error {
	select {
	case <-p.ended:
		return p.why
	default:
		return nil
	}
}

// hush has the socket's writer write nothing more, and reports whether the socket still stands. The socket is cut when its writer
// hangs.
func (p *pump) hush() bool {
	select {
	case p.park <- struct{}{}:
		return true
	case <-p.ended:
	case <-time.After(hushWithin):
		p.cut(errReplaced)
		<-p.ended
	}
	return false
}

// unhush lets a writer that was hushed go on, if the socket still stands.
func (p *pump) unhush() bool {
	select {
	case p.resume <- struct{}{}:
		return true
	case <-p.ended:
		return false
	}
}

// parked waits until the writer may go on; the error is the end of the socket.
func (p *pump) parked(ctx context.Context) error {
	select {
	case <-p.resume:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cut ends the socket without a close frame.
func (p *pump) cut(why error) {
	p.end(why)
	_ = p.socket.conn.Close()
}
