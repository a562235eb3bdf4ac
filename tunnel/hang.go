package tunnel

import (
	"context"
	"time"
)

// The agent connects inside the loop that accepts streams (protocol.md 9, A7): a destination that swallows what it is
// sent holds up that connection for two minutes, and every later one of the session with it. A connection that hangs
// looks like one whose server has nothing to say yet, so a proof behind it tells them apart: the agent gets to that only
// when it is done with those before it.

const (
	// suspectAfter a connection without an answer, on a session that has answered no later one, is looked into.
	suspectAfter = 5 * time.Second
	// certainAfter without an answer to that proof, it is not the network that has lost packets: a system sends three more
	// SYNs in that time (after 1, 3 and 7 s).
	certainAfter = 7 * time.Second
	// unansweredAfter it is reset, if the proof has got no answer either.
	unansweredAfter = 15 * time.Second
	// inquireRest is the least time between two proofs of a session for that reason; with it, a connection that is opened
	// just after one has the next one behind it in time. It doubles with each proof up to inquireRarely, as servers that
	// are silent for minutes must not see one after the other, until there was none for inquireCalm.
	inquireRest   = 8 * time.Second
	inquireRarely = 32 * time.Second
	inquireCalm   = time.Minute
)

// answer notes that the agent has said something about a stream: it takes streams one after the other, so it has connected
// those before, or failed to. m.mu is held.
func (m *mux) answer(id uint32) {
	m.answered = max(m.answered, id)
	m.reassured(id)
}

// hanging are the streams, proofs aside, that have been without an answer for d, and may wait for the agent to connect.
func (m *mux) hanging(now time.Time, d time.Duration) (hanging []*stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, s := range m.streams {
		if id > m.answered && s.received.Load() == 0 && !s.opened.IsZero() && now.Sub(s.opened) >= d {
			hanging = append(hanging, s)
		}
	}
	return hanging
}

// asked is for how long a proof has been with the agent without an answer; 0 when there is none.
func (m *mux) asked(now time.Time) time.Duration {
	oldest := m.channel.oldest()
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.proof; p != nil && len(p.streams) > 0 {
		if first := p.streams[0]; m.streams[first.id] == first && first.first.Load() < oldest {
			return now.Sub(p.began)
		}
	}
	return 0
}

// examine looks for connections of a lane that the agent does not get connected, and resets them when that is certain.
func (r *runner) examine(l *lane, now time.Time) {
	if !l.open() {
		return
	}
	m, many := l.carrier.(*mux)
	if !many {
		return
	}
	asked := m.asked(now)
	if asked == 0 && l.hung.Swap(false) {
		r.wake()
	}
	if l.slow.Load() || len(m.hanging(now, suspectAfter)) == 0 {
		return
	}
	if asked == 0 {
		r.inquire(l, now)
		return
	}
	if asked < certainAfter {
		return
	}
	for _, s := range m.hanging(now, unansweredAfter) {
		err := &UnansweredError{Target: l.target, Remote: r.spec.Remote, After: now.Sub(s.opened)}
		r.log.Info("connection reset, the agent does not get it connected", "session", l.session.ID, "after", err.After)
		l.hung.Store(true)
		m.reset(s, err)
		r.doubted(err)
	}
}

// inquire puts a proof behind the connections of a lane.
func (r *runner) inquire(l *lane, now time.Time) {
	since := now.Sub(l.inquired)
	switch {
	case since < l.rest:
		return
	case since > inquireCalm:
		l.rest = inquireRest
	default:
		l.rest = min(2*l.rest, inquireRarely)
	}
	l.inquired = now
	r.running++
	go func() {
		ctx, cancel := context.WithTimeout(r.ctx, unansweredAfter)
		defer cancel()
		_, _ = l.prove(ctx) // examine sees what comes of it
		r.reports <- report{patrol: true}
	}()
}

// hung is the error of a tunnel all of whose sessions are held up by a destination that does not answer; nil otherwise.
func (t *Tunnel) hung() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	for _, l := range t.lanes {
		switch {
		case l.draining.Load() || l.trial.Load():
		case !l.hung.Load():
			return nil
		default:
			err = &UnansweredError{Target: l.target, Remote: t.spec.Remote, After: unansweredAfter}
		}
	}
	return err
}
