package tunnel

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// keepHistory is how many events, and keepEnded how many ended connections, a tunnel remembers for the screen and the
	// headless mode.
	keepHistory = 200
	keepEnded   = 100
)

// Tunnel is one listener that lives on while sessions come and go. Its methods are safe for concurrent use.
type Tunnel struct {
	id     ID
	spec   Spec
	engine *Engine
	log    *slog.Logger
	local  *listener

	ctx     context.Context //nolint:containedctx // the life of the tunnel; ended by stop
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed when every goroutine of the tunnel is gone
	reports chan report
	want    chan struct{} // tells run that a connection waits for a lane; capacity 1
	again   chan struct{} // tells run of a Reconnect; capacity 1
	doubt   chan struct{} // tells run that the far end, which has a name, did not accept a connection; capacity 1

	pressed    chan struct{} // tells run to look how many lanes are wanted; capacity 1
	dispatches atomic.Int32  // calls of dispatch that the running one has not answered yet, itself included
	later      *time.Timer   // calls dispatch a while after connections were left waiting

	connections connections

	mu       sync.Mutex
	state    State         // as last recorded; only record writes it
	err      error         // why, likewise
	link     Link          // the session that carries the tunnel, or the last one that did
	history  []Event       // the last keepHistory events
	lanes    []*lane       // in the order they were started
	changed  chan struct{} // closed and replaced when a lane becomes usable or the tunnel ends
	past     Stats         // totals of lanes that are gone
	resolved time.Time     // when the lanes that take connections resolved the remote host's name; the oldest counts
	waiting  []*arrival    // connections that wait for a lane, first come first served
	load     load
	shunned  map[string]time.Time // tasks that avoid has noted, and when

	obstacle func() error // says what holds up the lane that was started last; nil before the first one

	pool    *pool         // the destinations of a dynamic tunnel; nil for any other tunnel
	of      *destination  // the destination whose inner tunnel this is; nil for a tunnel that stands for itself
	relays  *relays       // the relays through which connections may go; nil for a tunnel without
	strands *strands      // set for the inner tunnel of a relay, which carries strands instead of connections; else nil
	shed    chan struct{} // tells run that other destinations need one of this one's sessions more; capacity 1
}

func openTunnel(e *Engine, id ID, s Spec) (*Tunnel, error) {
	if s.Remote.Port == 0 && s.Dynamic == nil {
		return nil, &FormError{Form: s.Remote.String(), Problem: "the remote port is missing"}
	}
	local, err := listenBy(e.options.Listen, s)
	if err != nil {
		return nil, err
	}
	t := newTunnel(e, id, s, local)
	if s.Dynamic != nil {
		t.pool = newPool(t)
	}
	if s.Relay != nil && s.Dynamic == nil && s.Remote.Host == "" { // a relay opens ports of its own task
		t.relays = newRelays(t, *s.Relay)
	}
	return t, nil
}

func newTunnel(e *Engine, id ID, s Spec, local *listener) *Tunnel {
	ctx, cancel := context.WithCancelCause(context.Background())
	t := &Tunnel{
		id: id, spec: s, engine: e, local: local,
		log: e.options.Log.With("tunnel", int(id)),
		ctx: ctx, cancel: cancel, done: make(chan struct{}),
		reports: make(chan report), want: make(chan struct{}, 1), again: make(chan struct{}, 1), doubt: make(chan struct{}, 1), shed: make(chan struct{}, 1),
		pressed: make(chan struct{}, 1), changed: make(chan struct{}), load: load{keep: e.keptFor},
	}
	t.later = time.AfterFunc(time.Hour, t.dispatch)
	return t
}

// home is the tunnel that the user has opened: t itself, or the dynamic one that it is a destination of.
func (t *Tunnel) home() *Tunnel {
	if t.of != nil {
		return t.of.pool.tunnel
	}
	return t
}

func (t *Tunnel) start() {
	t.record(Event{State: Starting})
	if t.pool != nil {
		go t.pool.run()
		return
	}
	go t.run()
}

// ID is the tunnel's number within its engine.
func (t *Tunnel) ID() ID { return t.id }

// Spec returns what the tunnel was opened with.
func (t *Tunnel) Spec() Spec { return t.spec }

// Addr is where the tunnel listens: the IPv4 loopback address where there are two, the zero value for a unix socket.
func (t *Tunnel) Addr() netip.AddrPort { return t.local.address() }

// Replaced says why the tunnel listens on another port than the number of the remote port, although its Spec named no local port:
// that one is in use. It is nil when the tunnel listens on that port, when the Spec named a port, and when any port was wanted.
func (t *Tunnel) Replaced() *PortTakenError {
	if t.spec.AnyPort {
		return nil
	}
	return t.local.taken
}

// State returns the tunnel's state, and the reason for it where something went wrong.
func (t *Tunnel) State() (State, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state, t.err
}

// Obstacle returns what holds up the session that is being opened at this moment; nil when nothing is known to.
func (t *Tunnel) Obstacle() error {
	t.mu.Lock()
	obstacle := t.obstacle
	t.mu.Unlock()
	if t.pool != nil {
		return t.pool.obstacle()
	}
	if obstacle == nil {
		return nil
	}
	return obstacle()
}

// Link returns the session that carries the tunnel, or the last one that did; for a dynamic tunnel the one that was opened last.
func (t *Tunnel) Link() Link {
	if t.pool != nil {
		return t.pool.lastLink()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.link
}

// Stats returns the tunnel's totals. The call costs a lock and a loop over the lanes, so it can be made as often as a screen is
// drawn.
func (t *Tunnel) Stats() Stats {
	if t.pool != nil {
		s := t.pool.sum()
		s.Received, s.Sent, s.Connections, s.Accepted = t.connections.totals()
		return s
	}
	var beside Stats
	if t.relays != nil {
		t.relays.add(&beside)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.past
	s.Lanes, s.Strands = beside.Lanes, beside.Strands
	s.Resent += beside.Resent
	s.Retries += beside.Retries
	for _, l := range t.lanes {
		resent, trip := l.channel.figures()
		s.Resent += resent
		s.Retries += l.resumed.Load()
		if l.open() {
			s.Lanes++
			size, _, _ := l.channel.sized()
			s.MessageSize = max(s.MessageSize, size)
			if s.RoundTrip == 0 || (trip > 0 && trip < s.RoundTrip) {
				s.RoundTrip = trip
			}
		}
	}
	s.Received, s.Sent, s.Connections, s.Accepted = t.connections.totals()
	return s
}

// Connections returns the open connections and the last ended ones, oldest first.
func (t *Tunnel) Connections() []Connection { return t.connections.list() }

// History returns the tunnel's last changes of state, oldest first.
func (t *Tunnel) History() []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.history)
}

// Reconnect has the tunnel end its sessions, and with them its connections, and open others. The listener stays. It does not
// wait.
func (t *Tunnel) Reconnect() {
	select {
	case t.again <- struct{}{}:
	default:
	}
}

// Close ends the tunnel: it terminates the sessions and waits for all goroutines, at most until ctx ends.
func (t *Tunnel) Close(ctx context.Context) error {
	t.stop(nil)
	return t.wait(ctx)
}

// stop ends the tunnel; err is why it is lost, nil when it was told to stop.
func (t *Tunnel) stop(err error) {
	if err == nil {
		err = errStopped
	}
	t.cancel(err)
}

func (t *Tunnel) wait(ctx context.Context) error {
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of its sessions: %w", context.Cause(ctx))
	}
}

// record sets the state and tells the watchers. Only run and, before it, start call it.
func (t *Tunnel) record(e Event) {
	e.Tunnel, e.At = t.id, time.Now()
	t.mu.Lock()
	t.state, t.err = e.State, e.Err
	if e.Link == (Link{}) {
		e.Link = t.link
	}
	t.link = e.Link
	t.history = append(t.history, e)
	if len(t.history) > keepHistory {
		t.history = slices.Clone(t.history[len(t.history)-keepHistory:])
	}
	t.mu.Unlock()
	switch {
	case t.of != nil:
		t.of.pool.heard(t.of, e)
		return
	case t.strands != nil: // the tunnel whose relay this leads to tells what comes of it
		return
	}
	t.engine.states.publish(e)
}

// sessionsOn counts the tunnel's sessions on the named tasks, or on all tasks when none is named (held), and those of them that
// are about to end (going).
func (t *Tunnel) sessionsOn(tasks []string) (held, going int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lanes {
		if len(tasks) == 0 || slices.Contains(tasks, l.target.Task) {
			held++
			if l.draining.Load() {
				going++
			}
		}
	}
	return held, going
}

// wake has proofs and strands that wait for a usable lane look again. Connections that wait are woken by dispatch.
func (t *Tunnel) wake() {
	t.mu.Lock()
	close(t.changed)
	t.changed = make(chan struct{})
	t.mu.Unlock()
}
