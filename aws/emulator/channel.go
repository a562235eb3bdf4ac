package emulator

import (
	"container/list"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"culvert/aws/wire"
)

// How the agent repeats messages (protocol.md 4).
const (
	resendEvery   = 100 * time.Millisecond
	firstRTT      = 100 * time.Millisecond
	firstRTO      = 200 * time.Millisecond
	longestRTO    = time.Second
	clockGrain    = 10 * time.Millisecond
	channelBuffer = 100_000 // messages: unacknowledged ones, and ones that arrived early
)

// channel is the agent's end of the data channel, with the habits of the real one: it does not slow down when acknowledges are
// missing, repeats only the oldest message, and keeps channelBuffer messages at most.
type channel struct {
	emit   func(frame []byte)      // sends to the service; what cannot be sent is lost
	take   func(wire.Message) bool // handles a message in the order of the numbers; false means that it is not ready for it
	paused atomic.Bool             // the service has said that the client is away
	cuts   atomic.Int64            // how often the socket was cut, as its writer has noticed
	seal   atomic.Pointer[encryption]

	sending sync.Mutex // makes the order on the wire that of the sequence numbers
	next    int64

	mu      sync.Mutex
	unacked list.List // of *sent, oldest first
	bySeq   map[int64]*list.Element
	rtt     float64 // smoothed round trip in nanoseconds; rttvar is its variation
	rttvar  float64
	rto     time.Duration

	receiving sync.Mutex // held by receive; guards the fields below
	expected  int64
	early     map[int64]wire.Message
	deaf      bool
}

type sent struct {
	sequence int64
	frame    []byte
	at       time.Time
}

func (c *channel) start(emit func([]byte), take func(wire.Message) bool) {
	c.emit, c.take = emit, take
	c.bySeq, c.early = map[int64]*list.Element{}, map[int64]wire.Message{}
	c.rtt, c.rto = float64(firstRTT), firstRTO
}

// send gives a payload a sequence number and sends it. Empty payloads are dropped, as by the agent.
func (c *channel) send(kind wire.PayloadType, body []byte) {
	if len(body) == 0 {
		return
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if e := c.seal.Load(); e != nil && (kind == wire.Output || kind == wire.StdErr || kind == wire.ExitCode) {
		body = e.encrypt(body)
	}
	m := wire.Message{
		Type: wire.OutputStream, Schema: 1, Created: wire.Millis(time.Now()), Sequence: c.next, ID: wire.ID(uuid.New()), Payload: kind, Body: body,
	}
	if c.next == 0 {
		m.Flags = wire.FlagSyn
	}
	frame, err := m.Append(make([]byte, 0, wire.Overhead+len(body)))
	if err != nil {
		return // cannot happen: the type is a constant, and the body is not empty
	}
	c.next++
	if !c.paused.Load() {
		c.emit(frame)
	}
	// The message is recorded only now, as by the agent: an acknowledge that is back before that finds nothing, and the message
	// is repeated.
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unacked.Len() < channelBuffer {
		c.bySeq[m.Sequence] = c.unacked.PushBack(&sent{sequence: m.Sequence, frame: frame, at: time.Now()})
	}
}

// resend repeats the oldest unacknowledged message when it is due.
func (c *channel) resend(now time.Time) {
	if c.paused.Load() {
		return
	}
	c.mu.Lock()
	oldest := c.unacked.Front()
	var frame []byte
	if oldest != nil {
		if s := oldest.Value.(*sent); now.Sub(s.at) > c.rto { //nolint:forcetypeassert // the list holds nothing else
			s.at, frame = now, s.frame
		}
	}
	c.mu.Unlock()
	if frame != nil {
		c.emit(frame)
	}
}

// unacknowledged is how many messages the client has not acknowledged yet.
func (c *channel) unacknowledged() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unacked.Len()
}

// receive handles a frame from the service. It blocks while the destination does not read: until then the agent neither sends
// nor reads acknowledges (A6 of protocol.md 9).
func (c *channel) receive(frame []byte) {
	cuts := c.cuts.Load()
	c.receiving.Lock()
	defer c.receiving.Unlock()
	if c.deaf {
		return
	}
	m, err := wire.Parse(frame)
	switch {
	case errors.Is(err, wire.ErrShort), errors.Is(err, wire.ErrHeader):
		c.deaf = true // the agent's reader panics, and the agent is silent from then on (protocol.md 3)
		return
	case err != nil:
		return
	}
	switch m.Type {
	case wire.InputStream:
		c.paused.Store(false)
		c.sequence(m, cuts)
	case wire.Acknowledge:
		c.paused.Store(false)
		if n, err := wire.ParseAckSequence(m.Body); err == nil {
			c.acknowledged(n, time.Now())
		}
	case wire.StartPublication:
		c.paused.Store(false)
	case wire.PausePublication:
		c.paused.Store(true)
	}
}

// settle waits until the message that is being received has been acknowledged.
func (c *channel) settle() {
	c.receiving.Lock()
	defer c.receiving.Unlock()
}

// sequence handles a stream message in the order of sequence numbers. When the socket through which a message came has been cut
// before its acknowledge is written, the message is handled but not counted: it will be handled once more (A10 of
// docs/faults.md).
func (c *channel) sequence(m wire.Message, cuts int64) {
	switch {
	case m.Sequence < c.expected:
		c.acknowledge(m)
	case m.Sequence > c.expected:
		if len(c.early) < channelBuffer {
			c.acknowledge(m)
			c.early[m.Sequence] = m
		}
	case c.take(m):
		if c.cuts.Load() != cuts {
			return
		}
		c.expected++
		c.acknowledge(m)
		for {
			m, ok := c.early[c.expected]
			if !ok || !c.take(m) {
				return
			}
			delete(c.early, c.expected)
			c.expected++
		}
	}
}

func (c *channel) acknowledge(m wire.Message) {
	body := wire.AppendAckBody(make([]byte, 0, 200), m.Type, m.ID, m.Sequence)
	ack := wire.Message{
		Type: wire.Acknowledge, Schema: 1, Created: wire.Millis(time.Now()), Flags: wire.FlagsAck, ID: wire.ID(uuid.New()), Body: body,
	}
	if frame, err := ack.Append(make([]byte, 0, wire.Overhead+len(body))); err == nil {
		c.emit(frame)
	}
}

// acknowledged drops a message that has arrived, and learns from its round trip.
func (c *channel) acknowledged(n int64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.bySeq[n]
	if !ok {
		return
	}
	delete(c.bySeq, n)
	trip := float64(now.Sub(c.unacked.Remove(element).(*sent).at)) //nolint:forcetypeassert // the list holds nothing else
	c.rttvar += (math.Abs(c.rtt-trip) - c.rttvar) / 4
	c.rtt += (trip - c.rtt) / 8
	c.rto = min(time.Duration(c.rtt+max(float64(clockGrain), 4*c.rttvar)), longestRTO)
}
