package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/aws"
)

const (
	// strandAgain is the pause before strand looks for a lane again, and before a bundle without a strand tries again to get one.
	strandAgain = 100 * time.Millisecond
	// mendedAfter and a round trip is how long nothing must have come from the agent over a new socket of a strand's session for
	// nothing that it has sent into the gap between the sockets to be missing any more: it looks every repairEvery for a message to
	// send again (protocol.md 9, A1).
	mendedAfter = repairEvery + repairEvery/2
	// fewStrands is how many strands any task is assumed to afford as long as its memory and CPU are not known.
	fewStrands = 2
)

// strandsIn is how many sessions that send all the time the tunnel's container affords.
func (r *runner) strandsIn() int {
	if !r.answered {
		return fewStrands
	}
	return aws.Relay{CPU: r.affords.CPU, Memory: r.affords.Memory}.Affords()
}

// strands is set for the inner tunnel of a relay (bonded), which has no clients. It carries strands instead: connections to its
// far end of which each has a session for itself, so that the rates of the sessions add up. The bundle says how many strands
// there should be, and the tunnel has as many sessions, as far as their task affords them. Strands count neither as connections
// of the tunnel nor as its load.
type strands struct {
	wanted  atomic.Int32 // strands that there should be
	afford  atomic.Int32 // sessions that there may be; written by run alone
	leaving atomic.Bool  // the task stops: open strands may go on, but no more are to be opened
}

// laneWord is what a strand is told about its lane. The end of the lane is not told: it ends the strand, and Read returns it.
type laneWord int

const (
	laneBack     laneWord = iota // the lane carries data, again or still
	laneAway                     // what is sent may arrive much later: the lane has no socket, or its agent is away or still repairs what that has cost
	laneDraining                 // the lane is to end as soon as nothing uses it
)

// strand is a connection to the far end of a tunnel that has a lane for itself; it is a net.Conn. Its methods are safe for
// concurrent use, but for Read, which only one goroutine may call at a time.
type strand struct {
	tunnel *Tunnel
	lane   *lane
	stream *stream
	ctx    context.Context //nolint:containedctx // the life of the strand: its end ends what Read and Write wait for
	cancel context.CancelCauseFunc
	once   sync.Once // done when the strand is closed
	limit  limit     // the deadline of Read and Write

	taken chunk // the chunk of the inbox that Read is handing out; only Read touches this and the next two fields
	at    int   // how many bytes of taken have been read
	reads bool  // there is such a chunk
	least int   // how many of the bytes that Await named Read has not returned yet

	unsettled bool // the session has lost a socket, and what it has cost may not be repaired; only run touches it

	mu   sync.Mutex
	said laneWord       // how the lane stood when look last looked
	tell func(laneWord) // is told when that changes; nil before heed was called
}

// strand opens a connection to the far end on a usable lane that has no strand, and waits for such a lane as long as ctx lasts.
// How many lanes there are depends on wantStrands alone, not on how many callers wait here.
func (t *Tunnel) strand(ctx context.Context) (*strand, error) {
	t.connections.queued.Add(1) // keeps the tunnel from falling asleep meanwhile
	defer t.connections.queued.Add(-1)
	for {
		s, changed := t.reserve()
		if s != nil {
			var err error
			if s.stream, err = s.lane.connect(ctx); err == nil {
				t.press() // so that run tells the strand how its lane stands
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

// reserve makes a strand on a usable lane that has none; nil when there is no such lane. The Go channel is closed when there may
// be one.
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

// wantStrands sets how many strands, and therefore lanes, there should be.
func (t *Tunnel) wantStrands(n int) {
	if int(t.strands.wanted.Swap(int32(n))) != n { //nolint:gosec // some dozens at the most
		t.dispatch()
	}
}

// free makes the strand's lane free for another strand.
func (s *strand) free() {
	s.tunnel.mu.Lock()
	s.lane.strand = nil
	s.tunnel.mu.Unlock()
	s.tunnel.wake()
}

// heed has tell be called with each change of how the strand's lane stands, and now unless that is laneBack. tell must not block.
func (s *strand) heed(tell func(laneWord)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tell = tell; s.said != laneBack {
		tell(s.said)
	}
}

// look tells the strand how its lane stands when that has changed, and returns after how long it is to be called again even if
// nothing happens; 0 for never. alone says that no other strand carries anything, so that a strand whose messages are late is
// better than none. Only run calls it.
func (s *strand) look(now time.Time, alone bool) (again time.Duration) {
	word := laneBack
	switch l := s.lane; {
	case !l.open() || l.away.Load():
		word, s.unsettled = laneAway, true
	case l.draining.Load() && !l.leaving.Load(): // a lane whose task stops serves as long as the task does
		word = laneDraining
	case s.unsettled && !alone:
		if again = l.unsettled(now); again > 0 {
			word = laneAway
		}
	}
	if word == laneBack {
		s.unsettled = false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said == word {
		return again
	}
	if s.said = word; s.tell != nil {
		s.tell(word)
	}
	return again
}

// unsettled is how long it takes at the least until the agent has sent all messages again that it has sent while the session had
// no socket; 0 when it has.
func (l *lane) unsettled(now time.Time) time.Duration {
	if l.missing.Load() > 0 {
		return repairEvery
	}
	last := l.channel.attachedAt()
	if heard := time.Unix(0, l.channel.heard.Load()); heard.After(last) {
		last = heard
	}
	_, trip := l.channel.figures()
	return max(mendedAfter+trip-now.Sub(last), 0)
}

// hear tells the strands how their lanes stand, and notes how many strands the task affords. Only run calls it.
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
	r.settling = 0
	for _, s := range all {
		alone := !slices.ContainsFunc(all, func(other *strand) bool { return other != s && other.carries() })
		if again := s.look(time.Now(), alone); again > 0 && (r.settling == 0 || again < r.settling) {
			r.settling = again
		}
	}
}

// settles returns a Go channel that fires when hear is to be called again; nil, which never does, when there is nothing to wait for.
func (r *runner) settles() <-chan time.Time {
	if r.settling == 0 {
		return nil
	}
	return time.After(r.settling)
}

// carries reports whether the strand's lane carried data when look last looked.
func (s *strand) carries() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said == laneBack
}

// Await has the next calls of Read wait until n more bytes have come, or the connection ends: a session brings a frame in messages
// of a kilobyte, and to wake the reader for each of them costs more processor time than to take them in. Read's goroutine calls it.
func (s *strand) Await(n int) {
	if s.reads {
		n -= len(s.taken.bytes()) - s.at
	}
	s.least = n
}

// Read returns bytes that have come from the far end. The error is io.EOF when the far end has closed the connection, and why the
// lane has ended when it has.
func (s *strand) Read(p []byte) (int, error) {
	if !s.reads {
		c, err := s.stream.inbox.nextOf(s.limit.until(s.ctx), max(s.least, 1))
		switch {
		case err != nil && !errors.Is(err, io.EOF) && s.stream.received.Load() == 0:
			// The lane has ended before anything came. That says nothing of the far end, so the error is one of a timeout.
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

// Close ends the strand. Its lane is free for another strand then, or ends if it was draining.
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

// SetDeadline sets the deadline of Read and Write, also of calls that are under way.
func (s *strand) SetDeadline(t time.Time) error {
	s.limit.set(s.ctx, t)
	return nil
}

// SetReadDeadline is SetDeadline, as nobody needs a deadline for Read alone.
func (s *strand) SetReadDeadline(t time.Time) error { return s.SetDeadline(t) }

// SetWriteDeadline is SetDeadline, as nobody needs a deadline for Write alone.
func (s *strand) SetWriteDeadline(t time.Time) error { return s.SetDeadline(t) }

// LocalAddr names this end.
func (s *strand) LocalAddr() net.Addr { return strandAddr("culvert") }

// RemoteAddr names the far end.
func (s *strand) RemoteAddr() net.Addr { return strandAddr(s.tunnel.spec.Remote.String()) }

// strandAddr names an end of a strand, which has no network address.
type strandAddr string

func (strandAddr) Network() string  { return "session" }
func (a strandAddr) String() string { return string(a) }

// limit is a deadline that can be changed while calls wait under it. Its methods are safe for concurrent use.
type limit struct {
	mu     sync.Mutex
	ctx    context.Context //nolint:containedctx // ended by the deadline; nil before the first use
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// until returns a context that ends with the deadline or with life.
func (d *limit) until(life context.Context) context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.renewed(life)
}

// renewed is until for callers that hold d.mu.
func (d *limit) renewed(life context.Context) context.Context {
	if d.ctx == nil {
		d.ctx, d.cancel = context.WithCancelCause(life)
	}
	return d.ctx
}

// set sets the deadline; the zero time is none. Calls that wait under a deadline which has not passed get the new one as well.
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

// lost reports whether the strand has ended because its lane has, and not because it was closed.
func (s *strand) lost() bool {
	err := s.stream.inbox.failure()
	return err != nil && !errors.Is(err, errStreamDone)
}
