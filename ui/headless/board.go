package headless

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
)

// Board is what a run shows to others while it goes on. The zero Board is ready to use, by one Run; its methods are safe
// for concurrent use.
type Board struct {
	mu      sync.Mutex
	state   string
	since   time.Time
	took    time.Duration
	client  *aws.Client
	posted  []*posted
	failure error
}

// posted is one tunnel on the board.
type posted struct {
	tunnel *tunnel.Tunnel
	local  string
	proxy  string // URL; empty unless it was proved to be one
	ready  bool
	took   time.Duration
	hosts  map[string]control.Host // of the connections that have ended
	trail  control.Host            // what no longer has a place in hosts
}

// maxHosts bounds what is remembered of each tunnel; the rest is counted together.
const maxHosts = 200

func (b *Board) begin(at time.Time, client *aws.Client) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.since, b.client = control.Starting, at, client
}

func (b *Board) opened(t *tracked) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.posted = append(b.posted, &posted{tunnel: t.Tunnel, local: t.local(), hosts: map[string]control.Host{}})
}

// proved posts that a tunnel is ready; the last one makes the run ready.
func (b *Board) proved(id tunnel.ID, proxy string, took time.Duration, all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.posted {
		if p.tunnel.ID() == id {
			p.ready, p.proxy, p.took = true, proxy, took
		}
	}
	if all && b.state == control.Starting {
		b.state, b.took = control.Ready, took
	}
}

func (b *Board) ending() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = control.Ending
}

// ended posts how the run ended; nil when it was told to.
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
		if p.tunnel.ID() == id {
			p.count(c)
		}
	}
}

func (p *posted) count(c *tunnel.Connection) {
	name := say.Line(cmp.Or(c.Host, string(c.Protocol)))
	h, known := p.hosts[name]
	if !known && len(p.hosts) >= maxHosts {
		p.trail = added(p.trail, c)
		return
	}
	h.Host = name
	p.hosts[name] = added(h, c)
}

func added(h control.Host, c *tunnel.Connection) control.Host {
	h.Connections++
	h.Sent += c.Sent
	h.Received += c.Received
	return h
}

// Set is the run as it is now, without name and process.
func (b *Board) Set() control.Set {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := control.Set{State: b.state, Since: b.since, Took: b.took.Milliseconds(), Tunnels: []control.Tunnel{}}
	s.Error, s.Remedy = words(b.failure)
	for _, p := range b.posted {
		s.Tunnels = append(s.Tunnels, p.shown(b.client))
	}
	return s
}

func (p *posted) shown(client *aws.Client) control.Tunnel {
	state, err := p.tunnel.State()
	link, stats, spec := p.tunnel.Link(), p.tunnel.Stats(), p.tunnel.Spec()
	target := spec.Target
	if link.Target.Task != "" {
		target = link.Target
	}
	t := control.Tunnel{
		ID: int(p.tunnel.ID()), State: state.String(), Ready: p.ready,
		Local: p.local, ProxyURL: p.proxy, Remote: spec.Remote.String(),
		Cluster: target.Cluster, Service: target.Service, Task: target.Task, Container: target.Container,
		TaskARN: client.TaskARN(target), Session: link.Session, AgentVersion: link.Agent,
		Sent: stats.Sent, Received: stats.Received, Connections: stats.Connections, Accepted: stats.Accepted,
		Retries: stats.Retries, RoundTripMS: stats.RoundTrip.Milliseconds(), Took: p.took.Milliseconds(),
		Hosts: p.busiest(),
	}
	if spec.Socket == "" {
		at := reachable(p.tunnel.Addr())
		t.Host, t.Port = at.Addr().String(), at.Port()
	}
	t.Error, t.Remedy = words(err)
	return t
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
