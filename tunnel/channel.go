package tunnel

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"culvert/aws/wire"
)

// Bounds of what a channel keeps in memory.
const (
	maxReorder      = 10_000   // messages that arrived early, as AWS's own client keeps
	maxReorderBytes = 16 << 20 // and their bytes
	maxOwedAcks     = 100_000  // acknowledges not yet written; the agent resends what is not acknowledged
	maxGarbage      = 16       // frames in a row that cannot be parsed before the session is given up
)

// An acknowledge may wait this long for others to share a wake-up and a write with. The agent sends no slower for it, and
// its resend timer, which looks every 100 ms, leaves at least 10 ms, and four times the variation, beyond the round trip (protocol.md 4).
const (
	acksTogether = 64
	ackWithin    = 5 * time.Millisecond
)

var errEmptyBody = errors.New("empty payload")

// channel is the reliable, ordered part of a data channel, without the socket: it numbers, acknowledges, resends and
// reorders messages (protocol.md 4). Its state survives the sockets that carry it. Any number of goroutines may send;
// one goroutine at a time may call receive, and one collect.
type channel struct {
	log     *slog.Logger
	size    int // payload bytes per message
	seal    *sealer
	deliver func(wire.PayloadType, []byte) error // called in order from receive; must not block or keep its argument
	flush   func()                               // tells deliver's end that nothing comes for now; the caller of receive calls it
	onPause func(paused bool)                    // hears that the agent is said to be away, and back; must not block
	wake    chan struct{}                        // tells the writer that collect has something; capacity 1

	onAway func(away bool) // hears the same, for what was under way; must not block

	heard  atomic.Int64 // unix nanoseconds of the last word of the agent
	served atomic.Int64 // and of the service, pongs included

	sendMu    sync.Mutex   // orders senders: sequence order is wire order
	seams     atomic.Bool  // see seam
	seamsFrom atomic.Int64 // sequence number of the first message with one
	ahead     bool         // the first byte of the next frame has been sent; under sendMu

	missing *atomic.Int64 // messages that the agent has yet to repair

	mu       sync.Mutex
	out      sender
	waiting  []*waiter // senders that wait for room in the window, first come first served
	over     error     // set once: nothing can be sent any more
	overDone chan struct{}
	owed     []ack     // acknowledges to write
	owedFrom time.Time // when the first of them came
	ackTimer *time.Timer

	acking []ack // collect's, of which the memory is used again

	receiving sync.Mutex // the two sockets of a handover take turns
	// Only receive touches what follows.
	expected  int64
	early     map[int64]earlyMessage
	earlySize int
	highest   int64 // sequence number that was early
	garbage   int
}

type ack struct {
	id       wire.ID
	sequence int64
}

type earlyMessage struct {
	kind wire.PayloadType
	body []byte
}

type waiter struct{ ready chan struct{} }

func newChannel(log *slog.Logger, size, rate int, deliver func(wire.PayloadType, []byte) error) *channel {
	c := &channel{
		log: log, size: size, deliver: deliver,
		flush:    func() {},
		onPause:  func(bool) {},
		onAway:   func(bool) {},
		missing:  new(atomic.Int64),
		wake:     make(chan struct{}, 1),
		overDone: make(chan struct{}),
		early:    make(map[int64]earlyMessage),
	}
	c.seamsFrom.Store(math.MaxInt64)
	c.ackTimer = time.AfterFunc(time.Hour, c.signal)
	c.ackTimer.Stop()
	c.out.window = newWindow()
	c.out.pace.perSecond = rate
	return c
}

// room is how many payload bytes a message of stream data can carry.
func (c *channel) room() int {
	if c.seal != nil {
		return c.payload() - sealOverhead
	}
	return c.payload()
}

// payload is how many bytes a message carries, what seals it included.
func (c *channel) payload() int {
	if z := c.out.sizer; z != nil {
		return int(z.room.Load())
	}
	return c.size
}

// send queues body as stream data, split into messages, once the window has room for it. All of body is queued or,
// when ctx ends or the session is over first, none of it.
func (c *channel) send(ctx context.Context, body []byte) error {
	if err := c.admit(ctx); err != nil {
		return err
	}
	return c.push(wire.Output, body)
}

// push queues body whatever the window says: for the few bytes that end something.
func (c *channel) push(kind wire.PayloadType, body []byte) error {
	if len(body) == 0 {
		return errEmptyBody // both AWS encoders refuse it (protocol.md 3)
	}
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	c.mu.Lock()
	sequence, over := c.out.next, c.over
	c.mu.Unlock()
	if over != nil {
		return over
	}
	step := len(body)
	if kind == wire.Output {
		body, step = c.seam(body, c.room())
	}
	much := len(body) > step
	batch := make([]*outgoing, 0, (len(body)+step-1)/step)
	for len(body) > 0 {
		n := min(step, len(body))
		o, err := c.encode(kind, sequence+int64(len(batch)), body[:n])
		if err != nil {
			return err
		}
		batch = append(batch, o)
		body = body[n:]
	}
	if much {
		var err error
		if batch, err = c.withProbe(batch, sequence+int64(len(batch))); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.out.queue(batch)
	c.mu.Unlock()
	c.signal()
	return nil
}

func (c *channel) encode(kind wire.PayloadType, sequence int64, body []byte) (*outgoing, error) {
	if kind == wire.Output && c.seal != nil { // in this order: what else is sent may come before there is a seal
		sealed, err := c.seal.seal(body)
		if err != nil {
			return nil, err
		}
		body = sealed
	}
	m := wire.Message{
		Type: wire.InputStream, Schema: 1, Created: wire.Millis(time.Now()),
		Sequence: sequence, ID: newID(), Payload: kind, Body: body,
	}
	frame, err := m.Append(frames.take())
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return &outgoing{sequence: sequence, frame: frame}, nil
}

// newID returns a random (version 4) UUID.
func newID() wire.ID {
	var id wire.ID
	rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// admit waits until the window has room.
func (c *channel) admit(ctx context.Context) error {
	c.mu.Lock()
	if c.over != nil {
		defer c.mu.Unlock()
		return c.over
	}
	if len(c.waiting) == 0 && c.out.hasRoom() {
		c.mu.Unlock()
		return nil
	}
	w := &waiter{ready: make(chan struct{})}
	c.waiting = append(c.waiting, w)
	c.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-c.overDone:
		return c.over
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		for i, other := range c.waiting {
			if other == w {
				c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
				return context.Cause(ctx)
			}
		}
		c.admitNext() // w was let in just now and will not use its turn
		return context.Cause(ctx)
	}
}

// admitNext lets waiting senders in; each is assumed to fill a message. c.mu is held.
func (c *channel) admitNext() {
	free := c.out.window.size - c.out.inFlight
	for len(c.waiting) > 0 && free > 0 {
		close(c.waiting[0].ready)
		c.waiting = c.waiting[1:]
		free -= c.payload()
	}
}

// finish makes every present and later send fail with err. The first call wins.
func (c *channel) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over == nil {
		c.over = err
		close(c.overDone)
	}
}

// signal wakes the writer.
func (c *channel) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take is receive for a socket's reader, beside which there may be another one.
func (c *channel) take(frame []byte) error {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	return c.receive(frame)
}

// flushNow is flush for a socket's reader.
func (c *channel) flushNow() {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	c.flush()
}

// receive takes one frame from the socket. It never blocks. An error ends the session: the other side sends what cannot
// be understood (*GarbageError, *ProtocolError), or said that the session is closed (*closedError).
func (c *channel) receive(frame []byte) error {
	m, err := wire.Parse(frame)
	if err != nil {
		c.garbage++
		c.log.Warn("frame refused", "error", err, "bytes", len(frame))
		if c.garbage >= maxGarbage {
			return &GarbageError{Frames: c.garbage, Last: err}
		}
		return nil // not acknowledged: the agent sends it again
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
		// Those of the service are pauseOn's; the others are not for us.
	}
	return nil
}

func (c *channel) receiveData(m wire.Message) error {
	switch {
	case m.Sequence < c.expected:
		// Acknowledged again, or the agent resends this one for ever and repairs nothing behind it (protocol.md 9, P1).
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
			return // not acknowledged: it comes again
		}
		c.early[m.Sequence] = earlyMessage{kind: m.Payload, body: append([]byte(nil), m.Body...)}
		c.earlySize += len(m.Body)
		c.highest = max(c.highest, m.Sequence)
	}
	c.owe(m)
}

// countMissing works out how many messages are missing before the latest of those that came early.
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

// owe queues an acknowledge. It is queued as soon as the message is in memory: the agent does not slow down when
// acknowledges stop, it only loses its ability to repair (protocol.md 4).
func (c *channel) owe(m wire.Message) {
	now := time.Now()
	c.mu.Lock()
	if len(c.owed) == 0 {
		c.owedFrom = now
		c.ackTimer.Reset(2 * ackWithin) // in case nothing comes after it
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

// acknowledgeNow writes the acknowledges that still wait for others.
func (c *channel) acknowledgeNow() {
	c.mu.Lock()
	owed := len(c.owed)
	c.mu.Unlock()
	if owed > 0 {
		c.signal()
	}
}

func (c *channel) acknowledged(sequence int64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.acknowledge(sequence, now) {
		c.signal() // something else looks lost
	}
	c.admitNext()
}

// hold keeps back all that has to be sent until a moment.
func (c *channel) hold(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.pace.free = until
}

// soonest is when what is sent now will leave, as far as a rest is kept.
func (c *channel) soonest(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.out.pace.free) {
		return c.out.pace.free
	}
	return now
}

// attach tells the channel that a new socket carries it: all that is unacknowledged goes out again, in order.
func (c *channel) attach(now time.Time) {
	c.mu.Lock()
	c.out.rewind(now)
	c.mu.Unlock()
	c.pause(false) // the end of a pause may have been lost with the last one
	c.signal()
}

// collect appends to batch the frames to write now and says when to look again without being woken (zero: no need).
// The caller gives the frames back to the pool.
func (c *channel) collect(batch [][]byte, now time.Time) (_ [][]byte, again time.Time, _ error) {
	batch, more, err := c.collectAcks(batch, now)
	if err != nil {
		return batch, time.Time{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	batch, again = c.out.collect(batch, now)
	if more {
		again = now
	}
	return batch, again, nil
}

// collectAcks is collect's part for the acknowledges; it says whether there are more.
func (c *channel) collectAcks(batch [][]byte, now time.Time) (_ [][]byte, more bool, _ error) {
	c.mu.Lock()
	n := min(len(c.owed), batchFrames)
	c.acking = append(c.acking[:0], c.owed[:n]...)
	c.owed = c.owed[:copy(c.owed, c.owed[n:])]
	more = len(c.owed) > 0
	if n > 0 && !more {
		c.ackTimer.Stop()
	}
	c.mu.Unlock()
	for _, a := range c.acking {
		frame, err := c.encodeAck(a, now)
		if err != nil {
			return batch, false, err
		}
		batch = append(batch, frame)
	}
	return batch, more, nil
}

func (c *channel) encodeAck(a ack, now time.Time) ([]byte, error) {
	m := wire.Message{
		Type: wire.Acknowledge, Schema: 1, Created: wire.Millis(now), Flags: wire.FlagsAck, ID: newID(),
		Body: wire.AppendAckBody(make([]byte, 0, 192), wire.OutputStream, a.id, a.sequence),
	}
	return m.Append(frames.take())
}

// quiet is how long the other side has owed an acknowledge; 0 when it owes none.
func (c *channel) quiet(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.quiet(now)
}

// next is the sequence number of the next message.
func (c *channel) next() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.next
}

// oldest is the sequence number of the oldest message that is not acknowledged. The agent takes messages in order, so
// it has acted on none after it.
func (c *channel) oldest() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.oldest()
}

// figures returns the number of messages sent again and the smoothed round trip.
func (c *channel) figures() (resent uint64, roundTrip time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.resent, c.out.smoothed
}

// calm reports whether everything sent has been acknowledged, some time ago.
func (c *channel) calm(now time.Time, since time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.empty() && now.Sub(c.out.lastAck) >= since
}

// drained reports whether everything sent has been acknowledged.
func (c *channel) drained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.empty()
}
