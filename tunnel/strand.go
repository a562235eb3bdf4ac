package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"culvert/aws"
)

const (
	// strandAgain is the rest before a lane is asked again that took no strand.
	strandAgain = 100 * time.Millisecond
	// fewStrands are no burden for any task, as long as it is not known what it affords.
	fewStrands = 2
)

// strandsIn is how many sessions that send all the time a container affords.
func (r *runner) strandsIn() int {
	if !r.answered {
		return fewStrands
	}
	return aws.Relay{CPU: r.affords.CPU, Memory: r.affords.Memory}.Affords()
}

// strands are what a tunnel carries that has no clients of its own: connections to its far end that are each alone on their
// session, so that they add up. Whoever opens them says how many there should be, and the tunnel has as many sessions, as far as
// their task affords them. They count neither as its connections nor as its load.
type strands struct {
	wanted  atomic.Int32
	afford  atomic.Int32 // sessions that there may be; run's
	leaving atomic.Bool  // the task stops: what is open may go on, and no more is to be opened
}

// laneWord is what a strand is told of its lane. The end of the lane is the end of the strand: Read says it.
type laneWord int

const (
	laneBack     laneWord = iota // it carries again
	laneAway                     // its socket is lost or its agent does not answer: what was sent may arrive much later
	laneDraining                 // it is to end as soon as nothing uses it
)

// strand is one of them. Its methods are safe for concurrent use, but for Read, which one goroutine calls at a time.
type strand struct {
	tunnel *Tunnel
	lane   *lane
	stream *stream
	ctx    context.Context //nolint:containedctx // its life: what Read and Write wait for ends with it
	cancel context.CancelCauseFunc
	once   sync.Once
	limit  limit

	taken chunk // out of the inbox; Read's, as are the next two
	at    int   // bytes of it that have been read
	reads bool  // there is such a chunk
	least int   // bytes that Await has said and Read has not given yet

	mu   sync.Mutex
	said laneWord
	tell func(laneWord) // nil: nobody listens yet
}

// strand opens a connection to the far end on a usable lane that has none, and waits for such a lane as long as ctx lasts. It does
// not ask for one: see want.
func (t *Tunnel) strand(ctx context.Context) (*strand, error) {
	t.connections.queued.Add(1) // the tunnel is not asleep then
	defer t.connections.queued.Add(-1)
	for {
		s, changed := t.reserve()
		if s != nil {
			var err error
			if s.stream, err = s.lane.connect(ctx); err == nil {
				t.press() // for run to tell it how the lane stands
				return s, nil
			}
			t.log.Debug("lane took no strand", "session", s.lane.session.ID, "error", err)
			s.cancel(nil)
			s.free()
		}
		select {
		case t.want <- struct{}{}:
		default:
		}
		select {
		case <-changed:
		case <-time.After(strandAgain):
		case <-t.ctx.Done():
			return nil, context.Cause(t.ctx) //nolint:contextcheck // the tunnel's own end
		case <-ctx.Done():
			return nil, t.noSession(ctx)
		}
	}
}

func newStrand(t *Tunnel, l *lane) *strand {
	s := &strand{tunnel: t, lane: l}
	s.ctx, s.cancel = context.WithCancelCause(t.ctx)
	return s
}

// reserve gives a strand its lane; nil when there is none for it. The channel is closed when there may be.
func (t *Tunnel) reserve() (*strand, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lanes {
		if l.usable() && l.strand == nil {
			l.strand = newStrand(t, l)
			return l.strand, t.changed
		}
	}
	return nil, t.changed
}

// wantStrands says how many strands there should be.
func (t *Tunnel) wantStrands(n int) {
	if int(t.strands.wanted.Swap(int32(n))) != n { //nolint:gosec // some dozens at the most
		t.dispatch()
	}
}

// free gives the lane to another strand.
func (s *strand) free() {
	s.tunnel.mu.Lock()
	s.lane.strand = nil
	s.tunnel.mu.Unlock()
	s.tunnel.wake()
}

// heed has the strand's lane told of, from what it is now on; tell must not block.
func (s *strand) heed(tell func(laneWord)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tell = tell; s.said != laneBack {
		tell(s.said)
	}
}

// look tells the strand how its lane stands when that has changed. Only run calls it.
func (s *strand) look() {
	now := laneBack
	switch l := s.lane; {
	case !l.open() || l.away.Load():
		now = laneAway
	case l.draining.Load() && !l.leaving.Load(): // else it serves as long as its task does
		now = laneDraining
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said == now {
		return
	}
	if s.said = now; s.tell != nil {
		s.tell(now)
	}
}

// hear tells the strands how their lanes stand. Only run calls it.
func (r *runner) hear() {
	if r.strands == nil {
		return
	}
	r.mu.Lock()
	var all []*strand
	for _, l := range r.lanes {
		if l.strand != nil {
			all = append(all, l.strand)
		}
		if l.leaving.Load() {
			r.strands.leaving.Store(true)
		}
	}
	r.mu.Unlock()
	r.strands.afford.Store(int32(r.ceiling())) //nolint:gosec // some dozens at the most
	for _, s := range all {
		s.look()
	}
}

// Await has the next calls of Read wait until n more bytes have come, or the connection ends: a session brings a frame in messages
// of a kilobyte, and to wake the reader for each of them costs more processor time than to take them in. Read's goroutine calls it.
func (s *strand) Await(n int) {
	if s.reads {
		n -= len(s.taken.bytes()) - s.at
	}
	s.least = n
}

// Read gives what has come. It returns io.EOF when the far end has closed the connection, and why the lane has ended when it did.
func (s *strand) Read(p []byte) (int, error) {
	if !s.reads {
		c, err := s.stream.inbox.nextOf(s.limit.until(s.ctx), max(s.least, 1))
		switch {
		case err != nil && !errors.Is(err, io.EOF) && s.stream.received.Load() == 0:
			// It is the end of the lane and says nothing of the far end, from which nothing came in time.
			return 0, fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, err)
		case err != nil:
			return 0, err
		}
		s.taken, s.at, s.reads = c, 0, true
		s.least -= len(c.bytes())
	}
	n := copy(p, s.taken.bytes()[s.at:])
	if s.at += n; s.at == len(s.taken.bytes()) {
		s.stream.inbox.drop(s.taken)
		s.reads = false
	}
	return n, nil
}

func (s *strand) Write(p []byte) (int, error) {
	if err := s.stream.write(s.limit.until(s.ctx), p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends the strand. Its lane is free for another one then, or ends.
func (s *strand) Close() error {
	s.once.Do(func() {
		s.cancel(net.ErrClosed)
		s.stream.close()
		s.lane.release()
		s.free()
		s.tunnel.press() // a lane that drains ends now
	})
	return nil
}

// SetDeadline is for Read and Write, those under way included.
func (s *strand) SetDeadline(t time.Time) error {
	s.limit.set(s.ctx, t)
	return nil
}

// SetReadDeadline is SetDeadline: nobody needs one for Read alone.
func (s *strand) SetReadDeadline(t time.Time) error { return s.SetDeadline(t) }

// SetWriteDeadline is SetDeadline.
func (s *strand) SetWriteDeadline(t time.Time) error { return s.SetDeadline(t) }

// LocalAddr names this end.
func (s *strand) LocalAddr() net.Addr { return strandAddr("culvert") }

// RemoteAddr names the far end.
func (s *strand) RemoteAddr() net.Addr { return strandAddr(s.tunnel.spec.Remote.String()) }

// strandAddr is an end of a strand, which has no address.
type strandAddr string

func (strandAddr) Network() string  { return "session" }
func (a strandAddr) String() string { return string(a) }

// limit is a deadline. Those who wait when it is set are meant as well.
type limit struct {
	mu     sync.Mutex
	ctx    context.Context //nolint:containedctx // ended by the deadline; nil before the first one
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// until is what a wait ends with, whose owner has the life that is given.
func (d *limit) until(life context.Context) context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.renewed(life)
}

// renewed is until with the lock held.
func (d *limit) renewed(life context.Context) context.Context {
	if d.ctx == nil {
		d.ctx, d.cancel = context.WithCancelCause(life)
	}
	return d.ctx
}

func (d *limit) set(life context.Context, t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.ctx != nil && d.ctx.Err() != nil {
		d.ctx = nil
	}
	d.renewed(life)
	switch wait := time.Until(t); {
	case t.IsZero():
	case wait <= 0:
		d.cancel(os.ErrDeadlineExceeded)
	default:
		cancel := d.cancel
		d.timer = time.AfterFunc(wait, func() { cancel(os.ErrDeadlineExceeded) })
	}
}

// lost reports whether the lane has ended under the strand.
func (s *strand) lost() bool {
	err := s.stream.inbox.failure()
	return err != nil && !errors.Is(err, errStreamDone)
}
