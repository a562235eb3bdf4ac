package tunnel

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"culvert/aws"
	"culvert/tunnel/front"
)

const (
	// waitsFor is how long a new host waits for a seat unless the Spec says otherwise.
	waitsFor = 2 * time.Minute
	// idleFor is how long a destination keeps its session while nobody uses it.
	idleFor = 5 * time.Minute
	// bereftFor is how long after its last use a destination still gets another session when it has lost its own. When a task
	// ends, all destinations on it lose theirs, and those that are used are to come first.
	bereftFor = 30 * time.Second
	// remembersFor is how long every client that asks for a destination is told that it has failed, without another try: a page
	// with a hundred resources must not open a hundred sessions to a host that does not exist.
	remembersFor = 5 * time.Second
	// warmAgain is the least time between two openings of a destination that is to be kept open.
	warmAgain = time.Minute
	// maxVerdicts is how many failures are remembered at the most.
	maxVerdicts = 1000
)

// pool holds the destinations of a dynamic tunnel. Each of them has an inner tunnel without a listener, which the engine does not
// list and which does all that a tunnel does: lanes, failover, resolving its host anew. The pool decides which destinations there
// are, and shares out the sessions among them. Its methods are safe for concurrent use.
type pool struct {
	tunnel *Tunnel
	server *front.Server
	seats  *seats
	tasks  tasks
	wait   time.Duration // how long a client waits for a destination, see Dynamic.Wait
	direct *direct
	health chan struct{} // the tunnel's state may have changed; capacity 1

	running sync.WaitGroup

	mu       sync.Mutex
	open     map[Endpoint]*destination
	order    []*destination // the destinations in open, in the order in which they were opened
	leaving  []*destination // destinations that are being ended
	scout    *destination   // see explore; nil for none
	verdicts map[Endpoint]verdict
	warmed   map[Endpoint]time.Time // when each destination that is to be kept open was last opened
	idle     time.Duration          // idleFor, but in tests
	patience time.Duration          // provesWithin, but in tests
	closing  bool                   // the tunnel ends: no more destinations are opened

	vouched chan struct{} // closed and replaced when a session was opened
	proof   Proof         // that sessions can be opened: the last one that was
	proofAt time.Time     // when that session was opened; zero before the first one
	link    Link          // that session
	sick    error         // why there is no session; nil when there is one, or that is not known
	lost    error         // why no session can be opened any more, whoever tries; nil otherwise
	scoutAt time.Time     // when the last scout was sent out
	past    Stats         // of destinations that have ended
}

// verdict is a failure that is remembered.
type verdict struct {
	err   error
	until time.Time
}

func newPool(t *Tunnel) *pool {
	d := t.spec.Dynamic
	p := &pool{
		tunnel: t, wait: cmp.Or(d.Wait, waitsFor), idle: idleFor, patience: provesWithin, health: make(chan struct{}, 1), open: map[Endpoint]*destination{}, verdicts: map[Endpoint]verdict{}, warmed: map[Endpoint]time.Time{}, vouched: make(chan struct{}),
	}
	t.connections.proxied = true
	p.seats = newSeats(cmp.Or(max(0, d.Destinations), DefaultDestinations), p.makeRoom)
	p.tasks = tasks{pool: p, looking: make(chan struct{}, 1)}
	p.direct = &direct{pool: p, open: map[Endpoint]*straight{}}
	p.server = front.New(front.Options{
		Through: p, Direct: p.direct, Rules: front.NewRules(d.Via, d.Deny), Names: t.local.names(), Own: t.spec.Client.Serves, Gone: p.clientGone, Log: t.log,
	})
	return p
}

func (p *pool) engine() *Engine { return p.tunnel.engine }

// Dial connects to a host and port through a task, for the proxy. When it returns, the destination is known to accept
// connections: by a proof, or because there was a proof and no connection has failed since. Every error is a *DestinationError.
func (p *pool) Dial(ctx context.Context, host string, port uint16) (net.Conn, error) {
	e := Endpoint{Host: host, Port: port}.normal()
	conn, err := p.reach(ctx, e)
	if err != nil {
		err = &DestinationError{Destination: e, Err: err}
		if ctx.Err() == nil {
			clientOf(ctx).note(err)
		}
		return nil, err
	}
	return conn, nil
}

// reach waits for a destination, opens it if need be, and connects to it.
func (p *pool) reach(ctx context.Context, e Endpoint) (net.Conn, error) {
	if err := p.unusable(e); err != nil { //nolint:contextcheck // nobody is asked
		return nil, err
	}
	late := time.NewTimer(p.wait)
	defer late.Stop()
	for {
		d, err := p.join(e) //nolint:contextcheck // a destination outlives whoever asks for it first
		if err != nil {
			return nil, err
		}
		conn, err := p.through(ctx, d, late.C)
		if !errors.Is(err, errStopped) || ctx.Err() != nil || p.tunnel.ctx.Err() != nil {
			return conn, err
		}
		// The destination was ended at the moment in which it was asked for: it is opened anew.
	}
}

// join counts the caller among those that wait for a destination, and opens the destination if it is not open. The error is a
// remembered failure of the destination.
func (p *pool) join(e Endpoint) (*destination, error) {
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		return nil, net.ErrClosed
	}
	if v, ok := p.verdicts[e]; ok {
		if time.Now().Before(v.until) {
			p.mu.Unlock()
			return nil, v.err
		}
		delete(p.verdicts, e)
	}
	d := p.open[e]
	fresh := d == nil
	if fresh {
		d = p.add(e)
	}
	d.waiters++
	p.mu.Unlock()
	if fresh {
		d.inner.start()
	}
	return d, nil
}

// add makes a destination. p.mu is held; the caller starts the destination's inner tunnel when it has released the lock.
func (p *pool) add(e Endpoint) *destination {
	d := &destination{pool: p, endpoint: e, opened: time.Now(), used: time.Now(), settled: make(chan struct{})}
	d.inner = p.inner(d, 0)
	p.open[e] = d
	p.order = append(p.order, d)
	return d
}

// inner makes the inner tunnel of a destination; lanes is how many sessions it has, with 0 as many as the dynamic tunnel's Spec
// says.
func (p *pool) inner(d *destination, lanes int) *Tunnel {
	s := p.tunnel.spec
	s = Spec{
		Target: s.Target, Client: s.Client, Pinned: s.Pinned, Remote: d.endpoint, Unlistened: true,
		Lanes: cmp.Or(lanes, s.Lanes), OneTask: s.OneTask, KeepAlive: s.KeepAlive,
	}
	t := newTunnel(p.engine(), p.tunnel.id, s, &listener{})
	t.log = t.log.With("destination", d.endpoint.String())
	t.of = d
	p.running.Go(func() {
		<-t.done
		p.gone(d)
	})
	return t
}

// through waits until a destination is proved and connects to it.
func (p *pool) through(ctx context.Context, d *destination, late <-chan time.Time) (net.Conn, error) {
	joined := true
	defer func() {
		if joined {
			p.part(d)
		}
	}()
	for {
		p.mu.Lock()
		if d.proved && !d.inner.able() {
			d.proved = false // there is no session that takes connections now, so the client cannot be told that it is connected
		}
		if d.proved && !d.ending {
			d.waiters--
			d.conns++
			joined = false
			p.mu.Unlock()
			return p.pass(ctx, d)
		}
		if !d.proving && !d.ending {
			d.proving = true
			p.running.Go(d.prove)
		}
		settled := d.settled
		v, failed := p.verdicts[d.endpoint]
		ending := d.ending
		p.mu.Unlock()
		switch {
		case failed && ending:
			return nil, v.err
		case ending:
			return nil, errStopped
		}
		select {
		case <-settled:
			if err := p.verdict(d); err != nil {
				return nil, err
			}
		case <-late:
			return nil, p.late(d)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-p.tunnel.ctx.Done():
			return nil, net.ErrClosed
		}
	}
}

// verdict is the remembered failure of a destination; nil when there is none, or the destination was proved since.
func (p *pool) verdict(d *destination) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.verdicts[d.endpoint]; ok && !d.proved {
		return v.err
	}
	return nil
}

// late is why a client has waited for a destination in vain.
func (p *pool) late(d *destination) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !d.seated && p.seats.waiting() > 0:
		return &CapError{Most: p.seats.most, Each: p.seats.each, Waited: p.wait}
	case d.trouble != nil:
		return d.trouble
	}
	return &LateError{Waited: p.wait}
}

// part ends one caller's wait for a destination. A destination without a session for which nobody waits any more is ended.
func (p *pool) part(d *destination) {
	p.mu.Lock()
	d.waiters--
	unwanted := d.waiters == 0 && d.conns == 0 && !d.seated && !d.warm
	p.mu.Unlock()
	if unwanted {
		p.end(d)
	}
	p.seats.look()
}

// left notes the end of a connection to a destination. After one that the far end did not accept, the next one waits for a proof
// again.
func (p *pool) left(d *destination, err error) {
	p.mu.Lock()
	d.conns--
	d.used = time.Now()
	if isVerdict(err) {
		d.proved = false
	}
	p.mu.Unlock()
	p.seats.look()
}

// fail notes why a destination takes no connections, tells those that wait for one, and ends the destination unless it has other
// connections or is to be kept open.
func (p *pool) fail(d *destination, err error) {
	p.mu.Lock()
	if d.ending || errors.Is(err, errStopped) {
		p.mu.Unlock()
		return
	}
	d.proved = false
	p.remember(d.endpoint, err)
	d.settle()
	unused := d.conns == 0 && !d.warm
	p.mu.Unlock()
	p.tunnel.log.Info("destination failed", "destination", d.endpoint.String(), "error", err)
	if unused {
		p.end(d)
	}
}

// remember keeps a failure for remembersFor. p.mu is held.
func (p *pool) remember(e Endpoint, err error) {
	if _, known := p.verdicts[e]; !known && len(p.verdicts) >= maxVerdicts {
		delete(p.verdicts, p.eldest())
	}
	p.verdicts[e] = verdict{err, time.Now().Add(remembersFor)}
}

// eldest is the destination whose failure has been remembered the longest. p.mu is held.
func (p *pool) eldest() (at Endpoint) {
	var until time.Time
	for e, v := range p.verdicts {
		if until.IsZero() || v.until.Before(until) {
			at, until = e, v.until
		}
	}
	return at
}

// end gives a destination up: its sessions are terminated and its connections reset.
func (p *pool) end(d *destination) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(d)
}

// drop is end for callers that hold p.mu.
func (p *pool) drop(d *destination) {
	if d.ending {
		return
	}
	d.ending = true
	if p.scout == d {
		p.scout = nil
	}
	if p.open[d.endpoint] == d {
		delete(p.open, d.endpoint)
		p.order = slices.DeleteFunc(p.order, func(other *destination) bool { return other == d })
	}
	p.leaving = append(p.leaving, d)
	d.settle()
	d.inner.stop(nil)
}

// gone notes that the inner tunnel of a destination has ended, by itself or because it was told to.
func (p *pool) gone(d *destination) {
	p.mu.Lock()
	p.drop(d)
	p.leaving = slices.DeleteFunc(p.leaving, func(other *destination) bool { return other == d })
	s := d.inner.Stats()
	p.past.Resent += s.Resent
	p.past.Retries += s.Retries
	p.mu.Unlock()
	p.ail()
}

// makeRoom ends destinations that nobody uses, the longest unused first, until n sessions on the named tasks are about to end, or
// on any task when none is named. If that is not enough, destinations with several sessions end one of them.
func (p *pool) makeRoom(n int, tasks []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.leaving {
		held, _ := d.inner.sessionsOn(tasks)
		n -= held
	}
	for _, d := range p.order {
		_, going := d.inner.sessionsOn(tasks)
		n -= going
	}
	able := slices.DeleteFunc(slices.Clone(p.order), func(d *destination) bool { return d.warm || !d.idle() })
	slices.SortStableFunc(able, func(a, b *destination) int { return a.used.Compare(b.used) })
	for _, d := range able {
		if n <= 0 {
			return
		}
		if held, _ := d.inner.sessionsOn(tasks); held > 0 {
			p.tunnel.log.Info("ending the destination that was not used for the longest time, another one needs its seat", "destination", d.endpoint.String())
			p.drop(d)
			n -= held
		}
	}
	for _, d := range p.order {
		if held, going := d.inner.sessionsOn(tasks); n > 0 && held-going > 1 {
			select {
			case d.inner.shed <- struct{}{}:
			default:
			}
			n--
		}
	}
}

// look is called once a second. It ends destinations that nobody has used for p.idle, and fails those that have clients waiting
// but could not get a session for acquireWithin.
func (p *pool) look(now time.Time) {
	p.mu.Lock()
	var late []*destination
	for _, d := range slices.Clone(p.order) {
		switch {
		case d.idle() && !d.warm && now.Sub(d.used) >= p.idle:
			p.drop(d)
		case d.trouble != nil && now.Sub(d.since) >= acquireWithin && d.waiters > 0:
			late = append(late, d)
		}
	}
	for e, v := range p.verdicts {
		if now.After(v.until) {
			delete(p.verdicts, e)
		}
	}
	p.mu.Unlock()
	for _, d := range late {
		if why := d.why(); why != nil { // nil: it has got a session just now
			p.fail(d, why)
		}
	}
	p.warm()
	p.direct.look(now)
	p.seats.look()
}

// why returns what keeps the destination from having a session; nil when it has one.
func (d *destination) why() error {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	return d.trouble
}

// warm opens those of the destinations that are to be kept open (Dynamic.Warm) that are not open.
func (p *pool) warm() {
	for _, e := range p.tunnel.spec.Dynamic.Warm {
		e = e.normal()
		if p.unusable(e) != nil {
			continue
		}
		p.mu.Lock()
		d := p.open[e]
		_, failed := p.verdicts[e]
		fresh := d == nil && !failed && !p.closing && time.Since(p.warmed[e]) >= warmAgain
		if fresh {
			d = p.add(e)
			p.warmed[e] = d.opened
		}
		if d != nil {
			d.warm = true
			if fresh {
				d.proving = true
				p.running.Go(func() { d.prove() })
			}
		}
		p.mu.Unlock()
		if fresh {
			d.inner.start()
		}
	}
}

// list is Tunnel.Destinations.
func (p *pool) list() []Destination {
	p.mu.Lock()
	order := slices.Clone(p.order)
	p.mu.Unlock()
	all := p.direct.list()
	for _, d := range order {
		all = append(all, d.describe())
	}
	slices.SortStableFunc(all, func(a, b Destination) int { return a.Opened.Compare(b.Opened) })
	return all
}

func (p *pool) connections(e Endpoint) []Connection {
	p.mu.Lock()
	d := p.open[e]
	p.mu.Unlock()
	if d == nil {
		return p.direct.connections(e)
	}
	return d.inner.Connections()
}

func (p *pool) endOne(e Endpoint) bool {
	p.mu.Lock()
	d := p.open[e]
	delete(p.verdicts, e)
	if d != nil {
		p.drop(d)
	}
	p.mu.Unlock()
	return p.direct.end(e) || d != nil
}

// inners are the tunnels of all destinations, the scout's included.
func (p *pool) inners() []*Tunnel {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*Tunnel
	for _, d := range p.order {
		all = append(all, d.inner)
	}
	if p.scout != nil {
		all = append(all, p.scout.inner)
	}
	return all
}

// close ends all destinations and waits for them.
func (p *pool) close() {
	p.mu.Lock()
	p.closing = true
	for _, d := range slices.Clone(p.order) {
		p.drop(d)
	}
	if p.scout != nil {
		p.drop(p.scout)
	}
	p.mu.Unlock()
	p.direct.close()
	p.running.Wait()
}

// seat waits for the seat of a session to the destination: it returns the task that the session leads to, when the session may
// begin there.
func (d *destination) seat(ctx context.Context, l *lane, peers []aws.Target, needed bool) (aws.Target, error) {
	p := d.pool
	target, taken, err := p.seats.take(ctx, peers, p.tunnel.avoided(), needed)
	if err != nil {
		return aws.Target{}, err
	}
	l.seat = taken
	p.mu.Lock()
	d.seated = true
	p.mu.Unlock()
	return target, nil
}
