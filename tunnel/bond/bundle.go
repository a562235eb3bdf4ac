package bond

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"time"
)

// Config is how a bundle is made.
type Config struct {
	Build  string        // how this program calls itself in a hello
	Tell   func(Event)   // is told one event after the other, in the bundle's own goroutine; it may call the bundle, but not Close
	Quiet  time.Duration // how long a strand may carry nothing before StrandQuiet; 0 is 30 s
	Limits Limits
}

// Bundle is the near end of a bundle of strands, which opens streams. Its methods are safe for concurrent use.
type Bundle struct {
	end    *end
	config Config
	id     id

	joining  sync.Mutex // held while a strand says hello and the relay does not know the bundle yet
	known    bool       // the relay knows the bundle; changed with both joining and end.mu held
	instance id         // of the relay that knows the bundle
	last     uint16     // the number of the last strand
}

// New makes a bundle without a strand. A bundle that has no strand for a minute, be it at first or after its last one, ends with
// ErrLost.
func New(c Config) *Bundle {
	if c.Quiet == 0 {
		c.Quiet = 30 * time.Second
	}
	limits := c.Limits.or(Limits{Streams: 1024, Bundles: 1, Strands: 32, Stream: 4 << 20, Credit: 64 << 20, Hold: 32 << 20})
	b := &Bundle{config: c, end: newEnd(limits, purse{of: newBudget(limits.Credit), most: limits.Credit}, purse{of: newBudget(limits.Hold), most: limits.Hold}, c.Tell)}
	b.end.demand.quiet = c.Quiet
	_, _ = rand.Read(b.id[:]) // never fails
	b.end.running.Go(b.end.run)
	return b
}

// Join says hello on a connection and makes it a strand. The error is ErrSilent when the answer takes longer than a second,
// ErrGone when the connection ended without an answer, or what the answer means: ErrNoRelay, a *VersionError, ErrStranger or
// ErrFull. While the bundle has no other strand, ErrStranger and ErrGone also end the bundle, as its streams are lost with the
// relay that had them. A connection that does not become a strand is closed.
func (b *Bundle) Join(ctx context.Context, conn net.Conn) (*Strand, error) {
	s, err := b.admit(ctx, conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (b *Bundle) admit(ctx context.Context, conn net.Conn) (*Strand, error) {
	b.joining.Lock()
	if b.known {
		b.joining.Unlock()
	} else {
		defer b.joining.Unlock()
	}
	h := hello{version: Version, purpose: purposeNew, bundle: b.id, build: b.config.Build}
	b.end.mu.Lock()
	if b.known {
		h.purpose, h.instance = purposeJoin, b.instance
	}
	b.last++
	h.strand = b.last
	count, err := len(b.end.strands), b.end.err
	b.end.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case count >= b.end.limits.Strands:
		return nil, ErrFull
	}
	a, err := greet(ctx, conn, h)
	b.end.mu.Lock()
	defer b.end.mu.Unlock()
	if err == nil && b.known && a.instance != b.instance {
		err = ErrStranger
	}
	if lost := errors.Is(err, ErrStranger) || errors.Is(err, ErrGone); lost && b.known && len(b.end.strands) == 0 {
		b.end.fail(fmt.Errorf("%w; its streams are lost", err))
	}
	switch {
	case err != nil:
		return nil, err
	case b.end.err != nil:
		return nil, b.end.err
	}
	if !b.known { // this is the first hello that was answered, so b.joining is still held
		b.known, b.instance = true, a.instance
	}
	return b.end.join(h.strand, conn), nil
}

// Begin begins to open a stream to a port at the relay, without waiting for the outcome, which Stream.Opened tells. The first 4
// KiB can be written at once; they wait at the relay until that has connected, which saves a round trip.
func (b *Bundle) Begin(port uint16) (*Stream, error) {
	e := b.end
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.err != nil:
		return nil, e.err
	case len(e.streams) >= e.limits.Streams || e.nextID == math.MaxUint32:
		return nil, ErrBusy
	}
	credit := uint64(firstCredit)
	if !e.credit.all(credit) {
		if credit = earlyCredit; !e.credit.all(credit) {
			return nil, ErrBusy
		}
	}
	s := newStream(e, e.nextID)
	e.nextID++
	s.port, s.granted, s.reserved = port, credit, credit
	s.sending.credit = earlyCredit
	e.streams[s.id] = s
	e.command(header{kind: kindOpen, stream: s.id, offset: credit}, binary.BigEndian.AppendUint16(nil, port)...)
	return s, nil
}

// Open opens a stream and waits for the outcome.
func (b *Bundle) Open(ctx context.Context, port uint16) (*Stream, error) {
	s, err := b.Begin(port)
	if err != nil {
		return nil, err
	}
	if err := s.Opened(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Done is closed when the bundle is over.
func (b *Bundle) Done() <-chan struct{} { return b.end.done }

// Err says why the bundle is over: ErrClosed, ErrLost, ErrGone, ErrStranger, or what the other end did that no relay does; nil
// while it is not.
func (b *Bundle) Err() error {
	b.end.mu.Lock()
	defer b.end.mu.Unlock()
	return b.end.err
}

// Standing is what a bundle is doing.
type Standing struct {
	Strands, Streams int
	Sent, Resent     uint64 // bytes of streams; bytes that were sent a second time are in both
	Silent           bool   // a new stream would only wait: nothing is acknowledged on any strand, or there is none, see end.silent
	Backlog          bool   // one of the two ends has data for which its strands have no room: another strand would make it faster
}

// Standing returns what the bundle is doing now.
func (b *Bundle) Standing() Standing {
	e, now := b.end, time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	return Standing{
		Strands: len(e.strands), Streams: len(e.streams), Sent: e.sentBytes, Resent: e.resentBytes,
		Silent:  e.silent(now),
		Backlog: e.flags(now) != 0 || e.demand.fresh(now),
	}
}

// silent reports whether a new stream would only wait: no strand that could carry something is acknowledged anything, or there is none,
// as the last one has ended by that, or longer ago than another takes.
func (e *end) silent(now time.Time) bool {
	if len(e.strands) == 0 {
		return e.deaf || now.Sub(e.bare) >= soon
	}
	return slices.ContainsFunc(e.strands, (*Strand).usable) && !slices.ContainsFunc(e.strands, (*Strand).ready)
}

// Close ends the bundle with its streams and strands, and waits until none of its goroutines runs. Config.Tell must not call it.
func (b *Bundle) Close() error {
	b.end.mu.Lock()
	b.end.fail(ErrClosed)
	b.end.mu.Unlock()
	b.end.running.Wait()
	return nil
}
