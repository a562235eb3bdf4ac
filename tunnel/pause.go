package tunnel

import (
	"slices"
	"time"

	"culvert/aws/wire"
)

// The service tells a client with pause_publication that the agent is away, and with start_publication that the agent is back
// (protocol.md 7). Messages that are sent meanwhile are lost, and an agent whose socket is cut while it processes a message may
// apply that message twice. So during a pause as little as possible is under way: only the oldest message is written, again and
// again at its timeout. The pause ends with start_publication or anything that is heard of the agent, such as the acknowledge of
// that message, as start_publication may get lost or never come. A new socket does not end the pause, as the service need not
// repeat on it that the agent is away. Where the agent came back while there was no socket, so that culvert could not be told,
// the pause costs one round trip more, and feelEvery for each time that the message or its acknowledge is lost.

// feelEvery is the longest time between two writes of the oldest message while the agent is away, unless the path's own timeout
// is longer.
const feelEvery = time.Second

// pauseOn begins or ends a pause by the type of a message that has come.
func (c *channel) pauseOn(kind wire.Type) {
	switch kind {
	case wire.PausePublication:
		c.pause(true)
	case wire.StartPublication, wire.OutputStream, wire.Acknowledge:
		c.pause(false)
	case wire.InputStream, wire.ChannelClosed, wire.SessionState: // say nothing about the agent's absence
	}
}

// pause begins or ends a pause, and tells onPause and onAway when that is a change.
func (c *channel) pause(paused bool) {
	c.mu.Lock()
	changed := c.out.paused != paused
	c.out.paused = paused
	c.mu.Unlock()
	if !changed {
		return
	}
	c.onPause(paused)
	c.onAway(paused)
	if !paused {
		c.signal()
	}
}

// paused reports whether the service has said that the agent is away, and nothing was heard of the agent since.
func (c *channel) paused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.paused
}

// feeler returns what may be written while the agent is away: the oldest message if it is due, else nil. s.unacked has no
// acknowledged message at its head, so that the oldest is always one that is owed.
func (s *sender) feeler() *outgoing {
	if len(s.unacked) == 0 {
		return nil
	}
	oldest := s.unacked[0]
	switch at := slices.Index(s.again, oldest); {
	case oldest.tries == 0:
		return oldest
	case at < 0:
		return nil
	case at > 0: // take expects the message at the head of s.again
		s.again = slices.Insert(slices.Delete(s.again, at, at+1), 0, oldest)
	}
	return oldest
}
