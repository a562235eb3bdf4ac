package swarm

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"culvert/aws/emulator"
	"culvert/tunnel/bond"
)

const (
	firstRelay = 9000
	// farSide begins the address that the tasks of a way by a relay map the relay's port to: each has a relay of its own there.
	farSide = "relay:"
	// watched is how often a relay's socket looks at a knob of the account that holds it up, and how long a client at least waits that
	// is said to wait.
	watched = 50 * time.Millisecond
)

// relays are those of a way by a relay: one in each task, which leads to the way's server.
type relays struct {
	w       *world
	name    string // of the way
	serving sync.WaitGroup

	mu      sync.Mutex
	by      map[string]*relay // those that run, by task; one begins with the first connection to it
	down    bool              // none runs
	since   time.Time         // when the last one ended that nobody has taken the place of
	forbids bool              // those that begin do not open the way's port
	limits  bond.Limits       // of those that begin
	late    time.Duration     // of the answers to hellos
}

// relay is that of one task, from its start to its end.
type relay struct {
	of       *relays
	task     string
	bond     *bond.Relay
	listener net.Listener
	over     chan struct{} // closed at its end

	sockets map[*socket]bool // guarded by of.mu, and nil at its end
}

// inTasks is the network of the account: that of the world, and the tasks' own loopback, on which the relays are.
type inTasks struct{ w *world }

func (n inTasks) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return n.w.net.Listen(ctx, network, address)
}

func (n inTasks) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	name, is := strings.CutPrefix(address, farSide)
	if !is {
		return n.w.net.DialContext(ctx, network, address)
	}
	task, gone := emulator.DiallingTask(ctx)
	one, err := n.w.relays[name].in(task, gone) //nolint:contextcheck // the relay serves beyond the dial
	if err != nil {
		return nil, err
	}
	return n.w.net.DialContext(ctx, network, one.listener.Addr().String())
}

func refused() error { return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED} }

// in is the relay in a task, which ends when that is gone.
func (r *relays) in(task string, gone <-chan struct{}) (*relay, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, refused()
	}
	if one := r.by[task]; one != nil {
		return one, nil
	}
	l, err := r.w.net.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	one := &relay{of: r, task: task, listener: l, over: make(chan struct{}), sockets: map[*socket]bool{}}
	one.bond = &bond.Relay{Dial: one.dial, Limits: r.limits, Build: "swarm"}
	if !r.forbids {
		one.bond.Targets = []uint16{r.w.portOf(r.name)}
	}
	r.by[task], r.since = one, time.Time{}
	r.serving.Go(one.accept)
	r.serving.Go(func() {
		select {
		case <-gone:
			one.end()
		case <-one.over:
		}
	})
	return one, nil
}

// change has all relays die as if they were killed, and others begin as it says. It returns those that have died.
func (r *relays) change(how func()) []*relay {
	r.mu.Lock()
	how()
	var dead []*relay
	for _, one := range r.by {
		dead = append(dead, one)
	}
	r.mu.Unlock()
	for _, one := range dead {
		one.end()
	}
	return dead
}

// delay has them answer hellos so late.
func (r *relays) delay(by time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = by
}

// well has relays run as they should.
func (r *relays) well() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down, r.forbids, r.limits, r.late = false, false, bond.Limits{}, 0
}

// close ends all of them, and waits until nothing of them runs.
func (r *relays) close() {
	r.change(func() { r.down = true })
	r.serving.Wait()
}

// counts are those of all relays that run, together, and how many sockets they have.
func (r *relays) counts() (sum bond.Counts, sockets int) {
	r.mu.Lock()
	var all []*relay
	for _, one := range r.by {
		all = append(all, one)
		sockets += len(one.sockets)
	}
	r.mu.Unlock()
	for _, one := range all {
		c := one.bond.Counts()
		sum.Bundles, sum.Strands, sum.Streams = sum.Bundles+c.Bundles, sum.Strands+c.Strands, sum.Streams+c.Streams
	}
	return sum, sockets
}

// dead is since when none runs; zero while one does, and before the first.
func (r *relays) dead() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since
}

// end is the death of the process: its sockets are closed in the same moment.
func (one *relay) end() {
	r := one.of
	r.mu.Lock()
	if one.sockets == nil {
		r.mu.Unlock()
		return
	}
	sockets := one.sockets
	one.sockets = nil
	if r.by[one.task] == one {
		delete(r.by, one.task)
	}
	if len(r.by) == 0 {
		r.since = time.Now()
	}
	close(one.over)
	r.mu.Unlock()
	_ = one.listener.Close()
	for s := range sockets {
		_ = s.Conn.Close()
	}
	r.serving.Go(func() { _ = one.bond.Close() })
}

func (one *relay) accept() {
	for {
		conn, err := one.listener.Accept()
		if err != nil {
			return
		}
		if s := one.hold(conn); s != nil {
			one.bond.Take(&caller{socket: s})
		}
	}
}

// dial connects to the way's server, as far as the account lets the task's agent.
func (one *relay) dial(ctx context.Context, port uint16) (net.Conn, error) {
	w := one.of.w
	for {
		f := w.account.Faults()
		if slices.Contains(f.Refuse, port) {
			return nil, refused()
		}
		if !slices.Contains(f.Swallow, port) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(watched):
		}
	}
	conn, err := w.net.DialContext(ctx, "tcp", w.shores[one.of.name][0].address)
	if err != nil {
		return nil, err
	}
	s := one.hold(conn)
	if s == nil {
		return nil, refused()
	}
	w.mu.Lock()
	w.dialled[conn.LocalAddr().String()] = one
	w.mu.Unlock()
	return &target{socket: s, port: port}, nil
}

// socket is one of a relay's, which closes when that dies.
type socket struct {
	net.Conn

	of *relay
}

// hold makes a connection one of the relay's; nil when that has ended.
func (one *relay) hold(conn net.Conn) *socket {
	s := &socket{Conn: conn, of: one}
	one.of.mu.Lock()
	defer one.of.mu.Unlock()
	if one.sockets == nil {
		_ = conn.Close()
		return nil
	}
	one.sockets[s] = true
	return s
}

func (s *socket) Close() error {
	s.of.of.mu.Lock()
	delete(s.of.sockets, s)
	s.of.of.mu.Unlock()
	return s.Conn.Close()
}

// caller is a socket from an agent. The first that is written on it is the answer to its hello.
type caller struct {
	*socket

	answered bool
}

func (c *caller) Write(p []byte) (int, error) {
	if !c.answered {
		c.answered = true
		c.of.of.mu.Lock()
		late := c.of.of.late
		c.of.of.mu.Unlock()
		time.Sleep(late)
	}
	return c.socket.Write(p)
}

// target is a socket to the way's server.
type target struct {
	*socket

	port uint16
}

func (t *target) Write(p []byte) (int, error) {
	w := t.of.of.w
	for slices.Contains(w.account.Faults().Stalled, t.port) {
		select {
		case <-t.of.over:
		case <-time.After(watched):
			continue
		}
		break
	}
	return t.socket.Write(p)
}

func (t *target) CloseWrite() error {
	return t.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

func (t *target) Close() error {
	w := t.of.of.w
	w.mu.Lock()
	delete(w.dialled, t.LocalAddr().String())
	w.mu.Unlock()
	return t.socket.Close()
}

// What the world knows of connections by relays.

// carries notes that an order has come from an address, which may be a relay's.
func (w *world) carries(id uint64, from net.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.dialled[from.String()]; one != nil {
		w.carried[id] = one
	}
}

// through is the relay through which a connection goes, or went; nil where none is known.
func (w *world) through(l *line) *relay {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.carried[l.first.Load()]
}

// mourn looks whether those connections have ended that went through relays which are dead.
func (w *world) mourn(dead []*relay) {
	w.mu.Lock()
	var left []string
	for l := range w.lines {
		waits := l.reading.Load()
		if slices.Contains(dead, w.carried[l.first.Load()]) && waits > 0 && time.Since(time.Unix(0, waits)) > watched {
			left = append(left, l.of)
		}
	}
	w.mu.Unlock()
	for _, of := range left {
		w.fail("the relay is dead for %s, and the connection of %s through it has not ended", w.resets(), of)
	}
}

// resets is within what time connections end whose relay is dead. In real time a busy machine gets longer.
func (w *world) resets() time.Duration { return w.lag - time.Second }

func (w *world) relaysOf(m mishap) *relays { return w.relays[w.drawnOf(m).name] }

// renew has the relays of a mishap's way die and others begin.
func (w *world) renew(m mishap, how func(r *relays)) {
	r := w.relaysOf(m)
	dead := r.change(func() { how(r) })
	if w.undisturbed(m) && w.tunnels[r.name] != nil {
		w.looks.Go(func() {
			time.Sleep(w.resets())
			w.mourn(dead)
		})
	}
}

// strands are the ids of the sessions to the relays of a mishap's way, in the order in which they were opened.
func (w *world) strands(m mishap) (ids []string) {
	port := w.relayPort(w.drawnOf(m).name)
	for _, s := range w.account.Sessions() {
		if s.Port == port && s.Host == "" {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// eachStrand does something to all of them.
func (w *world) eachStrand(m mishap, do func(id string)) {
	for _, id := range w.strands(m) {
		do(id)
	}
}

// strand does something to one of them.
func (w *world) strand(m mishap, do func(id string)) {
	if ids := w.strands(m); len(ids) > 0 {
		do(ids[(m.pick>>8)%uint64(len(ids))])
	}
}

// relayed is the id of a task to whose relay there is a session; empty when there is none.
func (w *world) relayed(m mishap) string {
	for _, task := range w.account.Tasks(cluster, w.serviceOf(m)) {
		for _, s := range w.account.Sessions() {
			if s.Port == w.relayPort(w.drawnOf(m).name) && strings.Contains(s.Target, task) {
				return task
			}
		}
	}
	return ""
}

// waste looks what relays have left a minute after nobody uses them any more, which is how long a bundle may be without a strand.
func (w *world) waste() {
	for name, r := range w.relays {
		for end := time.Now().Add(time.Minute + w.lag); ; time.Sleep(time.Second) {
			counts, sockets := r.counts()
			if counts == (bond.Counts{}) && sockets == 0 {
				break
			}
			if time.Now().After(end) {
				w.fail("the relays of %s have %d sockets and this left: %s", name, sockets, counts)
				break
			}
		}
	}
}
