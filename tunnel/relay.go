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

// Relaying says whether the connections of a tunnel go through a relay. It is zero where no relay is known, and before one was
// tried.
type Relaying struct {
	On  bool
	Why string // why they do not, although a relay is known; else empty
}

const (
	// relayWithin is how long a connection waits for a relay before it goes on without one, where none is required.
	relayWithin = time.Second
	// relayRest is how long no relay is tried after the one of the task did not work. The rest doubles with each failure in a
	// row, up to relayRestMost.
	relayRest     = 2 * time.Second
	relayRestMost = 2 * time.Minute
	// startWithin is how long opening a session to a relay, with a stream on it, may take.
	startWithin = 30 * time.Second
)

// RelayError means that a connection cannot go through a relay although its tunnel's Spec requires that.
type RelayError struct {
	Target aws.Target
	Port   uint16
	Err    error
}

func (e *RelayError) Error() string {
	return fmt.Sprintf("the relay on port %d of %s cannot be used: %s", e.Port, e.Target.String(), e.Err)
}

func (e *RelayError) Unwrap() error { return e.Err }

// Remedy is the cause's own, or says where to look.
func (e *RelayError) Remedy() string {
	if remedy := say.Remedy(e.Err); remedy != "" {
		return remedy
	}
	return "see whether the container that maps the port culvert-relay runs, and its log; --relay auto goes without it then"
}

// ofRelay returns an error of a bundle without the errors that it wraps: an io.EOF of a connection to the relay, for instance,
// must not be taken for the end of a stream that goes through it.
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
	errRelaySilent = errors.New("it answers no more")
	errNoTaskYet   = errors.New("no session has been opened yet")
	errRelayEnding = errors.New("new connections go to another task, or will, as its own stops")
)

// relays are the relays that a tunnel uses: that of one task for new connections, and those of tasks that stop for as long as
// their streams last. Its methods are safe for concurrent use.
type relays struct {
	tunnel *Tunnel
	spec   Relay
	plain  atomic.Bool // connections go without a relay, as it has failed

	mu      sync.Mutex
	current *bonded              // the relay for new connections; nil while there is none
	all     map[*bonded]struct{} // all relays that are in use, current included
	closed  bool
	err     error         // why the last relay did not work; nil when it did
	failed  string        // the task of that relay
	again   time.Time     // when the relay of that task may be tried again
	rest    time.Duration // how long no relay was tried after the last failure
	running sync.WaitGroup
}

func newRelays(t *Tunnel, s Relay) *relays {
	return &relays{tunnel: t, spec: s, all: map[*bonded]struct{}{}}
}

// standing returns what people are told about the tunnel's relay while the tunnel leads to target.
func (r *relays) standing(target aws.Target) Relaying {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		return Relaying{Why: say.Line(r.err.Error())}
	case r.current != nil && r.current.target.Task == target.Task && r.current.proved():
		return Relaying{On: true}
	}
	return Relaying{}
}

// look has the relay of the task tried to which the tunnel leads, unless the last relay that failed was that task's. Only run
// calls it.
func (r *relays) look(target aws.Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != target.Task {
		r.choose(target)
	}
}

// choose returns the relay for new connections, and begins with one where there is none; nil when none is to be used for now.
// The relay of a task that stops, or that the tunnel leads to no more, only serves its streams to the end. r.mu is held.
func (r *relays) choose(target aws.Target) *bonded {
	if r.current != nil && (r.current.leaving() || target.Task != "" && r.current.target.Task != target.Task) {
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

// retire has new connections not use a relay any more; it ends with its last stream. r.mu is held.
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
	case <-b.inner.done: // the relay's task is gone, so that no session to it can be opened
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

// bundle returns the bundle through which a new connection goes. The error says why the connection has to go without one. Where a
// relay is required, it waits for one, and before that for the tunnel's first session.
func (r *relays) bundle(ctx context.Context) (*bundle, error) {
	within := relayWithin
	if r.spec.Required {
		within = acquireWithin
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, errNoRelayYet)
	defer cancel()
	for {
		r.mu.Lock()
		// Under the lock, as look could choose the relay of a later task meanwhile, which would be taken back here.
		target := r.tunnel.Link().Target
		b, err, closed := r.choose(target), r.err, r.closed //nolint:contextcheck // a relay outlives whoever asks for it first
		r.mu.Unlock()
		switch {
		case b != nil && (err == nil || r.spec.Required):
			u, err := b.bundle(ctx)
			if err == nil && u.bond.Standing().Silent && !r.spec.Required {
				return nil, errRelaySilent
			}
			return u, err
		case err != nil: // the relay has failed; it may be being tried again, for which no connection waits
			return nil, err
		case closed:
			return nil, errStopped
		case !r.spec.Required:
			return nil, errNoTaskYet
		}
		select {
		case <-time.After(strandAgain):
		case <-ctx.Done():
			return nil, errNoTaskYet
		}
	}
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

// restart gives all relays up; the next connection has the relay of the task be tried anew.
func (r *relays) restart(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed, r.err, r.rest = "", nil, 0
	r.current = nil
	for b := range r.all {
		b.stop(why)
	}
}

// close ends all relays and waits until nothing of them runs.
func (r *relays) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.restart(errStopped)
	r.running.Wait()
}

// add adds the totals of the relays to those of the tunnel.
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

// hopes reports whether connections go through a relay, or are expected to as soon as it has answered.
func (t *Tunnel) hopes() bool { return t.relays != nil && !t.relays.plain.Load() }

// bonds reports whether any connection goes through a relay.
func (t *Tunnel) bonds() bool { return t.relays != nil && t.relays.some() }
