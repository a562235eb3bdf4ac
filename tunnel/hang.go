package tunnel

import (
	"context"
	"time"
)

// The agent connects inside the loop that accepts streams (protocol.md 9, A7): a destination that swallows SYNs holds up its
// connection, and every later one of the session, for up to two minutes. A connection that hangs looks like one whose server has
// nothing to say yet. A proof that is sent behind it tells the two apart, as the agent answers the proof only when it is done
// with the streams before.

const (
	// suspectAfter is how long a connection may be without any byte from the far end, while the agent has sent nothing on later
	// streams of the session either, before a proof is sent behind it.
	suspectAfter = 5 * time.Second
	// certainAfter is how long the agent has to have owed the answer to that proof for lost packets not to be the reason: in that
	// time a system has sent its SYN three more times (after 1, 3 and 7 s).
	certainAfter = 7 * time.Second
	// unansweredAfter is the age at which the connection is reset, if the agent has owed the proof's answer for certainAfter by
	// then.
	unansweredAfter = 15 * time.Second
	// inquireRest is the least time between two such proofs on one session. It is short enough for a connection that is opened
	// right after a proof to have the next one behind it in time. The rest doubles with each proof up to inquireRarely, so that a
	// server which is silent for minutes does not see many of them, and begins with inquireRest again when there was no proof for
	// inquireCalm.
	inquireRest   = 8 * time.Second
	inquireRarely = 32 * time.Second
	inquireCalm   = time.Minute
)

// answer notes that the agent has sent a frame of the stream with this id. As it takes one stream after the other, it has connected
// those with lower ids as well, or failed to. m.mu is held.
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

// asked is how long the agent has owed an answer to the proof under way; 0 when it owes none. examine calls it once a second, and
// the time counts from the first call that finds the proof acknowledged and nothing that could hold up its answer on the way:
// while the agent is away, or has to send lost messages again, which takes a tenth of a second for each (protocol.md 9, A1), it
// owes nothing.
func (m *mux) asked(now time.Time) time.Duration {
	oldest, held := m.channel.oldest(), m.channel.paused() || m.channel.missing.Load() > 0
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.proof
	if p == nil || len(p.streams) == 0 {
		return 0
	}
	first := p.streams[0]
	switch {
	case m.streams[first.id] != first:
		return 0
	case held || first.first.Load() >= oldest:
		p.owed = time.Time{}
		return 0
	case p.owed.IsZero():
		p.owed = now
	}
	return max(1, now.Sub(p.owed))
}

// examine looks for connections of a lane that the agent does not get connected. It sends a proof behind them (inquire), and
// resets them when it is certain that they hang.
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

// inquire sends a proof behind the connections of a lane, unless one is under way or the last is too recent.
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
		_, _ = l.prove(ctx) // examine sees the outcome by itself, see asked
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
