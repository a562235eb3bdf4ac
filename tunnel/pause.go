package tunnel

import (
	"slices"
	"time"

	"culvert/aws/wire"
)

// The service tells a client with pause_publication that the agent is away, and with start_publication that it is back
// (protocol.md 7). What is sent meanwhile is lost, and an agent whose socket goes while it takes a message in may apply that
// message twice, so as little as possible is under way then: only the oldest message, again and again at its timeout. That one
// needs no start_publication to get through, which may get lost, or never come: whatever is heard of the agent ends the pause.
// A new socket does not: the service need not say again on it that an agent is away. Where the agent came back while there was no
// socket that could be told, the pause costs a round trip more, or feelEvery for each time that the message or its acknowledge is lost.

// feelEvery is how often the oldest message is written at the least while the agent is away, where the path is not slower than that.
const feelEvery = time.Second

// pauseOn takes note of what a message says about the agent.
func (c *channel) pauseOn(kind wire.Type) {
	switch kind {
	case wire.PausePublication:
		c.pause(true)
	case wire.StartPublication, wire.OutputStream, wire.Acknowledge:
		c.pause(false)
	case wire.InputStream, wire.ChannelClosed, wire.SessionState: // say nothing of it
	}
}

// pause begins or ends a pause.
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

// paused reports whether the service has said that the agent is away, and nothing was heard of it since.
func (c *channel) paused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.paused
}

// feeler is what may be written while the agent is away: the oldest message, if it is due.
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
	case at > 0: // it is written from the head
		s.again = slices.Insert(slices.Delete(s.again, at, at+1), 0, oldest)
	}
	return oldest
}
