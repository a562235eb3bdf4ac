package bond

import (
	"fmt"
	"io"
	"math"
	"net"
	"syscall"
	"time"
)

const (
	bulkUnsent = 16 << 10               // a stream with so many unsent bytes is bulk
	bulkRecent = 32 << 10               // so is one on which so many were written lately
	forgetHalf = 125 * time.Millisecond // in that time half of what was written lately is forgotten
)

// errStopped is the error of a writer when the other end reads the stream no more.
var errStopped = fmt.Errorf("the far end reads no more: %w", syscall.EPIPE)

// sending is the sending half of a stream. Offsets count the bytes that are written on the stream.
type sending struct {
	credit  uint64        // the offset up to which the other end lets this one send
	written uint64        // the offset up to which bytes were written
	cut     uint64        // the offset up to which they were cut into frames
	pieces  queue[[]byte] // the bytes between cut and written, a frame's worth in each piece
	held    uint64        // how many bytes were written and have not arrived
	fin     bool          // nothing more is to be written
	finCut  bool          // the end of the stream is in a frame
	finDone bool          // that frame has arrived
	over    bool          // nothing is sent any more
}

func (s *sending) unsent() uint64 { return s.written - s.cut }

// allowed takes credit: the offset up to which this end may send.
func (s *Stream) allowed(credit uint64) {
	if credit > s.sending.credit {
		s.sending.credit = credit
		signal(s.writable)
	}
}

// stopped notes that nobody reads the stream at the other end any more.
func (s *Stream) stopped() {
	if s.sending.over {
		return
	}
	s.quit()
	signal(s.writable)
	s.sweep()
}

// quit gives up what was to be sent; nothing is sent on the stream from now on.
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

// finDue reports whether the end of the stream is still to be put into a frame.
func (s *Stream) finDue() bool {
	return s.sending.fin && !s.sending.finCut && !s.sending.over
}

// cutFrame makes the next frame of what is unsent, and puts the stream back into the queue q when there is more.
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

// recently is how many bytes were written lately.
func (s *Stream) recently(now time.Time) float64 {
	return s.recent * math.Exp2(-float64(now.Sub(s.wroteAt))/float64(forgetHalf))
}

// enqueue has the unsent bytes of the stream, or its end, be sent.
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

// space is how many bytes may be written now; the error is that of writing.
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

// put takes as many bytes of p as there is space for, and returns how many. It takes the end's lock.
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
	s.announce()
	s.enqueue(now)
	return int(n), nil //nolint:gosec // no more than len(p)
}

// fill adds bytes to the pieces that become frames.
func (s *Stream) fill(p []byte) {
	if waiting := s.sending.pieces.all(); len(waiting) > 0 {
		last := &waiting[len(waiting)-1]
		k := min(frameSize-len(*last), len(p))
		*last = append(*last, p[:k]...)
		p = p[k:]
	}
	for len(p) > 0 {
		k := min(frameSize, len(p))
		s.sending.pieces.push(append(takePayload(k)[:0], p[:k]...))
		p = p[k:]
	}
}

// Write waits until the bundle has taken over all of p, but not until that has arrived.
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

// CloseWrite ends the sending half of the stream; the other direction goes on.
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
	s.announce()
	s.enqueue(time.Now())
	signal(s.writable)
}
