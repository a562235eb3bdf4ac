package tunnel

import (
	"cmp"
	"slices"
	"sync"
	"time"

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
	// warmAgain is the least time between two openings of a destination that is to be kept open.
	warmAgain = time.Minute
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
