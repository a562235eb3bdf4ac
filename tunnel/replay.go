package tunnel

import (
	"context"
	"errors"
	"sync"
	"time"
)

// When the agent of a session is gone, those connections are lost of whose data the agent may have had some. The others are
// opened anew in another session, and what their clients have sent is sent again: their clients notice nothing but the time that
// this takes.

// maxKept is how many bytes that a client has sent are kept. They are dropped when the client sends more after the agent has
// acknowledged the first of them; of a client that sends no more they are kept as long as its connection lasts.
const maxKept = 256 << 10

// spare decides which streams of a session that is given up can be opened anew in another session. It is called when the session
// has no socket any more: messages that were not written by then never will be.
func (l *lane) spare(why *SilentError) {
	if m, ok := l.carrier.(*mux); ok {
		m.spare(why)
	}
}

// spare marks the streams of whose data nothing can have reached the agent, and on which nothing has come back. That includes
// streams on which nothing was sent: of those the destination has seen an empty connection at the most. From now on no stream can
// be opened.
func (m *mux) spare(why *SilentError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = why
	for _, s := range m.streams {
		if s.received.Load() == 0 && (!s.spoke.Load() || m.channel.unheard(s.first.Load(), why.deaf)) {
			s.spare.Store(true)
		}
	}
}

// reached reports whether the agent has acknowledged some of the stream's data, or anything has come back on it. It is always
// true without a mux.
func (s *stream) reached() bool {
	m, ok := s.carrier.(*mux)
	return !ok || s.received.Load() > 0 || s.spoke.Load() && m.channel.oldest() > s.first.Load()
}

// kept is what a client has sent, from its first byte on. One goroutine at a time uses it.
type kept struct {
	bytes []byte
	gone  bool // some of what was sent is not kept, so nothing is
}

// add keeps bytes that are about to be sent on a stream.
func (k *kept) add(s *stream, p []byte) {
	switch {
	case k.gone:
	case s.reached(), len(k.bytes)+len(p) > maxKept:
		k.bytes, k.gone = nil, true
	default:
		k.bytes = append(k.bytes, p...)
	}
}

// replay sends what is kept on a new stream.
func (c *connection) replay(ctx context.Context, s *stream) error {
	if len(c.kept.bytes) == 0 {
		return nil
	}
	err := s.write(ctx, c.kept.bytes)
	if errors.Is(err, errStreamDone) || s.spare.Load() {
		return nil // copyUp handles such an end of the stream, as for what it reads later
	}
	return err
}

// again waits until no goroutine reads from the client any more, and reports whether all that the client has sent is kept.
func (c *connection) again(up *sync.WaitGroup) bool {
	_ = c.local.SetReadDeadline(time.Now()) // ends a read that waits; what has been read is kept
	up.Wait()
	_ = c.local.SetReadDeadline(time.Time{})
	return !c.kept.gone
}
