package bond

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"time"
)

// Config is how a bundle is made.
type Config struct {
	Build  string        // how this program calls itself in a hello
	Tell   func(Event)   // is called with one event after the other; it may call the bundle
	Quiet  time.Duration // that a strand may carry nothing before StrandQuiet; 30 s when zero
	Limits Limits
}

// Bundle is the near end: it opens streams.
type Bundle struct {
	end    *end
	config Config
	id     id

	joining  sync.Mutex // held while the first strand says hello
	known    bool       // to the relay
	instance id
	last     uint16 // strand
}

// New makes a bundle without a strand. Without one for a minute, before the first or after the last, it ends.
func New(c Config) *Bundle {
	if c.Quiet == 0 {
		c.Quiet = 30 * time.Second
	}
	limits := c.Limits.or(Limits{Streams: 1024, Bundles: 1, Strands: 32, Stream: 4 << 20, Credit: 64 << 20, Hold: 32 << 20})
	b := &Bundle{config: c, end: newEnd(limits, purse{of: newBudget(limits.Credit), most: limits.Credit}, purse{of: newBudget(limits.Hold), most: limits.Hold}, c.Tell)}
	b.end.demand.quiet = c.Quiet
	_, _ = rand.Read(b.id[:]) // it does not fail
	b.end.running.Go(b.end.run)
	return b
}

// Join says hello on a connection and makes it a strand. It fails when the answer takes longer than a second, with
// ErrSilent; with ErrNoRelay, a *VersionError, ErrStranger, ErrFull; with ErrGone when the connection ended without an
// answer. Without another strand, ErrStranger and ErrGone end the bundle: its streams are lost with the relay. A connection
// that does not become a strand is closed.
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
	if !b.known { // then b.joining is held too
		b.known, b.instance = true, a.instance
	}
	return b.end.join(h.strand, conn), nil
}

// Begin begins to open a stream to a port of the relay's side and does not wait for the outcome, which Stream.Opened tells.
// The first 4 KiB may be written at once: they are there when the relay has connected, which saves a round trip.
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

// Err says why it is over: ErrClosed, ErrLost, ErrGone, ErrStranger, or what the far end did that no relay does.
func (b *Bundle) Err() error {
	b.end.mu.Lock()
	defer b.end.mu.Unlock()
	return b.end.err
}

// Standing is what a bundle is doing.
type Standing struct {
	Strands, Streams int
	Sent, Resent     uint64 // bytes of streams; those that went over a second strand are in both
	Backlog          bool   // at either end: another strand would make it faster
}

// Standing is of this moment.
func (b *Bundle) Standing() Standing {
	e, now := b.end, time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	return Standing{
		Strands: len(e.strands), Streams: len(e.streams), Sent: e.sentBytes, Resent: e.resentBytes,
		Backlog: e.flags(now) != 0 || e.demand.fresh(now),
	}
}

// Close ends the bundle, its streams and strands, and waits until nothing of it runs. It is not to be called by Config.Tell.
func (b *Bundle) Close() error {
	b.end.mu.Lock()
	b.end.fail(ErrClosed)
	b.end.mu.Unlock()
	b.end.running.Wait()
	return nil
}
