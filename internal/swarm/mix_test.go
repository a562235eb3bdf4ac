// Package swarm is nothing but a test: of the engine against the emulated account, in mixes of tunnels, clients and mishaps that
// nobody thought of. A number, the seed, says what a mix consists of. docs/testing.md tells how to run and replay it.
package swarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// mix is all that a seed says: which account, which tunnels, which clients, and what goes wrong when.
type mix struct {
	seed     uint64
	length   time.Duration // in which clients come and things go wrong
	services []service
	options  settings
	drawn    []way // the tunnels that were drawn, but those by a relay
	relayed  []way // those by a relay that were drawn
	ways     []way // those of all these that are opened
	guests   []guest
	mishaps  []mishap
	besides  func(*world) // what a test does beside the guests; nil for none that was drawn
}

// service is one of the account's: so many tasks, of several containers or one.
type service struct {
	tasks       int
	sidecar     bool
	cpu, memory string // of a task; empty for the usual ones
}

// settings are the engine's.
type settings struct {
	oneTask     bool
	messageSize int // tunnel.Options.MessageSize
	reResolve   time.Duration
}

// way is a tunnel.
type way struct {
	name    string
	kind    wayKind
	service int
	sidecar bool // leads to the second container
	lanes   int  // 0 adapts
	pinned  bool
	alive   time.Duration // KeepAlive

	relay    bool // to a port, by a relay in the task
	required bool // by nothing else
}

type wayKind int

const (
	toPort wayKind = iota // -L, of the task
	toHost                // -L, a remote host
	toAny                 // -D
)

func (k wayKind) String() string { return [...]string{"to a port", "to a host", "to any host"}[k] }

// guest is a client: something that is done on one connection, or on several at the same time.
type guest struct {
	name  string
	at    time.Duration
	way   string
	kind  guestKind
	size  int           // bytes
	count int           // rounds, or connections
	pause time.Duration // between two rounds or reads
	host  int           // of a dynamic tunnel
	socks bool          // how it speaks with one
	id    uint64        // of its orders
}

type guestKind int

const (
	uploads guestKind = iota
	downloads
	chats
	aborts
	halfCloses
	readsSlowly
	bursts
	idles
	proves
)

func (k guestKind) String() string {
	return [...]string{"uploads", "downloads", "chats", "aborts", "half-closes", "reads slowly", "bursts", "idles", "proves"}[k]
}

// mishap is something that goes wrong, for a while or in one moment.
type mishap struct {
	name string
	at   time.Duration
	last time.Duration // how long; 0 where it is a moment
	kind string        // in mishaps
	way  string        // of which tunnel; empty where pick says that
	pick uint64        // of what, where there are several
	size float64       // from 0 to 1, how bad
}

func (m mishap) end() time.Duration { return m.at + m.last }

// themes are kinds of mishaps that make each other worse.
var themes = [][]string{
	{"all of that", "messages get lost", "messages get lost", "messages get lost"},
	{"all of that", "messages get lost", "messages double", "sockets are cut", "agents' sockets are closed"},
	{"a host moves, and was shut down", "a host moves, and was shut down", "a host moves", "agents start slowly", "a server is down"},
	{"ports stall", "ports stall", "ports stall", "a slow path"},
	{"ports stall", "ports swallow", "a slow path", "sockets live for seconds"},
	{"a task stops", "a deployment", "an agent dies", "tasks stop without a word", "nobody says who is away"},
	{"the API is out", "SSM throttles", "sockets live for seconds", "sessions last for seconds", "credentials end"},
}

// hostsEach is how many hosts the clients of a dynamic tunnel ask for.
const hostsEach = 3

// draw makes the mix of a seed.
func draw(seed uint64) mix {
	r := rand.New(rand.NewPCG(seed, 19))
	m := mix{seed: seed, length: time.Duration(20+r.IntN(60)) * time.Second}
	scale := 1
	if r.IntN(40) == 0 { // a night
		m.length = time.Duration(1+r.IntN(3)) * time.Hour
		scale = 3
	}
	for range 1 + r.IntN(3) {
		m.services = append(m.services, service{tasks: 1 + r.IntN(3), sidecar: r.IntN(3) == 0})
	}
	m.options = settings{oneTask: r.IntN(8) == 0, messageSize: oneOf(r, 0, 0, 0, -1, 256, 32<<10)}
	if r.IntN(4) == 0 {
		m.options.reResolve = time.Duration(5+r.IntN(60)) * time.Second
	}
	for i := range 1 + r.IntN(3) {
		w := way{name: fmt.Sprint("w", i), kind: oneOf(r, toPort, toPort, toHost, toHost, toAny), service: r.IntN(len(m.services)), lanes: oneOf(r, 0, 0, 1, 1, 2, 3, 4)}
		w.sidecar = m.services[w.service].sidecar && r.IntN(2) == 0
		w.pinned = r.IntN(12) == 0
		if r.IntN(6) == 0 {
			w.alive = time.Duration(1+r.IntN(20)) * time.Second
		}
		m.ways = append(m.ways, w)
	}
	m.drawn = m.ways
	at := func() time.Duration { return time.Duration(r.Int64N(int64(m.length))) }
	for i := range (2 + r.IntN(8)) * scale {
		g := guest{
			name: fmt.Sprint("g", i), at: at(), way: m.ways[r.IntN(len(m.ways))].name, id: uint64(i+1) << 32,
			kind: oneOf(r, uploads, uploads, downloads, downloads, chats, chats, chats, aborts, halfCloses, readsSlowly, bursts, idles, proves),
			size: 1 + r.IntN(1<<(4+r.IntN(13))), count: 1 + r.IntN(12), pause: time.Duration(r.Int64N(int64(4 * time.Second))), host: r.IntN(hostsEach), socks: r.IntN(2) == 0,
		}
		if g.kind == uploads || g.kind == downloads || g.kind == aborts {
			g.size = 1 + r.IntN(1<<(8+r.IntN(11)))
		}
		m.guests = append(m.guests, g)
	}
	kinds := sortedKinds(false)
	many := r.IntN(7) * scale
	if r.IntN(2) == 0 { // a few kinds again and again, so that what takes several of them comes together
		r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		kinds = append(slices.Clone(oneOf(r, themes...)), kinds[:2]...)
		many += 3
	}
	for i := range many {
		one := mishap{name: fmt.Sprint("m", i), at: at(), kind: kinds[r.IntN(len(kinds))], pick: r.Uint64(), size: r.Float64()}
		if known[one.kind].change != nil || known[one.kind].undo != nil {
			one.last = time.Duration(r.Int64N(int64(30*time.Second))) + time.Second/2
			if r.IntN(6) == 0 {
				one.at, one.last = 0, m.length // the account is like that
			}
		}
		m.mishaps = append(m.mishaps, one)
	}
	return m.withRelay()
}

// withRelay adds to some mixes a tunnel by a relay, with clients and mishaps of its own. Its random numbers are others, so that the
// rest of the mix is what it would be without.
func (m mix) withRelay() mix {
	r := rand.New(rand.NewPCG(m.seed, 23))
	if r.IntN(3) > 0 {
		return m
	}
	w := way{
		name: fmt.Sprint("w", len(m.ways)), kind: toPort, service: r.IntN(len(m.services)), relay: true, required: r.IntN(5) == 0,
		lanes: oneOf(r, 0, 0, 0, 0, 1, 2, 4), pinned: r.IntN(16) == 0,
	}
	s := &m.services[w.service]
	s.cpu, s.memory = oneOf(r, "512", "1024", "1024", "2048"), oneOf(r, "2048", "4096")
	w.sidecar = s.sidecar && r.IntN(2) == 0
	m.relayed, m.ways = []way{w}, append(slices.Clone(m.ways), w)
	at := func() time.Duration { return time.Duration(r.Int64N(int64(m.length))) }
	for range 3 + r.IntN(6) {
		g := guest{
			name: fmt.Sprint("g", len(m.guests)), at: at(), way: w.name, id: uint64(len(m.guests)+1) << 32,
			kind: oneOf(r, uploads, downloads, downloads, downloads, chats, chats, chats, aborts, halfCloses, readsSlowly, bursts, idles, proves),
			size: 1 + r.IntN(1<<(4+r.IntN(13))), count: 1 + r.IntN(12), pause: time.Duration(r.Int64N(int64(4 * time.Second))),
		}
		if g.kind == downloads || g.kind == aborts {
			g.size = 1 + r.IntN(1<<(12+r.IntN(9)))
		}
		m.guests = append(m.guests, g)
	}
	own, all := sortedKinds(true), sortedKinds(false)
	for range r.IntN(6) {
		one := mishap{name: fmt.Sprint("m", len(m.mishaps)), at: at(), way: w.name, kind: oneOf(r, own...), pick: r.Uint64(), size: r.Float64()}
		if r.IntN(4) == 0 {
			one.kind = oneOf(r, all...)
		}
		if known[one.kind].change != nil || known[one.kind].undo != nil {
			one.last = time.Duration(r.Int64N(int64(30*time.Second))) + time.Second/2
		}
		m.mishaps = append(m.mishaps, one)
	}
	if r.IntN(3) == 0 {
		return m.withEpilogue(r, w.name)
	}
	return m
}

// withEpilogue has the relay die, or take nothing for a while, when all else that goes wrong is over, while clients are at work and
// before others come.
func (m mix) withEpilogue(r *rand.Rand, name string) mix {
	at := m.length
	for _, one := range m.mishaps {
		at = max(at, one.end())
	}
	at += settles
	one := mishap{name: fmt.Sprint("m", len(m.mishaps)), at: at, way: name, kind: oneOf(r, "relays are killed", "relays are down", "relays forbid the port", "relays take nothing"), pick: r.Uint64()}
	every := time.Millisecond
	switch {
	case known[one.kind].undo != nil:
		one.last = 5 * time.Second
	case known[one.kind].relay == holds: // for longer than a session is kept over which nothing is acknowledged
		one.last, every = 30*time.Second, 8*every
	}
	m.mishaps = append(m.mishaps, one)
	for range 5 {
		m.guests = append(m.guests, guest{
			name: fmt.Sprint("g", len(m.guests)), at: at + time.Duration(r.IntN(5000)-1500)*every, way: name, id: uint64(len(m.guests)+1) << 32,
			kind: oneOf(r, downloads, downloads, chats), size: 1 + r.IntN(1<<20), count: 3, pause: time.Second,
		})
	}
	return m
}

// all are all tunnels that were drawn.
func (m mix) all() []way { return slices.Concat(m.drawn, m.relayed) }

func oneOf[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// parts are the names of all that can be left out.
func (m mix) parts() (names []string) {
	for _, one := range m.mishaps {
		names = append(names, one.name)
	}
	for _, g := range m.guests {
		names = append(names, g.name)
	}
	for _, w := range m.ways {
		names = append(names, w.name)
	}
	return names
}

// only is the mix without all but these parts; what a client needs comes with it.
func (m mix) only(names []string) mix {
	has := func(name string) bool { return slices.Contains(names, name) }
	m.ways = slices.DeleteFunc(slices.Clone(m.ways), func(w way) bool { return !has(w.name) })
	m.guests = slices.DeleteFunc(slices.Clone(m.guests), func(g guest) bool { return !has(g.name) || !has(g.way) })
	m.mishaps = slices.DeleteFunc(slices.Clone(m.mishaps), func(one mishap) bool { return !has(one.name) })
	return m
}

// String tells the mix, a line for each part.
func (m mix) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s, services %+v, %+v\n", m.seed, m.length, m.services, m.options)
	for _, w := range m.ways {
		by := map[[2]bool]string{{true, false}: ", by a relay", {true, true}: ", by a relay alone"}[[2]bool{w.relay, w.required}]
		fmt.Fprintf(&b, "  %s %s of service %d, sidecar %t, lanes %d, pinned %t, keepalive %s%s\n", w.name, w.kind, w.service, w.sidecar, w.lanes, w.pinned, w.alive, by)
	}
	for _, g := range m.guests {
		fmt.Fprintf(&b, "  %s at %s on %s %s: %d bytes, %d times, pause %s, host %d\n", g.name, g.at.Round(time.Millisecond), g.way, g.kind, g.size, g.count, g.pause.Round(time.Millisecond), g.host)
	}
	for _, one := range m.mishaps {
		fmt.Fprintf(&b, "  %s at %s for %s: %s (%d, %.2f) %s\n", one.name, one.at.Round(time.Millisecond), one.last.Round(time.Millisecond), one.kind, one.pick%100, one.size, one.way)
	}
	return b.String()
}
