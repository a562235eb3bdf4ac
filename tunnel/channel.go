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
	maxReorder      = 10_000   // messages that arrived before their predecessors; AWS's own client keeps as many
	maxReorderBytes = 16 << 20 // bytes of the payloads of those messages
	maxOwedAcks     = 100_000  // acknowledges not yet written; one more is dropped, and the agent sends its message again
	maxGarbage      = 16       // frames in a row that cannot be parsed; the session is given up then
)

// Acknowledges are gathered, so that many share one wake-up of the writer and one write: until there are acksTogether, or the
// first of them has waited ackWithin. The agent does not send slower for that. Nor does it send the messages again: its resend
// timer, which it looks at every 100 ms, allows the round trip, four times its variation and 10 ms at the least (protocol.md 4).
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
	size    int                                  // payload bytes per message
	seal    *sealer                              // encrypts stream data where the account wants that (KMS); else nil
	deliver func(wire.PayloadType, []byte) error // takes one payload; receive calls it in the order of the stream. Must not block or keep its argument
	flush   func()                               // says that no payload follows for now; the caller of receive calls it
	onPause func(paused bool)                    // is told when the service says that the agent is away, and back; must not block
	strand  bool                                 // what the session carries is a strand of a relay's bundle
	wake    chan struct{}                        // wakes the writer, as collect has frames for it; capacity 1

	onAway func(away bool) // is told the same right after onPause, to judge the messages that were under way; must not block

	heard  atomic.Int64 // when the agent was last heard, in unix nanoseconds
	served atomic.Int64 // when the service was last heard, its pongs included, in unix nanoseconds

	sendMu    sync.Mutex   // orders senders: sequence order is wire order
	seams     atomic.Bool  // messages are shifted against the bounds of mux frames, see seam
	seamsFrom atomic.Int64 // sequence number of the first message that is; math.MaxInt64 before there is one
	ahead     bool         // the first byte of the next mux frame has been sent already; under sendMu

	missing *atomic.Int64 // messages that were lost on their way here and that the agent has not sent again yet

	mu       sync.Mutex
	out      sender
	waiting  []*waiter // senders that wait for room in the window, first come first served
	over     error     // set once: nothing can be sent any more
	overDone chan struct{}
	owed     []ack     // acknowledges that are still to be written
	owedFrom time.Time // when the first of owed came
	ackTimer *time.Timer

	acking []ack // the acknowledges that collectAcks is encoding outside the lock; kept between calls so that their memory is used again

	receiving sync.Mutex // held by the socket whose frame is taken in: during a handover there are two sockets
	// Only receive touches what follows.
	expected  int64                  // sequence number of the message that comes next in the stream
	early     map[int64]earlyMessage // messages that came before expected, by sequence number
	earlySize int                    // bytes of their payloads
	highest   int64                  // the highest sequence number that was ever in early
	garbage   int                    // frames in a row that could not be parsed
}

// ack is an acknowledge that is owed to the agent: for the message with this id and sequence number.
type ack struct {
	id       wire.ID
	sequence int64
}

// earlyMessage is the payload of a message whose predecessors have not come yet.
type earlyMessage struct {
	kind wire.PayloadType
	body []byte
}

// waiter is a sender that waits for room in the window; ready is closed when it may send.
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

// room is how many bytes of stream data a message can carry.
func (c *channel) room() int {
	if c.seal != nil {
		return c.payload() - sealOverhead
	}
	return c.payload()
}

// payload is how many bytes the payload of a message has; encryption takes sealOverhead of them.
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

// push queues body even where the window has no room: for the few bytes that open or close a stream or the session, and for
// send, which has waited for room. It does not block. The error is that of a session that is over.
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
	if kind == wire.Output && c.seal != nil { // in this order: messages of other kinds are sent before c.seal is set, by another goroutine
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

// admit waits until the window has room for another message. Senders have their turns in the order in which they came. The error is
// ctx's, or why the session is over.
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

// acknowledgeNow has the writer write the acknowledges that are still being gathered.
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
		c.signal() // an earlier message may be lost: the writer is to look
	}
	c.admitNext()
}

// hold keeps back every message, but no acknowledge, until a moment.
func (c *channel) hold(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.pace.free = until
}

// soonest is when a message that is queued now may leave: later than now where hold or the ceiling on the rate keeps it back.
func (c *channel) soonest(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.out.pace.free) {
		return c.out.pace.free
	}
	return now
}

// attach tells the channel that a new socket carries it: every message that is not acknowledged is written again, in order. A
// pause lasts on: the oldest message is written at once, and the others when the agent has answered that.
func (c *channel) attach(now time.Time) {
	c.mu.Lock()
	c.out.rewind(now)
	c.mu.Unlock()
	c.signal()
}

// collect appends to batch the frames that are to be written now, acknowledges first, and says when the writer is to call collect
// again even if nothing wakes it; zero if only a wake-up is reason for that. The caller gives the frames back to the pool when
// they are written.
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

// collectAcks is the part of collect for acknowledges; more says that some are left for the next call.
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

// quiet is how long the agent has owed an acknowledge; 0 when it owes none.
func (c *channel) quiet(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.quiet(now)
}

// next is the sequence number that the next message to the agent will have.
func (c *channel) next() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.next
}

// oldest is the sequence number of the oldest message that the agent has not acknowledged. As the agent takes messages in
// order, it has acted on no later one either.
func (c *channel) oldest() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.oldest()
}

// figures returns how many messages were sent again so far, and the smoothed round trip (0 before it was measured).
func (c *channel) figures() (resent uint64, roundTrip time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.resent, c.out.smoothed
}

// calm reports whether every message is acknowledged, and the last acknowledge came at least the duration since before now.
func (c *channel) calm(now time.Time, since time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.empty() && now.Sub(c.out.lastAck) >= since
}

// drained reports whether every message that was queued is acknowledged.
func (c *channel) drained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.empty()
}
