package tunnel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel/bond"
)

// Relaying is whether the connections of a tunnel go through a relay. It is zero where none is known of, and before it was tried.
type Relaying struct {
	On  bool
	Why string // not; empty when they do
}

const (
	// relayWithin is how long a connection waits for a relay at the most, before it goes without.
	relayWithin = time.Second
	// After a relay that did not work, connections go without one for relayRest, and longer each time that it does not again.
	relayRest     = 2 * time.Second
	relayRestMost = 2 * time.Minute
	// startWithin is what a session to a relay gets to open.
	startWithin = 30 * time.Second
)

// RelayError is a connection that has to go through a relay, by its tunnel's Spec, and cannot.
type RelayError struct {
	Target aws.Target
	Port   uint16
	Err    error
}

func (e *RelayError) Error() string {
	return fmt.Sprintf("the relay on port %d of %s cannot be used: %s", e.Port, e.Target.String(), e.Err)
}

func (e *RelayError) Unwrap() error { return e.Err }

// Remedy is the cause's own, or where to look.
func (e *RelayError) Remedy() string {
	if remedy := say.Remedy(e.Err); remedy != "" {
		return remedy
	}
	return "see whether the container that maps the port culvert-relay runs, and its log; --relay auto goes without it then"
}

// ofRelay is an error of a bundle as its own word, without what that wraps: the end of a connection to a relay is not that of what
// goes through it.
func ofRelay(err error) error {
	for _, own := range []error{bond.ErrGone, bond.ErrStranger, bond.ErrLost} {
		if errors.Is(err, own) {
			return own
		}
	}
	return err
}

var (
	errNoRelayYet  = errors.New("it has not answered yet")
	errNoTaskYet   = errors.New("no session has been opened yet")
	errRelayEnding = errors.New("its task stops")
)

// relays are what a tunnel has to do with relays: the one of a task at a time, and those of tasks that stop for as long as their
// streams last. Its methods are safe for concurrent use.
type relays struct {
	tunnel *Tunnel
	spec   Relay
	plain  atomic.Bool // connections go without one

	mu      sync.Mutex
	current *bonded
	all     map[*bonded]struct{}
	closed  bool
	err     error         // why the last one did not work; nil when it did
	failed  string        // its task
	again   time.Time     // when one in that task is tried anew
	rest    time.Duration // after the next failure
	running sync.WaitGroup
}

func newRelays(t *Tunnel, s Relay) *relays {
	return &relays{tunnel: t, spec: s, all: map[*bonded]struct{}{}}
}

// standing is what people are told.
func (r *relays) standing() Relaying {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		return Relaying{Why: say.Line(r.err.Error())}
	case r.current != nil && r.current.proved():
		return Relaying{On: true}
	}
	return Relaying{}
}

// look has the relay of the task tried that the tunnel leads to, as soon as there is one that was not tried. Only run calls it.
func (r *relays) look(target aws.Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != target.Task {
		r.choose(target)
	}
}

// choose returns the relay for new connections, nil when none is to be used for now. r.mu is held.
func (r *relays) choose(target aws.Target) *bonded {
	if r.current != nil && r.current.leaving() {
		r.retire(r.current, errRelayEnding)
		r.err = nil
	}
	if r.current != nil || r.closed || target.Task == "" || r.failed == target.Task && time.Now().Before(r.again) {
		return r.current
	}
	b := newBonded(r, target)
	r.current = b
	r.all[b] = struct{}{}
	r.running.Go(func() { r.serve(b) })
	return b
}

// retire has no more connections go through a relay. r.mu is held.
func (r *relays) retire(b *bonded, why error) {
	if r.current == b {
		r.current = nil
	}
	b.retire(why)
}

// serve runs a relay from its first hello to its end.
func (r *relays) serve(b *bonded) {
	b.inner.start()
	_, _ = b.bundle(b.inner.ctx)
	select {
	case <-b.inner.done: // its task is gone, or b was ended
	case <-b.over:
	}
	_, failure := b.inner.State()
	if errors.Is(failure, errStopped) {
		failure = nil
	}
	b.end(failure)
	r.mu.Lock()
	delete(r.all, b)
	if r.current == b {
		r.note(b, b.why())
	}
	r.mu.Unlock()
	r.tunnel.press()
}

// note remembers what became of the current relay. r.mu is held.
func (r *relays) note(b *bonded, why error) {
	r.current = nil
	if r.closed || errors.Is(why, errStopped) {
		return
	}
	if b.proved() {
		r.rest = 0
	}
	r.rest = min(max(relayRest, 2*r.rest), relayRestMost)
	r.err, r.failed, r.again = why, b.target.Task, time.Now().Add(r.rest)
	r.plain.Store(true)
	r.tunnel.log.Warn("the relay cannot be used, connections go without it", "task", b.target.Task, "port", r.spec.Port, "error", why, "again_in", r.rest)
}

// works notes that a relay has answered.
func (r *relays) works(b *bonded) {
	r.mu.Lock()
	if r.current == b {
		r.err, r.failed = nil, ""
		r.plain.Store(false)
	}
	r.mu.Unlock()
	r.tunnel.log.Info("connections go through the relay", "task", b.target.Task, "port", r.spec.Port)
	r.tunnel.press()
}

// bundle is what a new connection goes through: the error is why through none.
func (r *relays) bundle(ctx context.Context) (*bundle, error) {
	target := r.tunnel.Link().Target
	r.mu.Lock()
	b, err := r.choose(target), r.err //nolint:contextcheck // a relay outlives whoever asks for it first
	r.mu.Unlock()
	switch {
	case b == nil && err == nil && target.Task == "":
		return nil, errNoTaskYet
	case b == nil && err == nil:
		return nil, errStopped
	case b == nil, err != nil && !r.spec.Required: // it is being tried anew, and whoever comes does not wait for that
		return nil, err
	}
	within := relayWithin
	if r.spec.Required {
		within = acquireWithin
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, errNoRelayYet)
	defer cancel()
	return b.bundle(ctx)
}

// streams is how many connections go through relays at the moment. r.mu is held.
func (r *relays) streams() (n int) {
	for b := range r.all {
		n += b.streams()
	}
	return n
}

// some reports whether any connection goes through a relay.
func (r *relays) some() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.streams() > 0
}

// restart ends what there is; the next connection has it begin anew.
func (r *relays) restart(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed, r.err, r.rest = "", nil, 0
	r.current = nil
	for b := range r.all {
		b.stop(why)
	}
}

// close ends all and waits for it.
func (r *relays) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.restart(errStopped)
	r.running.Wait()
}

// add adds to the totals of the tunnel what its relays have.
func (r *relays) add(s *Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for b := range r.all {
		inner := b.inner.Stats()
		s.Lanes += inner.Lanes
		s.Resent += inner.Resent
		s.Retries += inner.Retries
		s.Strands += b.strands()
	}
}

// hopes reports whether connections go through a relay, or will as soon as it has answered.
func (t *Tunnel) hopes() bool { return t.relays != nil && !t.relays.plain.Load() }

// bonds reports whether any connection goes through a relay.
func (t *Tunnel) bonds() bool { return t.relays != nil && t.relays.some() }
