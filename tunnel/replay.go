package tunnel

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A session whose agent is gone takes along the connections of which the agent had a part. The others are opened anew in
// another session, and what their clients have sent is sent again: nobody notices but by the time that it takes.

// maxKept is how much of what a local side sends is kept until the agent has the beginning of it. As a session takes no more
// from all its connections than its window (window.go), what is kept of all together is little more than that.
const maxKept = 256 << 10

// spare settles which streams of a session that is given up can be opened anew in another one. It is called when the socket
// is gone: what had not been written by then never will be.
func (l *lane) spare(why *SilentError) {
	if m, ok := l.carrier.(*mux); ok {
		m.spare(why)
	}
}

// spare marks the streams of which nothing can have reached the agent, nor come back; those to come are refused. One that
// was opened and said nothing counts as well: the destination has seen a connection at the most.
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

// reached reports whether the agent has something of the stream's data.
func (s *stream) reached() bool {
	m, ok := s.carrier.(*mux)
	return !ok || s.received.Load() > 0 || s.spoke.Load() && m.channel.oldest() > s.first.Load()
}

// kept is what a local side has sent, as long as all of it is there. One goroutine at a time uses it.
type kept struct {
	bytes []byte
	gone  bool // a part is not there any more
}

// add takes in what is about to be sent on a stream.
func (k *kept) add(s *stream, p []byte) {
	switch {
	case k.gone:
	case s.reached(), len(k.bytes)+len(p) > maxKept:
		k.bytes, k.gone = nil, true
	default:
		k.bytes = append(k.bytes, p...)
	}
}

// replay sends what is kept on a stream that is new.
func (c *connection) replay(ctx context.Context, s *stream) error {
	if len(c.kept.bytes) == 0 {
		return nil
	}
	err := s.write(ctx, c.kept.bytes)
	if errors.Is(err, errStreamDone) || s.spare.Load() {
		return nil // as for what is read later
	}
	return err
}

// again waits until nobody reads the local side any more, and reports whether all that it has sent is there.
func (c *connection) again(up *sync.WaitGroup) bool {
	_ = c.local.SetReadDeadline(time.Now()) // a read that waits gives up; what has been read is kept
	up.Wait()
	_ = c.local.SetReadDeadline(time.Time{})
	return !c.kept.gone
}
