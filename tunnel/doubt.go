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
// A message that the agent takes twice puts its mux out of sync (see seam), which ends every stream of the session there, at
// once and cleanly, as it looks from here. A mux that is in sync answers, though behind a destination that reads slowly that
// takes its time, while which the streams stay. So the doubt is over when the agent says something about a stream that was
// opened after it, which a proof is for, or when one stream that was there before outlasts another's end; and a connection that
// ends in doubt is reset, and not reported as a success.

const (
	// reassureWithin is how long a proof may take when there is no other stream left.
	reassureWithin = 5 * time.Second
	// settleWithin is how long the end of a connection waits for what becomes of its last bytes.
	settleWithin = 6 * time.Second
	settleEvery  = 10 * time.Millisecond
	// outlastsEnd is how much longer than another a stream stays open whose agent's mux is in sync: the ends that come of one
	// that is not wait for each other no longer than for the agent's own buffer.
	outlastsEnd = 2 * time.Second
	// forGood is a doubt that no answer ends: there were no seams yet.
	forGood = math.MaxInt64
)

// UncertainError is the end of a connection of which it is not known whether all of it has arrived, and once.
type UncertainError struct {
	Lost   bool  // the agent's connection to AWS was, meanwhile; else only an acknowledge is missing
	Upload bool  // data was on its way to the far end then
	Cause  error // nil when one of the two ends has closed the connection, as it looks from here
}

func (e *UncertainError) Error() string {
	text := "the end of the upload is uncertain: the agent has not acknowledged the last of it"
	switch {
	case e.Lost && e.Upload:
		text = "the end of the upload is uncertain: the agent's connection to AWS was lost meanwhile, and some of it may have arrived twice, or not at all"
	case e.Lost:
		text = "the end of the connection is uncertain: the agent's connection to AWS was lost meanwhile, and the agent may have ended it, not the far end"
	}
	if e.Cause == nil {
		return text
	}
	return fmt.Sprintf("%s (%s)", text, e.Cause)
}

func (e *UncertainError) Unwrap() error { return e.Cause }

// Remedy says what that means for the client.
func (e *UncertainError) Remedy() string {
	if e.Lost && !e.Upload {
		return "do it again: what has arrived may not be all"
	}
	return "look at what has arrived before you rely on it, or upload it again"
}

// OutOfSyncError ends a session whose agent does not understand what it is sent any more.
type OutOfSyncError struct{ Session string }

func (e *OutOfSyncError) Error() string {
	return fmt.Sprintf("session %s: the agent lost its connection to AWS during an upload and takes no connections since", e.Session)
}

// seam marks what is pushed, whole mux frames, so that no message leaves the agent's mux in the place where it found it: to take
// one twice puts the mux out of sync then, instead of repeating frames that nobody would notice. A message that holds whole
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
// handshake it throws away, and the mux is to be in sync after that.
func (c *channel) startSeams() {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if !c.seams.Swap(true) {
		c.seamsFrom.Store(c.next())
	}
}

// doubt puts all connections in doubt, as all may be ended by what happens to those of whose data any is unacknowledged.
func (m *mux) doubt() {
	oldest := m.channel.oldest()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doubts++
	m.doubtedUpTo = m.lastID
	for _, s := range m.streams {
		exposed := s.last.Load() > oldest || s.uploading()
		switch {
		case s.last.Load() > oldest && oldest < m.channel.seamsFrom.Load():
			s.doubt.Store(forGood)
		case s.doubt.Load() != forGood:
			s.doubt.Store(m.doubts)
		}
		s.exposed.Store(exposed)
	}
}

// reassured ends the doubts that an answer about a stream disproves. m.mu is held.
func (m *mux) reassured(id uint32) {
	if id > m.doubtedUpTo {
		m.certain.Store(m.doubts)
	}
}

// others reports whether any stream but s is open that was so when the doubt came up.
func (m *mux) others(s *stream) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.streams {
		if other != s && other.id <= m.doubtedUpTo && !other.opened.IsZero() {
			return true
		}
	}
	return false
}

// uneasy reports whether there is a doubt that an answer could end.
func (m *mux) uneasy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.doubts > m.certain.Load()
}

// doubtful reports whether the agent may have ended the stream because it is out of sync.
func (s *stream) doubtful() bool {
	m, many := s.carrier.(*mux)
	return many && s.doubt.Load() > m.certain.Load()
}

// uploading reports whether some of what was sent may have been taken twice.
func (s *stream) uploading() bool { return s.exposed.Load() && s.doubtful() }

// outlasted reports whether the end of the stream is not that of all: then the agent's mux is in sync.
func (s *stream) outlasted() bool {
	m, many := s.carrier.(*mux)
	return many && s.doubt.Load() != forGood && m.others(s)
}

// pending reports whether the agent has yet to acknowledge some of what was sent.
func (s *stream) pending() bool {
	m, many := s.carrier.(*mux)
	return many && s.last.Load() > m.channel.oldest()
}

// settle waits, at the end of a connection, until it is known what has become of what was sent: nil if it has arrived once, or an
// *UncertainError. A local side that was done has ended it, or the far side, which need not have taken all.
func (s *stream) settle(ctx context.Context, local bool) error {
	began := time.Now()
	open := func() bool {
		if local {
			return s.uploading() || s.pending()
		}
		if s.left.Load() && !s.uploading() {
			return false // it was the local side that ended it
		}
		return s.doubtful() && (time.Since(began) < outlastsEnd || !s.outlasted())
	}
	for open() && s.inbox.failure() == nil && time.Since(began) < settleWithin {
		select {
		case <-time.After(settleEvery):
		case <-ctx.Done():
			return nil // culvert's own end, which says so itself
		}
	}
	if !open() {
		return nil
	}
	return &UncertainError{Lost: s.doubtful(), Upload: local || s.uploading(), Cause: s.inbox.failure()}
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
	case s.uploading():
		return &UncertainError{Lost: true, Upload: true, Cause: err}
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
		for m, ok := l.carrier.(*mux); ok && m.uneasy(); {
			asking, stop := context.WithTimeout(ctx, reassureWithin)
			_, err := l.prove(asking) // what it says of the destination is no matter
			if err != nil {
				<-asking.Done() // and no more than one in that time
			}
			stop()
			if ctx.Err() != nil {
				return
			}
			if m.uneasy() && !m.others(nil) && l.open() && !l.channel.paused() { // nothing is lost with it
				cancel(&OutOfSyncError{Session: l.session.ID})
				return
			}
		}
	}
}
