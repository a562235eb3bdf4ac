package tunnel

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"culvert/aws"
	"culvert/tunnel/bond"
)

// bonded is the relay of one task, and the sessions to it: those of a tunnel of their own, which leads to that task and to no
// other, as the relay of another one knows nothing of the streams.
type bonded struct {
	relays *relays
	target aws.Target
	inner  *Tunnel
	over   chan struct{} // closed by stop
	ok     atomic.Bool   // it has answered

	mu      sync.Mutex
	now     *bundle // nil: nothing has gone through it for a while
	retired bool    // ends with its last stream
	err     error   // why it is over
	running sync.WaitGroup
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

// leaving reports whether its task stops.
func (b *bonded) leaving() bool { return b.inner.strands.leaving.Load() }

// why is why it is over, nil while it is not.
func (b *bonded) why() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// bundle waits for a bundle that has a strand. There is one as soon as somebody asks for it.
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

// streams is how many connections go through it.
func (b *bonded) streams() int { return b.standing().Streams }

// strands is how many sessions carry them.
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

// answered notes that the relay has answered.
func (b *bonded) answered() {
	if !b.ok.Swap(true) {
		b.relays.works(b)
	}
}

// past notes that a bundle is over. What it has failed by is the end of the relay for this tunnel, but that nothing went through it,
// or no session could be had.
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

// retire has it end with its last stream.
func (b *bonded) retire(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.retired = true; b.now == nil {
		b.finish(why)
	}
}

// stop has it end now.
func (b *bonded) stop(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finish(why)
}

// finish is stop with the lock held.
func (b *bonded) finish(why error) {
	if b.err == nil {
		b.err = why
		close(b.over)
	}
}

// end resets what is left of its streams, ends its sessions and waits for all of it.
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

// bundle is a number of strands to a relay, and what goes through them: from the first stream until there was none for a while.
type bundle struct {
	of     *bonded
	bond   *bond.Bundle
	ctx    context.Context //nolint:containedctx // its life
	cancel context.CancelCauseFunc
	ready  chan struct{} // closed when the relay has answered, or is not expected to any more
	err    error         // the latter; set before ready is closed

	mu      sync.Mutex
	strands map[*bond.Strand]struct{} // that are not being given up
	opening int
	wanted  int
	full    bool // the relay takes no more
	running sync.WaitGroup
}

func newBundle(b *bonded) *bundle {
	u := &bundle{of: b, ready: make(chan struct{}), strands: map[*bond.Strand]struct{}{}}
	u.ctx, u.cancel = context.WithCancelCause(b.inner.ctx)
	u.bond = bond.New(bond.Config{Build: b.relays.tunnel.engine.options.Build, Tell: u.heed, Quiet: b.relays.tunnel.engine.quietFor})
	return u
}

// run opens the first strand, and the others as they are wanted, until the bundle is over.
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

// join adds a strand, on whatever lane there is for one.
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
			case <-joined.Done(): // the word of that may have come before
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

// heed takes what the bundle has to tell. It must not wait.
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
			u.cancel(bond.ErrClosed) // no stream either, or it would not be told
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

// add opens a strand beside others, or in the place of the last.
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
	u.opening++ // that takes the place of this one
	u.running.Go(func() {
		select {
		case <-time.After(strandAgain):
			u.add()
		case <-u.ctx.Done():
		}
	})
}
