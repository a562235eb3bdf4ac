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

// An agent has a defect that shows when its socket is cut while it processes a message: it applies the message, cannot
// acknowledge it, therefore does not count it, and applies it again when we send it again (docs/faults.md, A10). From here that
// looks like any lost message. All we know is that the agent was away, and which messages it had not acknowledged then. The
// connections with data in these messages are in doubt: the destination may have got that data twice.
//
// To be able to tell, messages are cut so that one which is applied twice puts the agent's mux out of sync (see seam). The agent
// then ends every stream of the session, at once and, as it looks from here, cleanly. An agent whose mux is in sync goes on
// answering, if late, where a destination reads slowly. So the doubt is over when the agent answers about a stream that was
// opened after the doubt began, which is what a proof is sent for (reassure), or when one of the streams from before stays open
// after another one has ended (outlasted). A connection that ends while it is in doubt is reset, and not reported as a success.

const (
	// reassureWithin is how long the answer to a proof may take before the session is given up, if no stream would be lost by that.
	reassureWithin = 5 * time.Second
	// settleWithin is how long a connection that ends in doubt waits for the doubt to be over; it looks every settleEvery.
	settleWithin = 6 * time.Second
	settleEvery  = 10 * time.Millisecond
	// outlastsEnd is how much longer than an ended one a stream has to stay open to show that the mux is in sync. A mux out of
	// sync ends all streams at once; here the ends arrive at most as far apart as the agent's send buffer delays them.
	outlastsEnd = 2 * time.Second
	// forGood is the number of a doubt that no answer ends, as the messages were sent without seams.
	forGood = math.MaxInt64
)

// UncertainError is the end of a connection of which it is not known whether all of it has arrived, and once.
type UncertainError struct {
	Lost   bool  // the agent lost its connection to AWS meanwhile; else only an acknowledge is missing
	Upload bool  // data of the client was on its way to the far end when it did
	Cause  error // what ended the connection; nil when one of its two ends has closed it, as far as can be seen from here
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

// Remedy says what the uncertainty means for the client.
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

// seam shifts whole mux frames, which are about to be pushed, against the bounds of messages, so that no message both begins and
// ends at the bounds of frames: an agent that took such a message twice would repeat its frames unnoticed, while one that takes
// half a frame twice is out of sync. To that end a message of whole frames gets the first byte of the next frame as its last one,
// which is possible as every frame begins with the same byte, and the next message begins with the second. seam returns the bytes to
// send and how many of them go into one message at the most. c.sendMu is held.
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

// startSeams has messages be shifted from now on. It is called when the agent has sent its first frame: what comes before the
// agent has noted the end of the handshake, it throws away, and with a shifted message that would put the mux out of sync.
func (c *channel) startSeams() {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if !c.seams.Swap(true) {
		c.seamsFrom.Store(c.next())
	}
}

// doubt begins a doubt about all connections of the session. Data is in doubt only for those with unacknowledged data, but a mux
// that is out of sync ends them all.
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

// others reports whether a stream other than s is open that was open when the doubt came up.
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

// outlasted reports whether other streams of the session have stayed open after this one ended, so that the agent's mux is in sync.
func (s *stream) outlasted() bool {
	m, many := s.carrier.(*mux)
	return many && s.doubt.Load() != forGood && m.others(s)
}

// pending reports whether the agent has not acknowledged all of the stream's data yet.
func (s *stream) pending() bool {
	m, many := s.carrier.(*mux)
	return many && s.last.Load() > m.channel.oldest()
}

// settle waits, at the end of a connection, until it is known what has become of its data: nil if all of it has arrived, and
// once, else an *UncertainError. It waits for settleWithin at the most. local says that the local side has ended the connection,
// so that all it sent has to be acknowledged; a far side that ends the connection need not have taken all.
func (s *stream) settle(ctx context.Context, local bool) error {
	began := time.Now()
	open := func() bool {
		if local {
			return s.uploading() || s.pending()
		}
		if s.left.Load() && !s.uploading() {
			return false // the local side has ended the connection, so the end is no sign of a mux out of sync
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

// ending returns the error with which a connection has ended: err, or an *UncertainError where there is a doubt about its end.
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

// noticed is called by the channel when the service says that the agent is away, and when it is back.
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

// reassure finds out, whenever the agent is back, whether its mux is still in sync: it has the agent answer a proof. Where no answer
// comes, and no stream is left that would be lost, it ends the session by cancel. It runs until ctx ends.
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
