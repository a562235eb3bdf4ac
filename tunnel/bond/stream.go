package bond

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Stream is one connection through a bundle; it is a net.Conn. One reader and one writer may use it at the same time, and Close
// may be called at any time.
type Stream struct {
	e    *end
	id   uint32
	port uint16 // the port at the relay to which the stream leads

	reads, writes      sync.Mutex    // held by the one reader, and the one writer
	readable, writable chan struct{} // wake the reader, and the writer; capacity 1
	readBy, writeBy    deadline
	opened             chan struct{} // near end: closed when the outcome of opening is known
	isOpen             bool          // near end: that is known; far end: the near end has asked to open the stream
	err                error         // why the stream was aborted; nil while it was not
	closed             bool          // Close was called
	unsaid             bool          // far end: the stream is connected, and the near end has not been told so yet
	onStop             func()        // far end: called when the near end reads no more
	onAbort            func()        // far end: called when the stream is aborted before all that the near end sends has come

	in                received
	granted, consumed uint64   // the offsets up to which the other end may send, and up to which the reader has read
	reserved          uint64   // bytes taken from the credit budget: granted and not consumed
	eaten             appetite // how quickly the reader reads
	credit            *frame   // the last kindCredit frame
	unread            bool     // nobody reads the stream any more

	sending sending
	queued  bool      // the stream is in one of the end's queues of streams with something unsent
	wroteAt time.Time // when something was last written
	recent  float64   // bytes written lately, as of wroteAt; half of them are forgotten with each forgetHalf
}

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

// asked is called at the far end when the near end asks to open the stream.
func (s *Stream) asked(h header, payload []byte) error {
	if s.isOpen {
		return nil
	}
	s.isOpen, s.port, s.sending.credit = true, binary.BigEndian.Uint16(payload), h.offset
	s.e.accept(s)
	return nil
}

// connected is called at the near end when the far end has connected the stream.
func (s *Stream) connected(credit uint64) {
	if !s.isOpen {
		s.isOpen = true
		close(s.opened)
	}
	s.allowed(credit)
}

// arrived takes data that has come.
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
	if len(s.in.ready) > 0 || s.in.complete() { // else there is nothing that the reader could take
		signal(s.readable)
	}
	s.sweep()
	return nil
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
	if !s.in.complete() { // a stream that has come whole can still be read
		s.in.forget()
		if s.onAbort != nil {
			go s.onAbort()
		}
	}
	s.remove()
	signal(s.readable)
	signal(s.writable)
}

// breakOff ends the stream at once and tells the other end why.
func (s *Stream) breakOff(why reason) {
	if s.gone() {
		return
	}
	s.announce()
	s.e.command(header{kind: kindReset, stream: s.id}, byte(why))
	s.abort(why.err())
}

func (s *Stream) gone() bool { return s.e.streams[s.id] != s }

// sweep removes the stream when both of its directions are done.
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

// await waits for a signal or the deadline. It takes the end's lock.
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

// Read waits for bytes. What has come can be read even after the other end has ended the stream, unless it was reset.
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

// unreadable is why Read has to fail; nil when it may read or wait.
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

// piece returns the bytes that come next and leaves them there; eat takes them away. Both take the end's lock.
func (s *Stream) piece() ([]byte, error) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if err := s.unreadable(); err != nil || len(s.in.ready) == 0 {
		return nil, err
	}
	return s.in.ready[0].bytes, nil
}

func (s *Stream) eat(piece []byte) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if len(s.in.ready) > 0 { // else the stream was closed meanwhile
		s.consume(uint64(s.in.take(piece)), time.Now()) //nolint:gosec // a length
	}
}

// Close gives the stream up: what was written still arrives, but what comes is dropped.
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

// Reset ends the stream in both directions at once, like the reset of a TCP connection.
func (s *Stream) Reset() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.breakOff(reasonReset)
}

// Opened waits for the outcome of the far end's dial: nil, or ErrRefused, ErrUnresolved, ErrTimeout, ErrForbidden, ErrBusy, or
// what has ended the bundle. When ctx ends first, the stream is given up.
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

// SetDeadline sets the deadlines of reads and writes, as for any net.Conn.
func (s *Stream) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of reads, also of one that is under way.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.arm(&s.readBy, t) }

// SetWriteDeadline sets the deadline of writes, also of one that is under way.
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

// address names an end of a stream as a net.Addr.
type address string

func (address) Network() string  { return "bond" }
func (a address) String() string { return string(a) }

// LocalAddr is only a name: a stream has no network address.
func (s *Stream) LocalAddr() net.Addr { return address("bundle") }

// RemoteAddr names the port of the task to which the stream leads.
func (s *Stream) RemoteAddr() net.Addr { return address(fmt.Sprintf("task:%d", s.port)) }
