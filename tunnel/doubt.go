package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"culvert/aws/wire"
)

// An agent whose socket is cut while it takes a message in has a defect: it applies the message, fails to acknowledge it, does
// therefore not count it, and applies it again when it is resent (docs/faults.md, A10). Nothing of that is seen from here but a
// message that was lost like any other. What is known is that the agent was away, and what it owed acknowledges for then: the
// connections whose data that is are in doubt.
//
// A message that the agent takes twice puts its mux out of step (see seam), which ends every stream of the session there:
// cleanly, as it looks from here. A mux that is in step answers. So the doubt is over when the agent says something about a
// stream that was opened after it, which a proof is for; and a connection that ends before is reset, and not reported as a
// success.

const (
	// reassureWithin is how long a proof may take that the agent has acknowledged.
	reassureWithin = 5 * time.Second
	// settleWithin is how long the end of a connection waits for what becomes of its last bytes.
	settleWithin = 6 * time.Second
	settleEvery  = 10 * time.Millisecond
	// forGood is a doubt that no answer ends: there were no seams yet.
	forGood = math.MaxInt64
)

// UncertainError is the end of a connection of which some of what was sent may not have arrived, or twice.
type UncertainError struct {
	Lost  bool  // the agent's connection to AWS was, meanwhile; else only an acknowledge is missing
	Cause error // nil when one of the two ends has closed the connection
}

func (e *UncertainError) Error() string {
	text := "the end of the upload is uncertain: the agent has not acknowledged the last of it"
	if e.Lost {
		text = "the end of the upload is uncertain: the agent's connection to AWS was lost meanwhile, and some of it may have arrived twice, or not at all"
	}
	if e.Cause == nil {
		return text
	}
	return fmt.Sprintf("%s (%s)", text, e.Cause)
}

func (e *UncertainError) Unwrap() error { return e.Cause }

// Remedy says what that means for the client.
func (e *UncertainError) Remedy() string {
	return "look at what has arrived before you rely on it, or upload it again"
}

// OutOfStepError ends a session whose agent does not understand what it is sent any more.
type OutOfStepError struct{ Session string }

func (e *OutOfStepError) Error() string {
	return fmt.Sprintf("session %s: the agent lost its connection to AWS during an upload and takes no connections since", e.Session)
}

// seam marks what is pushed, whole mux frames, so that no message leaves the agent's mux in the place where it found it: to take
// one twice puts the mux out of step then, instead of repeating frames that nobody would notice. A message that holds whole
// frames gets the first byte of the next one at its end, which is always the same, and the next one goes without. The others
// begin or end within a frame anyway. It returns what to send and how much of it at the most in one message. c.sendMu is held.
func (c *channel) seam(frames []byte, room int) ([]byte, int) {
	if !c.seams.Load() {
		return frames, room
	}
	if c.ahead {
		c.ahead = false
		return frames[1:], room
	}
	switch {
	case len(frames) < room:
		c.ahead = true
		return append(frames, wire.MuxVersion), room
	case len(frames) == room:
		return frames, room - 1
	}
	return frames, room
}

// startSeams begins with them: not before the agent has said something, since what it is sent before it has noted the end of the
// handshake it throws away, and the mux is to be in step after that.
func (c *channel) startSeams() {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if !c.seams.Swap(true) {
		c.seamsFrom.Store(c.next())
	}
}

// doubt puts the connections in doubt of whose data any is unacknowledged.
func (m *mux) doubt() {
	oldest := m.channel.oldest()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doubts++
	m.doubtedUpTo = m.lastID
	for _, s := range m.streams {
		switch {
		case s.last.Load() <= oldest:
		case oldest < m.channel.seamsFrom.Load():
			s.doubt.Store(forGood)
		default:
			s.doubt.Store(m.doubts)
		}
	}
}

// reassured ends the doubts that an answer about a stream disproves. m.mu is held.
func (m *mux) reassured(id uint32) {
	if id > m.doubtedUpTo {
		m.certain.Store(m.doubts)
	}
}

// uneasy reports whether there is a doubt that an answer could end.
func (m *mux) uneasy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.doubts > m.certain.Load()
}

// doubtful reports whether some of what was sent may have been taken twice.
func (s *stream) doubtful() bool {
	m, many := s.carrier.(*mux)
	return many && s.doubt.Load() > m.certain.Load()
}

// pending reports whether the agent has yet to acknowledge some of what was sent.
func (s *stream) pending() bool {
	m, many := s.carrier.(*mux)
	return many && s.last.Load() > m.channel.oldest()
}

// settle waits, at the end of a connection, until it is known what has become of what was sent: nil if it has arrived once, or an
// *UncertainError. A local side that was done has ended it, or the far side, which need not have taken all.
func (s *stream) settle(ctx context.Context, local bool) error {
	open := func() bool { return s.doubtful() || local && s.pending() }
	for until := time.Now().Add(settleWithin); open() && s.inbox.failure() == nil && time.Now().Before(until); {
		select {
		case <-time.After(settleEvery):
		case <-ctx.Done():
			return nil // culvert's own end, which says so itself
		}
	}
	if !open() {
		return nil
	}
	return &UncertainError{Lost: s.doubtful(), Cause: s.inbox.failure()}
}

// ending is how a connection has ended, given what the two ends and the session say.
func (s *stream) ending(ctx context.Context, err error) error {
	_, said := errors.AsType[*UncertainError](err)
	switch {
	case said || ctx.Err() != nil:
		return err
	case errors.Is(err, io.EOF):
		if unsure := s.settle(ctx, false); unsure != nil {
			return unsure
		}
	case s.doubtful():
		return &UncertainError{Lost: true, Cause: err}
	}
	return err
}

// noticed hears of the agent's absence and return.
func (l *lane) noticed(away bool) {
	m, many := l.carrier.(*mux)
	switch {
	case !many:
	case away && !l.channel.drained():
		m.doubt()
	case !away && m.uneasy():
		select {
		case l.uneasy <- struct{}{}:
		default:
		}
	}
}

// reassure asks, whenever the agent is back, whether it still understands what it is sent, and gives the session up if not.
func (l *lane) reassure(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-l.uneasy:
		case <-ctx.Done():
			return
		}
		asking, stop := context.WithTimeout(ctx, reassureWithin)
		_, _ = l.prove(asking) // what it says of the destination is no matter
		stop()
		if m, ok := l.carrier.(*mux); ok && m.uneasy() && m.asked(time.Now()) > 0 {
			cancel(&OutOfStepError{Session: l.session.ID})
			return
		}
	}
}
