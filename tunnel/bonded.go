package tunnel

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"culvert/aws"
	"culvert/tunnel/bond"
)

// bonded is the relay of one task, with the sessions that lead to it. These sessions belong to an inner tunnel that is pinned to
// the task, as the relay of another task knows nothing of the streams.
type bonded struct {
	relays *relays
	target aws.Target
	inner  *Tunnel       // has the sessions to the relay
	over   chan struct{} // closed when the relay is given up
	ok     atomic.Bool   // the relay has answered a hello

	mu      sync.Mutex
	now     *bundle        // the bundle that new streams use; nil when no connection has used the relay for a while
	retired bool           // gets no new streams, and ends with its last one
	err     error          // why the relay is given up; nil while it is not
	running sync.WaitGroup // bundles that run
}

func newBonded(r *relays, target aws.Target) *bonded {
	t := r.tunnel
	s := Spec{
		Target: target, Client: t.spec.Client, Pinned: true, Remote: Endpoint{Port: r.spec.Port}, Unlistened: true,
		Lanes: t.spec.Lanes, KeepAlive: t.spec.KeepAlive,
	}
	b := &bonded{relays: r, target: target, inner: newTunnel(t.engine, t.id, s, &listener{}), over: make(chan struct{})}
	b.inner.log = b.inner.log.With("relay", r.spec.Port)
	b.inner.strands = &strands{}
	return b
}

func (b *bonded) proved() bool { return b.ok.Load() }

// leaving reports whether the relay's task is about to stop.
func (b *bonded) leaving() bool { return b.inner.strands.leaving.Load() }

// why returns why the relay was given up; nil while it is not.
func (b *bonded) why() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// bundle returns the current bundle once it has a strand, and begins one where there is none. The error is why the relay is given
// up, why the bundle got no strand, or ctx's.
func (b *bonded) bundle(ctx context.Context) (*bundle, error) {
	b.mu.Lock()
	if b.err != nil {
		defer b.mu.Unlock()
		return nil, b.err
	}
	u := b.now
	if u == nil {
		u = newBundle(b)
		b.now = u
		b.running.Go(u.run)
	}
	b.mu.Unlock()
	select {
	case <-u.ready:
		return u, u.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// streams is how many connections go through the relay.
func (b *bonded) streams() int { return b.standing().Streams }

// strands is how many sessions carry these connections.
func (b *bonded) strands() int { return b.standing().Strands }

func (b *bonded) standing() bond.Standing {
	b.mu.Lock()
	u := b.now
	b.mu.Unlock()
	if u == nil {
		return bond.Standing{}
	}
	return u.bond.Standing()
}

// answered notes that the relay has answered a hello.
func (b *bonded) answered() {
	if !b.ok.Swap(true) {
		b.relays.works(b)
	}
}

// past notes that a bundle is over, and why. The relay is given up with it, unless the bundle ended only because no connection
// used it (bond.ErrClosed) or no session to the relay could be opened (bond.ErrLost): then the next connection begins another
// bundle.
func (b *bonded) past(u *bundle, why error) {
	b.mu.Lock()
	if b.now == u {
		b.now = nil
	}
	retired := b.retired
	b.mu.Unlock()
	switch {
	case retired:
		b.stop(errRelayEnding)
	case errors.Is(why, bond.ErrClosed), errors.Is(why, bond.ErrLost):
	default:
		b.stop(why)
	}
}

// retire has the relay take no new streams and end with its last one.
func (b *bonded) retire(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.retired = true; b.now == nil {
		b.finish(why)
	}
}

// stop gives the relay up now.
func (b *bonded) stop(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finish(why)
}

// finish is stop for callers that hold b.mu.
func (b *bonded) finish(why error) {
	if b.err == nil {
		b.err = why
		close(b.over)
	}
}

// end gives the relay up, resets the streams that are left, ends the sessions and waits until nothing of them runs.
func (b *bonded) end(why error) {
	if why == nil {
		why = errStopped
	}
	b.stop(why)
	b.mu.Lock()
	u := b.now
	b.mu.Unlock()
	if u != nil {
		u.cancel(b.why())
	}
	b.inner.stop(nil)
	b.running.Wait()
	<-b.inner.done
}

// bundle is a bond.Bundle with the sessions (strands) that carry it. It lives from the first stream until there was none for a
// while.
type bundle struct {
	of     *bonded
	bond   *bond.Bundle
	ctx    context.Context //nolint:containedctx // the life of the bundle
	cancel context.CancelCauseFunc
	ready  chan struct{} // closed when the relay has answered, or is not expected to any more
	err    error         // why no answer is expected any more; set before ready is closed

	mu      sync.Mutex
	strands map[*bond.Strand]struct{} // the strands that are not being given up
	opening int                       // strands that are being opened
	wanted  int                       // how many strands there should be
	full    bool                      // the relay has said that it takes no more strands
	running sync.WaitGroup            // goroutines of add
}

func newBundle(b *bonded) *bundle {
	u := &bundle{of: b, ready: make(chan struct{}), strands: map[*bond.Strand]struct{}{}}
	u.ctx, u.cancel = context.WithCancelCause(b.inner.ctx)
	u.bond = bond.New(bond.Config{Build: b.relays.tunnel.engine.options.Build, Tell: u.heed, Quiet: b.relays.tunnel.engine.quietFor})
	return u
}

// run opens the first strand, and further ones as they are wanted, until the bundle is over.
func (u *bundle) run() {
	u.of.inner.wantStrands(1)
	if u.err = u.join(); u.err == nil {
		u.of.answered()
		close(u.ready)
		u.mu.Lock()
		u.wanted = max(1, u.of.inner.fixed())
		u.fill()
		u.mu.Unlock()
		u.await()
	} else {
		close(u.ready)
	}
	u.cancel(nil)
	_ = u.bond.Close()
	u.running.Wait()
	u.of.inner.wantStrands(0)
	why := ofRelay(u.bond.Err())
	if u.err != nil {
		why = u.err
	}
	u.of.past(u, why)
}

// because returns the error of a stream, or why the bundle was ended where that has ended the stream. A cause that wraps io.EOF is left
// out, as that must not be taken for the end of a stream.
func (u *bundle) because(err error) error {
	if cause := context.Cause(u.ctx); errors.Is(err, bond.ErrClosed) && cause != nil && !errors.Is(cause, io.EOF) {
		return cause
	}
	return err
}

// await returns when the bundle is over or is to be ended.
func (u *bundle) await() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-u.bond.Done():
			return
		case <-u.ctx.Done():
			return
		case <-tick.C:
			u.of.mu.Lock()
			retired := u.of.retired
			u.of.mu.Unlock()
			if retired && u.bond.Standing().Streams == 0 {
				return
			}
		}
	}
}

// join adds a strand on a lane that has none, and waits for such a lane. A session that ends during the hello is replaced by
// another.
func (u *bundle) join() error {
	for {
		ctx, cancel := context.WithTimeout(u.ctx, startWithin)
		s, err := u.of.inner.strand(ctx)
		cancel()
		if err != nil {
			return err
		}
		joined, err := u.bond.Join(u.ctx, s)
		switch {
		case err == nil:
			u.mu.Lock()
			u.strands[joined] = struct{}{}
			select {
			case <-joined.Done(): // StrandEnded may have come before the strand was in the map
				delete(u.strands, joined)
			default:
			}
			u.mu.Unlock()
			s.heed(func(w laneWord) {
				switch w {
				case laneAway:
					joined.Away()
				case laneBack:
					joined.Back()
				case laneDraining:
					joined.Drain()
				}
			})
			return nil
		case u.ctx.Err() != nil:
			return context.Cause(u.ctx)
		case !s.lost():
			return ofRelay(err)
		}
		u.of.inner.log.Debug("the session of a strand ended under its hello", "error", err)
	}
}

// heed acts on an event of the bond. The bond calls it from its own goroutine, so heed must not wait.
func (u *bundle) heed(e bond.Event) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch e.Kind {
	case bond.WantMore:
		have := len(u.strands) + u.opening
		if most := int(u.of.inner.strands.afford.Load()); have < most && !u.full {
			u.wanted = have + 1
		}
	case bond.StrandQuiet, bond.StrandUnworthy:
		delete(u.strands, e.Strand)
		if u.wanted = len(u.strands) + u.opening; u.wanted == 0 {
			u.cancel(bond.ErrClosed) // there is no stream either: else the bond says nothing of its last strand
			break
		}
		e.Strand.Drain()
	case bond.StrandDrained:
		_ = e.Strand.Close()
	case bond.StrandEnded:
		delete(u.strands, e.Strand)
	case bond.Ended:
	}
	u.fill()
}

// fill opens the strands that are missing. u.mu is held.
func (u *bundle) fill() {
	if u.ctx.Err() != nil {
		return
	}
	u.of.inner.wantStrands(u.wanted)
	for len(u.strands)+u.opening < u.wanted {
		u.opening++
		u.running.Go(u.add)
	}
}

// add opens one more strand. Where that fails and no other strand is left or being opened, it tries again every strandAgain.
func (u *bundle) add() {
	err := u.join()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.opening--
	if err == nil || u.ctx.Err() != nil {
		u.fill()
		return
	}
	u.of.inner.log.Info("no further strand", "strands", len(u.strands), "error", err)
	u.full = u.full || errors.Is(err, bond.ErrFull)
	if u.wanted = len(u.strands) + u.opening; u.wanted > 0 {
		return
	}
	u.wanted = 1
	u.opening++ // for the next try
	u.running.Go(func() {
		select {
		case <-time.After(strandAgain):
			u.add()
		case <-u.ctx.Done():
		}
	})
}
