package headless

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
)

// Board is what a run shows to others while it goes on. The zero Board is ready to use, by one Run; its methods are safe
// for concurrent use.
type Board struct {
	before tunnel.ID // added to the ids of the tunnels, to tell them from those of other runs of the same holder (Keep)
	kept   bool      // the tunnels were opened by another face (Keep); they are shown in the order in which they were given

	mu      sync.Mutex
	state   string
	since   time.Time
	took    time.Duration
	over    time.Time // when the end began; zero before
	posted  []*posted
	absent  []absent
	left    []*tunnel.UnendedError
	failure error
}

// posted is one tunnel on the board.
type posted struct {
	tunnel *tunnel.Tunnel
	local  string
	proxy  string // URL of the proxy at the far end, without a password; empty when no proxy was found there
	found  proof  // the proof that made it ready
	from   Forward
	ready  bool
	late   error // why it was not ready in time
	doubt  error // why the last proof failed, after an earlier one; nil when the far end is proved
	took   time.Duration
	since  time.Time               // when it was first proved; zero before
	hosts  map[string]control.Host // of the connections that have ended, by name
	trail  control.Host            // the sum of the connections to hosts that are not in hosts, see maxHosts
	last   []control.Destination   // the destinations when the end of the run began; nil before
	past   map[uint64]bool         // ids of connections that hosts and trail count already; see inherit
}

// maxHosts bounds how many hosts are remembered of each tunnel; the connections to further ones are summed up in trail.
const maxHosts = 1000

func (b *Board) begin(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.since = control.Starting, at
}

func (b *Board) opened(t *tracked) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.posted = append(b.posted, &posted{tunnel: t.Tunnel, local: t.local(), from: t.forward, hosts: map[string]control.Host{}})
}

// unopened posts a forward that no tunnel could be opened for.
func (b *Board) unopened(a absent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.absent = append(b.absent, a)
}

// proved posts that a tunnel is ready.
func (b *Board) proved(id tunnel.ID, proxy string, found proof, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.posted {
		if p.tunnel.ID() == id {
			p.ready, p.late, p.proxy, p.found, p.took = true, nil, proxy, found, took
			if p.since.IsZero() {
				p.since = time.Now()
			}
		}
	}
}

// doubted posts why another proof of a tunnel's far end failed; nil when the far end is proved again.
func (b *Board) doubted(id tunnel.ID, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.posted {
		if p.tunnel.ID() == id {
			p.doubt = why
		}
	}
}

// late posts that a tunnel was not ready in time.
func (b *Board) late(id tunnel.ID, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.posted {
		if p.tunnel.ID() == id {
			p.late = why
		}
	}
}

// settled posts that every tunnel is ready (whole), or that those which are not have been given up.
func (b *Board) settled(whole bool, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state == control.Starting && !whole:
		b.state = control.Partial
	case b.state == control.Starting, b.state == control.Partial && whole:
		b.state, b.took = control.Ready, took
	}
}

// lament posts which sessions could not be terminated.
func (b *Board) lament(left []*tunnel.UnendedError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = left
}

func (b *Board) ending() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.over = control.Ending, time.Now()
	for _, p := range b.posted {
		p.remember()
	}
}

// ended posts how the run ended. nil and *StoppedError mean that the run was told to end, which is no failure.
func (b *Board) ended(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = control.Ending
	if _, told := errors.AsType[*StoppedError](err); err != nil && !told {
		b.state, b.failure = control.Failed, err
	}
}

// connection counts a connection that has ended.
func (b *Board) connection(id tunnel.ID, c *tunnel.Connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.posted {
		if p.tunnel.ID() == id && !p.past[c.ID] {
			p.count(c)
		}
	}
}

// missed counts connections that have ended and that no Ending reports one by one, so that their hosts are not known.
func (b *Board) missed(id tunnel.ID, m tunnel.Missed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.posted {
		if p.tunnel.ID() == id {
			p.trail.Connections += m.Connections
			p.trail.Sent += m.Sent
			p.trail.Received += m.Received
		}
	}
}

func (p *posted) count(c *tunnel.Connection) {
	for _, share := range c.Split() {
		name := say.Line(cmp.Or(share.Host, string(c.Protocol)))
		h, known := p.hosts[name]
		if !known && len(p.hosts) >= maxHosts {
			p.trail = added(p.trail, share, c.Ended.IsZero())
			continue
		}
		h.Host = name
		p.hosts[name] = added(h, share, c.Ended.IsZero())
	}
}

func added(h control.Host, s tunnel.Share, open bool) control.Host {
	h.Connections++
	if open {
		h.Open++
	}
	h.Requests += s.Requests
	h.Failed += s.Failed
	if problem, _ := words(s.Err); problem != "" {
		h.Error = problem
	}
	h.Sent += s.Sent
	h.Received += s.Received
	return h
}

// Set is the run as it is now, without the name and the process of its holder.
func (b *Board) Set() control.Set {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := control.Set{State: b.state, Since: b.since, Took: b.took.Milliseconds(), Tunnels: []control.Tunnel{}}
	s.Error, s.Remedy = words(b.failure)
	for _, p := range b.posted {
		t := p.shown()
		t.ID, t.Steps = t.ID+int(b.before), p.steps(b.over)
		s.Tunnels = append(s.Tunnels, t)
	}
	for _, a := range b.absent {
		s.Tunnels = append(s.Tunnels, a.shown())
	}
	if !b.kept {
		slices.SortFunc(s.Tunnels, func(a, b control.Tunnel) int { return cmp.Compare(a.ID, b.ID) })
	}
	for _, u := range b.left {
		e := control.Unended{Session: say.Brief(u.Session)}
		e.Error, e.Remedy = words(u)
		s.Left = append(s.Left, e)
	}
	return s
}

// shown is a forward that could not be opened, as a tunnel of the set.
func (a absent) shown() control.Tunnel {
	q, spec := a.forward.Query, a.forward.Spec
	t := control.Tunnel{
		ID: int(a.id), State: tunnel.Failed.String(), Local: asked(spec), Remote: spec.FarEnd(), To: spec.To, Dynamic: dynamic(spec.Dynamic),
		Profile: a.forward.Profile, Region: a.forward.Region,
		Cluster: q.Cluster, Service: q.Service, Family: q.Family, Task: q.Task, Container: q.Container,
	}
	t.Error, t.Remedy = words(a.err)
	return t
}

func (p *posted) shown() control.Tunnel {
	state, err := p.tunnel.State()
	stats, spec := p.tunnel.Stats(), p.tunnel.Spec()
	link, target := carrier(p.tunnel)
	t := control.Tunnel{
		ID: int(p.tunnel.ID()), State: state.String(), Ready: p.ready && p.doubt == nil, Profile: p.from.Profile, Region: p.from.Region,
		Local: p.local, ProxyURL: p.proxy, Proof: p.found.by, Server: say.Line(p.found.server), LoginWanted: p.found.login, Remote: spec.FarEnd(), To: spec.To, Dynamic: dynamic(spec.Dynamic),
		Cluster: target.Cluster, Service: target.Service, Family: target.Family, Task: target.Task, Container: target.Container,
		TaskARN: spec.Client.TaskARN(target), Session: link.Session, AgentVersion: link.Agent,
		Sent: stats.Sent, Received: stats.Received, Connections: stats.Connections, Accepted: stats.Accepted,
		Retries: stats.Retries, RoundTripMS: stats.RoundTrip.Milliseconds(), MessageSize: stats.MessageSize, Took: p.took.Milliseconds(),
		Hosts: p.busiest(), Destinations: p.last,
	}
	t.Relay, t.RelayWhy = relaying(link.Relay)
	t.Strands = stats.Strands
	if now := destinations(p.tunnel); p.last == nil {
		t.Destinations = now
	}
	if taken := p.tunnel.Replaced(); taken != nil {
		t.Taken = taken.Error()
	}
	if spec.Socket == "" {
		at := reachable(p.tunnel.Addr())
		t.Host, t.Port = at.Addr().String(), at.Port()
	}
	_, t.Refused = errors.AsType[*RefusalError](p.late)
	t.Error, t.Remedy = words(cmp.Or(err, p.late, p.doubt))
	return t
}

// steps are the changes of the tunnel's state since it was first ready, up to until or, where that is zero, up to now. It
// has no more than the last control.MaxSteps.
func (p *posted) steps(until time.Time) []control.Step {
	history := slices.DeleteFunc(p.tunnel.History(), func(e tunnel.Event) bool {
		return p.since.IsZero() || e.At.Before(p.since) || !until.IsZero() && e.At.After(until)
	})
	return steps(history[max(0, len(history)-control.MaxSteps):])
}

// busiest are the hosts by the bytes that went to and from them, the open connections included.
func (p *posted) busiest() []control.Host {
	now := &posted{hosts: maps.Clone(p.hosts), trail: p.trail}
	for _, c := range p.tunnel.Connections() {
		if c.Ended.IsZero() {
			now.count(&c)
		}
	}
	hosts := slices.SortedFunc(maps.Values(now.hosts), func(a, b control.Host) int {
		return cmp.Or(cmp.Compare(b.Sent+b.Received, a.Sent+a.Received), cmp.Compare(a.Host, b.Host))
	})
	if now.trail.Connections > 0 {
		now.trail.Host = "others"
		hosts = append(hosts, now.trail)
	}
	return hosts
}
