package tunnel

import (
	"time"

	"culvert/aws/wire"
)

// take is receive for the reader of a socket. It takes a lock, as during a handover there are two sockets and so two readers.
func (c *channel) take(frame []byte) error {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	return c.receive(frame)
}

// flushNow is flush for the reader of a socket, with the same lock.
func (c *channel) flushNow() {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	c.flush()
}

// receive takes one frame from the socket. It blocks only where deliver does. An error ends the session: the other side sends
// what cannot be understood (*GarbageError, *ProtocolError), or has said that the session is closed (*closedError).
func (c *channel) receive(frame []byte) error {
	m, err := wire.Parse(frame)
	if err != nil {
		c.garbage++
		c.log.Warn("frame refused", "error", err, "bytes", len(frame))
		if c.garbage >= maxGarbage {
			return &GarbageError{Frames: c.garbage, Last: err}
		}
		return nil // without an acknowledge, so the agent sends the message again
	}
	c.garbage = 0
	c.pauseOn(m.Type)
	if m.Type == wire.OutputStream || m.Type == wire.Acknowledge {
		c.heard.Store(time.Now().UnixNano())
	}
	switch m.Type {
	case wire.OutputStream:
		return c.receiveData(m)
	case wire.Acknowledge:
		sequence, err := wire.ParseAckSequence(m.Body)
		if err != nil {
			c.log.Warn("acknowledge refused", "error", err)
			return nil
		}
		c.acknowledged(sequence, time.Now())
	case wire.ChannelClosed:
		var closed wire.Closed
		if err := wire.ParseJSON(m.Body, &closed); err != nil {
			c.log.Warn("channel_closed with an unreadable body", "error", err)
		}
		return &closedError{output: closed.Output}
	case wire.InputStream, wire.StartPublication, wire.PausePublication, wire.SessionState:
		// pauseOn has taken what the service says; the other types are for agents.
	}
	return nil
}

func (c *channel) receiveData(m wire.Message) error {
	switch {
	case m.Sequence < c.expected:
		// A message that came before is acknowledged again: the first acknowledge may be lost, and the agent would send this
		// message for ever and none of the lost ones behind it (protocol.md 9, P1).
		c.owe(m)
		return nil
	case m.Sequence > c.expected:
		c.keepEarly(m)
		c.countMissing()
		return nil
	}
	c.owe(m)
	if err := c.accept(m.Payload, m.Body); err != nil {
		return err
	}
	if len(c.early) > 0 {
		defer c.countMissing()
	}
	for c.expected++; len(c.early) > 0; c.expected++ {
		next, ok := c.early[c.expected]
		if !ok {
			break
		}
		delete(c.early, c.expected)
		c.earlySize -= len(next.body)
		if err := c.accept(next.kind, next.body); err != nil {
			return err
		}
	}
	return nil
}

func (c *channel) keepEarly(m wire.Message) {
	if _, ok := c.early[m.Sequence]; !ok {
		if len(c.early) >= maxReorder || c.earlySize+len(m.Body) > maxReorderBytes {
			return // without an acknowledge, so the agent sends the message again
		}
		c.early[m.Sequence] = earlyMessage{kind: m.Payload, body: append([]byte(nil), m.Body...)}
		c.earlySize += len(m.Body)
		c.highest = max(c.highest, m.Sequence)
	}
	c.owe(m)
}

// countMissing works out how many messages are missing between the last one that was delivered and the latest early one.
func (c *channel) countMissing() {
	gap := int64(0)
	if len(c.early) > 0 {
		gap = c.highest - c.expected + 1 - int64(len(c.early))
	}
	c.missing.Store(gap)
}

func (c *channel) accept(kind wire.PayloadType, body []byte) error {
	if c.seal != nil && (kind == wire.Output || kind == wire.StdErr || kind == wire.ExitCode) {
		plain, err := c.seal.open(body)
		if err != nil {
			return &ProtocolError{Err: err}
		}
		body = plain
	}
	if err := c.deliver(kind, body); err != nil {
		return &ProtocolError{Err: err}
	}
	return nil
}

// owe queues the acknowledge of a message as soon as that is in memory, whether or not anybody has read it: withheld
// acknowledges do not slow an agent down, they only keep it from sending lost messages again (protocol.md 4).
func (c *channel) owe(m wire.Message) {
	now := time.Now()
	c.mu.Lock()
	if len(c.owed) == 0 {
		c.owedFrom = now
		c.ackTimer.Reset(2 * ackWithin) // in case no message follows
	}
	if len(c.owed) < maxOwedAcks {
		c.owed = append(c.owed, ack{id: m.ID, sequence: m.Sequence})
	}
	due := len(c.owed) >= acksTogether || now.Sub(c.owedFrom) >= ackWithin
	c.mu.Unlock()
	if due {
		c.signal()
	}
}
