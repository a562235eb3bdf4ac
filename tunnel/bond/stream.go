package bond

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	bulkUnsent = 16 << 10 // waiting bytes that make a stream bulk
	bulkRecent = 32 << 10 // recently written ones that do
	forgetHalf = 125 * time.Millisecond
)

// errStopped is what a writer is told when the far end reads no more.
var errStopped = fmt.Errorf("the far end reads no more: %w", syscall.EPIPE)

// Stream is one connection through a bundle. It is safe for one reader and one writer at a time, and Close with either.
type Stream struct {
	e    *end
	id   uint32
	port uint16 // of the far end

	reads, writes      sync.Mutex
	readable, writable chan struct{}
	readBy, writeBy    deadline
	opened             chan struct{} // closed when the outcome is known
	isOpen             bool
	err                error  // why it is over
	closed             bool   // by Close
	onStop             func() // of the far end: nobody wants what is to be sent

	in                received
	granted, consumed uint64
	reserved          uint64 // of the credit budget: granted and not consumed
	eaten             appetite
	credit            *frame // the last that was sent
	unread            bool   // nobody reads any more

	sending sending
	queued  bool // among those with something unsent
	wroteAt time.Time
	recent  float64 // bytes that were written, half of them forgotten with each forgetHalf
}

// sending is what is to be sent of a stream.
type sending struct {
	credit  uint64 // that the far end has given
	written uint64 // of the stream, by whoever writes
	cut     uint64 // into frames
	pieces  queue[[]byte]
	held    uint64 // written and not arrived
	fin     bool   // nothing more is written
	finCut  bool   // and that is in a frame
	finDone bool   // that has arrived
	over    bool   // nothing is sent any more
}

func (s *sending) unsent() uint64 { return s.written - s.cut }

func newStream(e *end, id uint32) *Stream {
	return &Stream{
		e: e, id: id, readable: make(chan struct{}, 1), writable: make(chan struct{}, 1), opened: make(chan struct{}),
		readBy: deadline{expired: make(chan struct{})}, writeBy: deadline{expired: make(chan struct{})},
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// asked takes the request to open the stream, at the far end.
func (s *Stream) asked(h header, payload []byte) error {
	if s.isOpen {
		return nil
	}
	s.isOpen, s.port, s.sending.credit = true, binary.BigEndian.Uint16(payload), h.offset
	s.e.accept(s)
	return nil
}

// connected takes the good outcome, at the near end.
func (s *Stream) connected(credit uint64) {
	if !s.isOpen {
		s.isOpen = true
		close(s.opened)
	}
	s.allowed(credit)
}

// allowed takes credit.
func (s *Stream) allowed(credit uint64) {
	if credit > s.sending.credit {
		s.sending.credit = credit
		signal(s.writable)
	}
}

// arrived takes data.
func (s *Stream) arrived(h header, payload []byte) error {
	end := h.offset + uint64(len(payload))
	switch {
	case s.unread:
		return nil
	case end > s.granted:
		return &protocolError{fmt.Sprintf("data up to %d of %d", end, s.granted)}
	case s.in.ended && end > s.in.end, h.flags&flagFin != 0 && !s.in.last(end):
		return &protocolError{"data behind the end of a stream"}
	}
	s.in.add(h.offset, payload)
	if len(s.in.later) > segmentLimit {
		return &protocolError{"a stream in crumbs"}
	}
	signal(s.readable)
	s.sweep()
	return nil
}

// stopped takes that nobody reads at the other end.
func (s *Stream) stopped() {
	if s.sending.over {
		return
	}
	s.quit()
	signal(s.writable)
	s.sweep()
}

// quit gives up what was to be sent.
func (s *Stream) quit() {
	s.sending.over = true
	s.sending.pieces = queue[[]byte]{}
	s.e.hold.give(s.sending.held)
	s.sending.held = 0
	s.sending.cut = s.sending.written
	if s.onStop != nil {
		go s.onStop()
	}
}

// abort ends the stream at once.
func (s *Stream) abort(err error) {
	if s.err == nil {
		s.err = err
	}
	if s.e.accept == nil && !s.isOpen {
		s.isOpen = true
		close(s.opened)
	}
	if !s.sending.over {
		s.quit()
	}
	s.unread = true
	if !s.in.complete() { // what has come whole can be read still
		s.in.forget()
	}
	s.remove()
	signal(s.readable)
	signal(s.writable)
}

// breakOff ends the stream at once and tells the other end.
func (s *Stream) breakOff(why reason) {
	if s.gone() {
		return
	}
	s.e.command(header{kind: kindReset, stream: s.id}, byte(why))
	s.abort(why.err())
}

func (s *Stream) gone() bool { return s.e.streams[s.id] != s }

// sweep removes a stream of which nothing is to come.
func (s *Stream) sweep() {
	if (s.sending.over || s.sending.finDone) && (s.unread || s.in.done()) {
		s.remove()
	}
}

func (s *Stream) remove() {
	if s.gone() {
		return
	}
	delete(s.e.streams, s.id)
	delete(s.e.starved, s)
	delete(s.e.crowded, s)
	s.e.credit.give(s.reserved)
	s.reserved = 0
}

// delivered is called when a frame of the stream has arrived.
func (s *Stream) delivered(f *frame) {
	if s.sending.over {
		return
	}
	s.sending.held -= uint64(f.length)
	s.e.hold.give(uint64(f.length))
	if f.flags&flagFin != 0 {
		s.sending.finDone = true
		s.sweep()
	}
	signal(s.writable)
}

// finDue reports whether the end of the stream is to be sent by itself.
func (s *Stream) finDue() bool {
	return s.sending.fin && !s.sending.finCut && !s.sending.over
}

// cutFrame makes the next frame of what is unsent, and queues the stream again when there is more.
func (s *Stream) cutFrame(q *queue[*Stream]) *frame {
	f := &frame{header: header{kind: kindData, stream: s.id, offset: s.sending.cut}, of: s}
	if s.sending.pieces.len() > 0 {
		f.payload = s.sending.pieces.pop()
		f.length = uint16(len(f.payload)) //nolint:gosec // no more than frameSize
		s.sending.cut += uint64(f.length)
	}
	if s.sending.fin && s.sending.unsent() == 0 {
		f.flags, s.sending.finCut = flagFin, true
	}
	if s.queued = s.sending.unsent() > 0; s.queued {
		q.push(s)
	}
	signal(s.writable)
	return f
}

// isBulk reports whether the stream carries much at the moment.
func (s *Stream) isBulk(now time.Time) bool {
	return s.sending.unsent() >= bulkUnsent || s.recently(now) > bulkRecent
}

func (s *Stream) recently(now time.Time) float64 {
	return s.recent * math.Exp2(-float64(now.Sub(s.wroteAt))/float64(forgetHalf))
}

// enqueue has something sent that is unsent.
func (s *Stream) enqueue(now time.Time) {
	if !s.queued {
		s.queued = true
		if s.isBulk(now) {
			s.e.bulk.push(s)
		} else {
			s.e.interactive.push(s)
		}
	}
	if s.e.free == nil && len(s.e.strands) > 1 && !s.isBulk(now) {
		s.e.keepFree(now)
	}
	s.e.rouse()
	s.e.kick(now)
}

// space is how much may be written now, with the error of writing.
func (s *Stream) space() (uint64, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case s.closed:
		return 0, net.ErrClosed
	case s.sending.fin:
		return 0, io.ErrClosedPipe
	case s.sending.over:
		return 0, errStopped
	}
	return min(s.sending.credit-s.sending.written, unsentLimit-min(s.sending.unsent(), unsentLimit)), nil
}

// put takes some of p, as much as there is space for.
func (s *Stream) put(p []byte) (int, error) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	space, err := s.space()
	if err != nil {
		return 0, err
	}
	n := s.e.hold.some(min(space, uint64(len(p))))
	if n == 0 {
		if space > 0 {
			s.e.crowded[s] = struct{}{}
			s.e.rouse()
		}
		return 0, nil
	}
	now := time.Now()
	s.recent = s.recently(now) + float64(n)
	s.wroteAt = now
	s.sending.written += n
	s.sending.held += n
	s.fill(p[:n])
	s.enqueue(now)
	return int(n), nil //nolint:gosec // no more than len(p)
}

// fill adds to the pieces that become frames.
func (s *Stream) fill(p []byte) {
	if waiting := s.sending.pieces.all(); len(waiting) > 0 {
		last := &waiting[len(waiting)-1]
		k := min(frameSize-len(*last), len(p))
		*last = append(*last, p[:k]...)
		p = p[k:]
	}
	for len(p) > 0 {
		k := min(frameSize, len(p))
		s.sending.pieces.push(append(make([]byte, 0, k), p[:k]...))
		p = p[k:]
	}
}

// Write waits until all is taken over, not until it has arrived.
func (s *Stream) Write(p []byte) (n int, err error) {
	s.writes.Lock()
	defer s.writes.Unlock()
	for {
		k, err := s.put(p[n:])
		if n += k; err != nil || n == len(p) {
			return n, err
		}
		if k == 0 {
			if err := s.await(s.writable, &s.writeBy); err != nil {
				return n, err
			}
		}
	}
}

// await waits for a signal or the deadline.
func (s *Stream) await(signalled <-chan struct{}, by *deadline) error {
	s.e.mu.Lock()
	expired := by.expired
	s.e.mu.Unlock()
	select {
	case <-expired:
		return errDeadline
	default:
	}
	select {
	case <-signalled:
		return nil
	case <-expired:
		return errDeadline
	}
}

// Read returns what has come.
func (s *Stream) Read(p []byte) (int, error) {
	s.reads.Lock()
	defer s.reads.Unlock()
	for {
		if n, err := s.get(p); n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		if err := s.await(s.readable, &s.readBy); err != nil {
			return 0, err
		}
	}
}

func (s *Stream) get(p []byte) (int, error) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if err := s.unreadable(); err != nil {
		return 0, err
	}
	n := s.in.take(p)
	if n > 0 {
		s.consume(uint64(n), time.Now())
	}
	return n, nil
}

// unreadable is why nothing can be read, now or ever.
func (s *Stream) unreadable() error {
	select {
	case <-s.readBy.expired:
		return errDeadline
	default:
	}
	switch {
	case s.closed:
		return net.ErrClosed
	case s.in.done():
		return io.EOF
	case s.err != nil && !s.in.complete():
		return s.err
	}
	return nil
}

// WriteTo writes what comes to w until the stream ends, without a buffer of its own.
func (s *Stream) WriteTo(w io.Writer) (n int64, err error) {
	s.reads.Lock()
	defer s.reads.Unlock()
	for {
		piece, err := s.piece()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if len(piece) > 0 {
			k, err := w.Write(piece)
			if n += int64(k); err != nil {
				return n, err
			}
			s.eat(piece)
		} else if err == nil {
			err = s.await(s.readable, &s.readBy)
		}
		if err != nil {
			return n, err
		}
	}
}

// piece is what comes next; eat takes it away.
func (s *Stream) piece() ([]byte, error) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if err := s.unreadable(); err != nil || len(s.in.ready) == 0 {
		return nil, err
	}
	return s.in.ready[0], nil
}

func (s *Stream) eat(piece []byte) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if len(s.in.ready) > 0 { // it was not closed meanwhile
		s.consume(uint64(s.in.take(piece)), time.Now()) //nolint:gosec // a length
	}
}

// CloseWrite says that nothing more is written; the other direction goes on.
func (s *Stream) CloseWrite() error {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.finish()
	return nil
}

func (s *Stream) finish() {
	if s.sending.fin || s.sending.over {
		return
	}
	s.sending.fin = true
	s.enqueue(time.Now())
	signal(s.writable)
}

// Close gives the stream up: what was written still arrives, what comes is not wanted any more.
func (s *Stream) Close() error {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	s.readBy.stop()
	s.writeBy.stop()
	if s.err == nil {
		s.finish()
		if !s.unread && !s.in.complete() {
			s.e.command(header{kind: kindStop, stream: s.id})
		}
		s.unread = true
		s.in.forget()
		s.sweep()
	}
	signal(s.readable)
	signal(s.writable)
	return nil
}

// Reset gives the stream up in both directions at once, as a connection that is reset.
func (s *Stream) Reset() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.breakOff(reasonReset)
}

// Opened waits for the outcome of the far end's dial: nil, or ErrRefused, ErrUnresolved, ErrTimeout, ErrForbidden, ErrBusy, or
// what has ended the bundle. A stream whose opener does not wait any more is given up.
func (s *Stream) Opened(ctx context.Context) error {
	select {
	case <-s.opened:
	case <-ctx.Done():
		s.e.mu.Lock()
		s.breakOff(reasonCancelled)
		s.e.mu.Unlock()
		return ctx.Err()
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	return s.err
}

// SetDeadline is that of a net.Conn, as are the next two.
func (s *Stream) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

// SetReadDeadline ends reads at a time, those under way as well.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.arm(&s.readBy, t) }

// SetWriteDeadline ends writes at a time, those under way as well.
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.arm(&s.writeBy, t) }

func (s *Stream) arm(d *deadline, t time.Time) error {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	d.set(t)
	return nil
}

// address is where a stream leads, as a net.Addr.
type address string

func (address) Network() string  { return "bond" }
func (a address) String() string { return string(a) }

// LocalAddr names no place: the stream has none at this end.
func (s *Stream) LocalAddr() net.Addr { return address("bundle") }

// RemoteAddr is the port of the task that the stream leads to.
func (s *Stream) RemoteAddr() net.Addr { return address(fmt.Sprintf("task:%d", s.port)) }
