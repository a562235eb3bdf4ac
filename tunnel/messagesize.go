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

// With Options.MessageSize at AutoMessageSize a session finds out how large a message the service and all that stands before it
// take. The agent takes 16 KiB at a time four times as fast as 1 KiB; whether AWS's service lets that through is not known
// (protocol.md 8).
//
// Sequence numbers count messages. Of one that is not acknowledged it is not known whether the agent has applied it, so it can
// only be sent again as it was: to shorten it would lose bytes, or double them. A size is therefore proved by a message that
// carries nothing of anybody's, a probe: it is filled with the mux's NOP frames, and one NOP means the same as a thousand of
// them. A probe that is not acknowledged is sent again under the same number as the shortest such message, whichever of the two
// the agent takes, or has taken already. Connection data goes out at a size only after a probe of that size has been acknowledged
// as it was first sent.
//
// Should data of a proved size not get through all the same, as a socket can lead to another machine than the last one, what is
// queued after it goes out small. The session is given up when it is certain that the size is the reason, as then nothing can
// be done for the message: its connections are reset.

// AutoMessageSize is the Options.MessageSize that finds out what the service takes.
const AutoMessageSize = -1

const (
	mostAutoSize = 16 << 10
	// probesLost without a word a size counts as refused: one may have been lost like any other message.
	probesLost = 2
	// cautiousFor no probe goes out after data of a proved size had trouble to get through.
	cautiousFor = time.Minute
	// backAfter a message of a proved size was sent so often, what follows goes out small.
	backAfter = 2
	// overtakenMost is how often it is sent while smaller ones sent after it are acknowledged, and none as large is. Mere
	// loss does not do that so often: where a tenth of the messages is lost, once in a hundred million.
	overtakenMost = 8
	// closedMost is how many sockets in a row are closed that began with such a message and brought no acknowledge.
	closedMost = 4
)

// OversizeError ends a session that has sent a message which is larger than the service takes.
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

// sizer finds the size of a session's messages. The lock of the channel guards it. A nil one does nothing.
type sizer struct {
	sizes   *Sizes // nil before the session can send probes
	service string
	base    int
	room    atomic.Int64 // payload bytes of a message: what the last probe that was good had

	size    int       // the size that is in use
	clean   int       // bytes acknowledged since something was sent again, or the last change of size
	probe   *outgoing // under way
	trying  int       // its size
	whole   bool      // the socket in use was given the probe in its full size
	lost    int       // probes of that size that were lost in a row
	bad     int       // the least size that was refused; 0: none was
	quietly time.Time // no probes before

	largest int64 // sequence number of the latest message of data that is larger than base and was acknowledged
	closed  int   // sockets in a row that were closed on a message larger than base
	stuck   bool  // such a message has been sent repeatedly
	refused int   // the size that ends the session; 0: none
}

func newSizer(base int) *sizer {
	z := &sizer{base: base, size: base}
	z.room.Store(int64(base))
	return z
}

// large reports whether a message of data is larger than what goes out anyway.
func (z *sizer) large(o *outgoing) bool {
	return z.sizes != nil && o.shorter == nil && len(o.frame) > z.base+wire.Overhead
}

// next is the size to try now; 0 for none.
func (z *sizer) next(window int, now time.Time) int {
	if z == nil || z.sizes == nil || z.probe != nil || z.size == mostAutoSize || z.clean == 0 || now.Before(z.quietly) {
		return 0
	}
	size := 2 * z.size
	good, bad := z.sizes.at(z.service, now)
	switch {
	case good >= size && z.lost == 0: // it was proved before
		size = good
	case z.clean < window:
		return 0
	}
	if bad > 0 && size >= bad || z.bad > 0 && size >= z.bad {
		return 0
	}
	return size
}

// acknowledged takes an acknowledge in.
func (z *sizer) acknowledged(o *outgoing, now time.Time) {
	switch {
	case z == nil:
		return
	case o == z.probe:
		z.probe = nil
		if o.shorter != nil { // it was never sent again
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

// again is called before a message is sent again, and shortens a probe. It returns by how much that is less to have under way.
func (z *sizer) again(o *outgoing, newest, now time.Time) (less int) {
	if z == nil {
		return 0
	}
	z.clean = 0
	if o == z.probe && o.shorter != nil {
		less = len(o.frame) - len(o.shorter)
		frames.give(o.frame)
		o.frame, o.shorter = o.shorter, nil
		z.whole = true
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
	if newest.After(o.lastSent) && z.largest < o.sequence {
		if o.overtaken++; o.overtaken >= overtakenMost {
			z.giveUp(now)
		}
	}
	return 0
}

// attached is called when another socket carries the session; oldest is the first message that is not acknowledged, or nil,
// heard whether the last socket has brought an acknowledge.
func (z *sizer) attached(oldest *outgoing, heard bool, now time.Time) {
	if z == nil {
		return
	}
	z.whole = false
	switch {
	case heard || oldest == nil || oldest.tries == 0 || !z.large(oldest):
		z.closed = 0
	default:
		z.back(now)
		if z.closed++; z.closed >= closedMost {
			z.giveUp(now)
		}
	}
}

// tooBig is called when the service has closed the socket over the size of a message; under way is what it may have meant.
func (z *sizer) tooBig(underWay []*outgoing, now time.Time) {
	if z == nil {
		return
	}
	// The probe is meant even if it has been shortened since: the service may be slow to say so.
	if z.probe != nil && z.probe.tries > 0 && (z.probe.shorter != nil || z.whole) {
		z.refuse(z.trying, now)
		return
	}
	for _, o := range underWay {
		if !o.acked && z.large(o) {
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

// back has what follows go out small.
func (z *sizer) back(now time.Time) {
	z.stuck = true
	z.size, z.clean, z.quietly = z.base, 0, now.Add(cautiousFor)
	z.room.Store(int64(z.base))
}

// giveUp ends the session. What got through before is not known to do so any more: the next one starts from the bottom.
func (z *sizer) giveUp(now time.Time) {
	if z.refused == 0 {
		good, _ := z.sizes.at(z.service, now)
		z.refused = max(good, z.size, 2*z.base)
		z.back(now)
		z.refuse(z.refused, now)
	}
}

// startSizes has the channel try larger messages from now on. Only the mux has frames that mean nothing.
func (c *channel) startSizes(sizes *Sizes, service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if z := c.out.sizer; z != nil {
		z.sizes, z.service = sizes, service
	}
}

// withProbe appends a probe to a batch of data, if it is time for one. c.sendMu is held, and the batch ends on a frame's end.
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
	count := (room - 1) / len(nop) // leaves the byte of a seam
	body, _ := c.seam(bytes.Repeat(nop, count), room)
	long, err := c.encode(wire.Output, sequence, body)
	if err != nil {
		return nil, err
	}
	short, err := c.encode(wire.Output, sequence, body[(count-1)*len(nop):]) // with the same seams
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

// closedBy takes note of how a socket has ended.
func (c *channel) closedBy(err error) {
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok && closed.Code == websocket.CloseMessageTooBig {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.out.sizer.tooBig(c.out.unacked[:c.out.unsent], time.Now())
	}
}

// sized returns the size of messages in use, and the one that was refused with data in it, which ends the session; 0 for none.
// Asking is true while a small message would show whether it is the size that keeps one from getting through.
func (c *channel) sized() (size, refused int, asking bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if z := c.out.sizer; z != nil {
		return z.size, z.refused, z.stuck && !c.out.empty()
	}
	return c.size, 0, false
}

// oversize is why the session is over when it has sent data in a message that is too large; nil when it has not.
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

// heedSize looks after the size of the lane's messages, and returns why the session is over, if so.
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
