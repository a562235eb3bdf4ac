package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"culvert/aws/wire"
)

// With Options.MessageSize at AutoMessageSize a session finds out how large a message the service, and what stands between it and
// culvert, let through. The agent takes messages of 16 KiB about four times as fast as messages of 1 KiB; whether AWS's service
// lets them through is not known (protocol.md 8 and 11).
//
// Sequence numbers count messages, not bytes. Nobody knows whether the agent has applied a message that is not acknowledged, so
// it can only be sent again as it was: a shorter message under the same number would lose bytes, or double them. A size is
// therefore first tried by a message without data of connections, a probe: it is filled with NOP frames of the mux, and one NOP
// means as little as a thousand of them. So a probe that is not acknowledged can be sent again under the same number as the
// shortest such message, whichever of the two the agent takes or has taken already. Data of connections goes out at a size only
// after a probe of that size was acknowledged as it was first sent.
//
// Data of a proved size may still not get through, as a new socket can lead to another machine than the last one. Then what is
// queued after it goes out in small messages. The session is given up, and its connections are reset, once it is certain that the
// size is the reason, as nothing else can be done about the message.

// AutoMessageSize is the Options.MessageSize with which each session finds out how large its messages may be.
const AutoMessageSize = -1

const (
	// mostAutoSize is the largest size that is tried.
	mostAutoSize = 16 << 10
	// probesLost is how many probes in a row have to be lost for their size to count as refused: a single one may have been lost
	// like any other message.
	probesLost = 2
	// cautiousFor is how long no probe goes out after data of a proved size had trouble getting through.
	cautiousFor = time.Minute
	// backAfter is how often a large message of data has to have been sent, without an acknowledge, for what follows to go out
	// small.
	backAfter = 2
	// overtakenMost is how often such a message is sent again, while smaller messages that were sent after it are acknowledged
	// and none as large is, before the session is given up. Mere loss hardly does that so often: where a tenth of the messages is
	// lost, once in a hundred million.
	overtakenMost = 8
	// closedMost is how many sockets in a row have to be closed, without having brought an acknowledge, while such a message was
	// the oldest one that they carried, before the session is given up.
	closedMost = 4
)

// OversizeError ends a session that has sent data in a message which is larger than the service takes.
type OversizeError struct {
	Session string
	Size    int // bytes of payload
}

func (e *OversizeError) Error() string {
	return fmt.Sprintf("session %s: the service does not take messages of %d bytes any more, and one was under way", e.Session, e.Size)
}

// Remedy says what happens next.
func (e *OversizeError) Remedy() string {
	return "another session follows with smaller messages; --message-size 1024 keeps to the size that AWS's own client has"
}

// sizer finds the size of a session's messages, in bytes of payload. The channel's lock guards it, but for room. A nil sizer does
// nothing.
type sizer struct {
	sizes   *Sizes       // what sessions have found out; nil before the session can send probes
	service string       // the service's name in sizes, see lane.service
	base    int          // the size of small messages, that of Options
	room    atomic.Int64 // how many bytes of payload a message gets: as many as the last probe that got through had

	size    int       // the size that is in use
	clean   int       // bytes acknowledged since a message was last sent again, or the size last changed
	probe   *outgoing // the probe under way; nil for none
	trying  int       // the size of the last probe
	whole   bool      // the probe was shortened on the socket in use, which had been given it in its full size before
	lost    int       // probes of the size trying that were lost in a row
	bad     int       // the least size that was refused; 0 for none
	quietly time.Time // no probe is sent before

	largest int64 // sequence number of the latest message of data that is larger than base and was acknowledged
	closed  int   // sockets in a row that were closed on a message larger than base
	stuck   bool  // such a message had to be sent repeatedly, and none as large has been acknowledged since
	refused int   // the size of data with which the session is to end; 0 for none
}

func newSizer(base int) *sizer {
	z := &sizer{base: base, size: base}
	z.room.Store(int64(base))
	return z
}

// large reports whether a message is one of data that is larger than base.
func (z *sizer) large(o *outgoing) bool {
	return z.sizes != nil && o.shorter == nil && len(o.frame) > z.base+wire.Overhead
}

// next returns the size to try now; 0 for none. A size is tried when a window's worth of bytes was acknowledged without a loss;
// one that another session has proved, at once.
func (z *sizer) next(window int, now time.Time) int {
	if z == nil || z.sizes == nil || z.probe != nil || z.size == mostAutoSize || z.clean == 0 || now.Before(z.quietly) {
		return 0
	}
	size := 2 * z.size
	good, bad := z.sizes.at(z.service, now)
	switch {
	case good >= size && z.lost == 0: // another session has proved that size
		size = good
	case z.clean < window:
		return 0
	}
	if bad > 0 && size >= bad || z.bad > 0 && size >= z.bad {
		return 0
	}
	return size
}

// acknowledged is called for each message that is acknowledged.
func (z *sizer) acknowledged(o *outgoing, now time.Time) {
	switch {
	case z == nil:
		return
	case o == z.probe:
		z.probe = nil
		if o.shorter != nil { // the probe was never shortened, so that its size got through
			z.size, z.clean, z.lost = z.trying, 0, 0
			z.room.Store(int64(len(o.frame) - wire.Overhead))
			z.sizes.good(z.service, z.size, now)
		}
		return
	case z.large(o):
		z.closed, z.stuck = 0, false
		z.largest = max(z.largest, o.sequence)
	}
	if o.tries == 1 {
		z.clean += len(o.frame)
	}
}

// again is called before a message is sent again. It shortens a probe, and returns by how many bytes.
func (z *sizer) again(o *outgoing, newest, now time.Time) (less int) {
	if z == nil {
		return 0
	}
	z.clean = 0
	if o == z.probe && o.shorter != nil {
		less = len(o.frame) - len(o.shorter)
		frames.give(o.frame)
		o.frame, o.shorter = o.shorter, nil
		z.whole = o.carried()
		if z.lost++; z.lost >= probesLost {
			z.refuse(z.trying, now)
		}
		return less
	}
	if !z.large(o) {
		return 0
	}
	if o.tries >= backAfter {
		z.back(now)
	}
	if o.carried() && newest.After(o.lastSent) && z.largest < o.sequence {
		if o.overtaken++; o.overtaken >= overtakenMost {
			z.giveUp(now)
		}
	}
	return 0
}

// attached is called when another socket carries the session; what messages say of the socket in use is still about the last one.
// oldest is the first message that is not acknowledged, or nil; heard says whether the last socket has brought an acknowledge.
func (z *sizer) attached(oldest *outgoing, heard bool, now time.Time) {
	if z == nil {
		return
	}
	z.whole = false
	switch {
	case heard || oldest == nil || !oldest.carried() || !z.large(oldest):
		z.closed = 0
	default:
		z.back(now)
		if z.closed++; z.closed >= closedMost {
			z.giveUp(now)
		}
	}
}

// tooBig is called when the service has closed the socket because a message was too large. underWay are the messages that it may
// have meant.
func (z *sizer) tooBig(underWay []*outgoing, now time.Time) {
	if z == nil {
		return
	}
	// The service may be slow to close the socket, so it means the probe even if that has been shortened on this socket since.
	if z.probe != nil && z.probe.carried() && (z.probe.shorter != nil || z.whole) {
		z.refuse(z.trying, now)
		return
	}
	for _, o := range underWay {
		if !o.acked && o.carried() && z.large(o) {
			z.giveUp(now)
			return
		}
	}
}

// refuse notes that a size does not get through.
func (z *sizer) refuse(size int, now time.Time) {
	z.bad, z.lost = size, 0
	z.sizes.bad(z.service, size, now)
}

// back goes back to the size base for what is queued from now on.
func (z *sizer) back(now time.Time) {
	z.stuck = true
	z.size, z.clean, z.quietly = z.base, 0, now.Add(cautiousFor)
	z.room.Store(int64(z.base))
}

// giveUp has the session end (refused), and notes that no size above base is known to get through any more, so that the next
// session starts from the bottom.
func (z *sizer) giveUp(now time.Time) {
	if z.refused == 0 {
		good, _ := z.sizes.at(z.service, now)
		z.refused = max(good, z.size, 2*z.base)
		z.back(now)
		z.refuse(z.refused, now)
	}
}

// startSizes has the channel try larger messages from now on. Only sessions with a mux can, as only the mux has frames that mean
// nothing.
func (c *channel) startSizes(sizes *Sizes, service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if z := c.out.sizer; z != nil {
		z.sizes, z.service = sizes, service
	}
}

// withProbe appends a probe to a batch of data, if it is time for one. c.sendMu is held, and the batch ends at the end of a mux
// frame.
func (c *channel) withProbe(batch []*outgoing, sequence int64) ([]*outgoing, error) {
	c.mu.Lock()
	size := 0
	if !c.out.paused {
		size = c.out.sizer.next(c.out.window.size, time.Now())
	}
	c.mu.Unlock()
	if size == 0 {
		return batch, nil
	}
	room := size
	if c.seal != nil {
		room -= sealOverhead
	}
	nop := wire.MuxFrame{Command: wire.MuxNop}.Append(nil)
	count := (room - 1) / len(nop) // leaves room for the byte that seam may append
	body, _ := c.seam(bytes.Repeat(nop, count), room)
	long, err := c.encode(wire.Output, sequence, body)
	if err != nil {
		return nil, err
	}
	short, err := c.encode(wire.Output, sequence, body[(count-1)*len(nop):]) // the last NOP, shifted against the message as the long body is
	if err != nil {
		return nil, err
	}
	long.shorter = short.frame
	c.mu.Lock()
	if z := c.out.sizer; z.trying != size {
		z.trying, z.lost = size, 0
	}
	c.out.sizer.probe = long
	c.mu.Unlock()
	c.log.Debug("trying larger messages", "bytes", size)
	return append(batch, long), nil
}

// closedBy is told with which error a socket has ended.
func (c *channel) closedBy(err error) {
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok && closed.Code == websocket.CloseMessageTooBig {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.out.sizer.tooBig(c.out.unacked[:c.out.unsent], time.Now())
	}
}

// sized returns the size of messages in use, and the size of data that was refused, with which the session is to end; 0 for none.
// asking is true while a large message does not get through: whether a small one does would show if the size is the reason.
func (c *channel) sized() (size, refused int, asking bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if z := c.out.sizer; z != nil {
		return z.size, z.refused, z.stuck && !c.out.empty()
	}
	return c.size, 0, false
}

// oversize returns an *OversizeError when the session has sent data in a message that is too large, else nil.
func (l *lane) oversize() error {
	if _, refused, _ := l.channel.sized(); refused > 0 {
		return &OversizeError{Session: l.session.ID, Size: refused}
	}
	return nil
}

// service names the message service that the session's messages go through, by region and endpoint.
func (l *lane) service() string {
	at := l.client.StreamEndpoint()
	if u, err := url.Parse(l.stream); at == "" && err == nil {
		at = u.Host
	}
	return l.client.Region() + " " + at
}

// heedSize saves what was found out about sizes, and sends a small message where that is asked for. Its error ends the session.
func (l *lane) heedSize() error {
	l.options.sizes.save(l.log)
	if err := l.oversize(); err != nil {
		return err
	}
	size, _, asking := l.channel.sized()
	if size != l.size {
		l.log.Debug("message size", "bytes", size)
		l.size = size
	}
	if asking {
		if m, many := l.carrier.(*mux); many {
			_ = m.keepAlive() // fails when the session is over
		}
	}
	return nil
}
