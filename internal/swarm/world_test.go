package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
)

const (
	cluster   = "c"
	firstPort = 7000
	pace      = 20 * time.Millisecond // of tasks from one status to the next
	// grace is how long after a mishap a connection may begin that ends because of it: the API is asked again after up to 30 s, and the
	// connection waits 15 s for a session.
	grace = 20 * time.Second
	// founded is until when something that goes wrong may keep a tunnel from ever being open.
	founded = 50 * time.Second
	// hangs is how long a connection may go without a byte when nothing is wrong any more: a session that takes nothing is given up
	// after two minutes.
	hangs = 150 * time.Second
	// recovers is how long a tunnel may take to carry a connection again when nothing is wrong any more.
	recovers = 90 * time.Second
	// rests is after how long at the most a relay is tried again that has not worked.
	rests = 2 * time.Minute
	// bare is how long connections through a relay wait for a session when all have ended.
	bare = time.Minute
	// settles is how long after other mishaps a relay's end may be noticed later than it is promised.
	settles = 40 * time.Second
	// promptly is how long the first byte of an answer may take when nothing but the relay is wrong, for which a connection waits a second.
	promptly = 2 * time.Second
	// silent is how long after the first connection that meets a relay which takes nothing others may begin that wait for it: half a
	// second is waited for an acknowledge on its session, and then on those that were idle.
	silent = 2 * time.Second
)

// world is a mix at work.
type world struct {
	m       mix
	net     network
	lag     time.Duration // that a state may trail what is so
	account *emulator.Emulator
	key     string
	engine  *tunnel.Engine
	skew    atomic.Int64 // of the account's clock
	began   time.Time
	shores  map[string][]*shore // by way: two of each host, or the one of a port
	tunnels map[string]*tunnel.Tunnel
	moved   map[string]int // hosts, by name: which shore they are at
	killed  []string       // tasks whose agents have died
	relays  map[string]*relays
	looks   sync.WaitGroup // at what a mishap has brought
	log     *slog.Logger

	mu      sync.Mutex
	met     map[string]time.Time // when somebody first met what waits for that, see trouble
	found   []string
	active  []mishap
	lines   map[*line]bool
	orders  map[uint64]bool
	dialled map[string]*relay // which relay connects from an address
	carried map[uint64]*relay // by order, for those that came through one
	frozen  map[string]int    // sessions whose sockets were dead once, and which of their sockets was the last of these
}

// run plays a mix out and returns what was wrong.
func (m mix) run(net network, lag time.Duration, dir string) (found []string) {
	w := &world{
		m: m, net: net, lag: lag, shores: map[string][]*shore{}, tunnels: map[string]*tunnel.Tunnel{}, moved: map[string]int{},
		lines: map[*line]bool{}, orders: map[uint64]bool{}, frozen: map[string]int{}, met: map[string]time.Time{}, log: slog.New(slog.DiscardHandler),
		relays: map[string]*relays{}, dialled: map[string]*relay{}, carried: map[uint64]*relay{},
	}
	if os.Getenv("CULVERT_TEST_LOG") != "" {
		w.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if err := w.play(dir); err != nil {
		w.fail("%v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.found
}

// fail notes that something is wrong.
func (w *world) fail(form string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.found) < 20 {
		at := ""
		if !w.began.IsZero() {
			at = fmt.Sprintf("%8.3fs: ", time.Since(w.began).Seconds())
		}
		w.found = append(w.found, at+fmt.Sprintf(form, args...))
	}
}

// first reports whether an order has not arrived before.
func (w *world) first(id uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	had := w.orders[id]
	w.orders[id] = true
	return !had
}

func (w *world) play(dir string) error {
	defer w.closeShores()
	if err := w.openShores(); err != nil {
		return err
	}
	account, err := emulator.Start(emulator.Options{
		Fleet: w.fleet(), Seed: w.m.seed, Pace: pace, Network: inTasks{w},
		Now: func() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) },
	})
	if err != nil {
		return err
	}
	defer account.Close()
	w.account = account
	var secret string
	w.key, secret = account.Credentials()
	w.turn()
	client, err := aws.Connect(context.Background(), aws.Options{
		Region: "eu-west-1", Endpoint: account.URL(), Keys: aws.Keys{ID: w.key, Secret: secret}, DialContext: w.net.DialContext, Log: w.log,
	})
	if err != nil {
		return err
	}
	journal, err := tunnel.OpenJournal(dir, w.log)
	if err != nil {
		return err
	}
	w.engine = tunnel.New(tunnel.Options{
		Client: client, Journal: journal, Listen: w.net.Listen, Log: w.log,
		OneTask: w.m.options.oneTask, MessageSize: w.m.options.messageSize, ReResolve: w.m.options.reResolve,
	})
	w.began = time.Now()
	err = w.live()
	w.end(dir)
	return err
}

// live has everything happen that the mix says.
func (w *world) live() error {
	for i, one := range w.m.ways {
		tn, err := w.engine.Open(w.spec(i, one))
		if err != nil {
			return err
		}
		w.tunnels[one.name] = tn
	}
	over := make(chan struct{})
	var watching, working sync.WaitGroup
	watching.Go(func() { w.observe(over) })
	working.Go(w.suffer)
	for _, g := range w.m.guests {
		working.Go(func() {
			time.Sleep(g.at)
			began := time.Now()
			errs := w.serve(g, w.tunnels[g.way])
			w.judge(g, errs, began, time.Now())
		})
	}
	if w.m.besides != nil {
		w.m.besides(w)
	}
	working.Wait()
	w.looks.Wait()
	w.recover()
	close(over)
	watching.Wait()
	return nil
}

// suffer has the mishaps happen.
func (w *world) suffer() {
	type step struct {
		at    time.Duration
		of    mishap
		begin bool
	}
	var steps []step
	for _, m := range w.m.mishaps {
		steps = append(steps, step{m.at, m, true}, step{m.end(), m, false})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	for _, s := range steps {
		time.Sleep(time.Until(w.began.Add(s.at)))
		kind := known[s.of.kind]
		w.log.Warn("swarm", "mishap", s.of.name, "kind", s.of.kind, "begins", s.begin)
		w.mu.Lock()
		if s.begin {
			w.active = append(w.active, s.of)
		} else {
			w.active = slices.DeleteFunc(w.active, func(m mishap) bool { return m.name == s.of.name })
		}
		w.mu.Unlock()
		if kind.change != nil {
			w.turn()
		}
		if s.begin && kind.do != nil {
			kind.do(w, s.of)
		}
		if !s.begin && kind.undo != nil {
			kind.undo(w, s.of)
		}
	}
}

// turn sets every knob of the account as what is wrong at present has it.
func (w *world) turn() {
	w.mu.Lock()
	active := slices.Clone(w.active)
	w.mu.Unlock()
	w.account.Fault(func(f *emulator.Faults) {
		*f = emulator.Faithful()
		f.Seed = w.m.seed
		for _, m := range active {
			if change := known[m.kind].change; change != nil {
				change(w, m, f)
			}
		}
	})
}

// recover holds every tunnel against the promise that it carries connections when nothing is wrong any more.
func (w *world) recover() {
	for _, r := range w.relays {
		r.well()
	}
	for _, all := range w.shores {
		for _, s := range all {
			if s.left { // its host is elsewhere for good
				continue
			}
			if err := s.up(); err != nil {
				w.fail("open a server again: %v", err)
			}
		}
	}
	w.bury()
	w.scaleUp()
	var all sync.WaitGroup
	for i, one := range w.m.ways {
		all.Go(func() { w.serves(one, i) })
	}
	all.Wait()
}

// serves waits until a tunnel carries a connection, and goes through its relay where it has one.
func (w *world) serves(one way, i int) {
	tn := w.tunnels[one.name]
	within := recovers
	if one.relay {
		within += rests
	}
	began := time.Now()
	var last error
	for n := 0; time.Since(began) < within; n++ {
		if state, err := tn.State(); state.Final() {
			if !w.mayFail(one) {
				w.fail("%s has failed for good: %v", one.name, err)
			}
			return
		}
		g := guest{name: "the last of " + one.name, way: one.name, kind: chats, host: i % hostsEach}
		var went bool
		last = w.alone(g, tn, func(l *line) error {
			err := echo(l, uint64(1)<<63|uint64(i)<<32|uint64(n), 300)
			went = w.through(l) != nil
			return err
		})
		if last == nil && (went || !one.relay) {
			return
		}
		if last == nil && time.Since(began) > recovers {
			last = errors.New("it went without the relay")
		}
		time.Sleep(time.Second)
	}
	state, why := tn.State()
	w.fail("%s carries no connection %s after all is well again, it is %s (%v): %v", one.name, within, state, why, last)
}

// end closes everything and looks what is left.
func (w *world) end(dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.engine.Close(ctx); err != nil {
		w.fail("close the engine: %v", err)
	}
	for _, tn := range w.tunnels {
		if state, _ := tn.State(); !state.Final() {
			w.fail("tunnel %d is %s after its end", tn.ID(), state)
		}
	}
	left, told := w.account.Sessions(), w.engine.Unended()
	if len(left) > 0 || len(told) > 0 { // the API answers
		w.fail("%d sessions are left, and %d are told of: %+v, %v", len(left), len(told), left, told)
	}
	if _, slow := w.net.(*sockets); !slow { // where a minute takes one
		w.waste()
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		w.fail("files are left: %v, %v", files, err)
	}
}

// mayFail reports whether a tunnel may have ended for good.
func (w *world) mayFail(one way) bool {
	return one.pinned || slices.ContainsFunc(w.m.mishaps, func(m mishap) bool {
		return known[m.kind].relay == unharmed && w.breaks(m, one) && m.at < founded
	})
}

// breaks reports whether a mishap may end a connection of a tunnel.
func (w *world) breaks(m mishap, one way) bool {
	kind, of := known[m.kind], w.drawnOf(m)
	switch {
	case kind.relay != unharmed:
		return of.name == one.name
	case kind.of == aTunnel && w.tunnels[of.name] != nil:
		return kind.breaks && of.name == one.name
	case kind.of == aService:
		return kind.breaks && of.service == one.service
	}
	return kind.breaks
}

// What has become of all guests, and how many connections went through relays: TestSwarm tells, so that nobody takes a swarm for one
// that has excused itself.
var served, excused, relayed atomic.Int64

// judge holds what a guest's connections have met against what was wrong meanwhile.
func (w *world) judge(g guest, errs []error, began, ended time.Time) {
	for _, err := range errs {
		if err == nil {
			served.Add(1)
			continue
		}
		if wrong, ok := errors.AsType[*wrongError](err); ok {
			w.fail("%s on %s: %v", g.name, g.way, wrong)
			continue
		}
		if w.excused(g, err, began, ended) {
			excused.Add(1)
			continue
		}
		w.fail("%s on %s %s from %.3fs on and met, though nothing was wrong: %v", g.name, g.way, g.kind, began.Sub(w.began).Seconds(), err)
	}
}

// endsCleanly are the mishaps after which a connection may look as if its far end had said all: that end itself was cut off, which
// an agent does not pass on; nobody says that an upload is in doubt; or the agent knows no connections.
var endsCleanly = []string{
	"a server is down", "a host moves, and was shut down", "nobody says who is away", "agents without mux",
}

// excused reports whether something was wrong that may end a connection; one that ends as if all were said, only if that may be,
// and through a relay it may not.
func (w *world) excused(g guest, err error, began, ended time.Time) bool {
	one := w.wayOf(g.way)
	if one.pinned {
		return true
	}
	if state, _ := w.tunnels[g.way].State(); state.Final() && w.mayFail(one) {
		return true
	}
	_, went := errors.AsType[*relayedError](err)
	cleanly := errors.Is(err, io.EOF) && g.kind != proves
	if one.relay && (!went || !cleanly) && (w.bare(began, ended) || w.forbidden(began, ended)) {
		return true
	}
	is := false
	for _, m := range w.m.mishaps {
		if cleanly && (went || !slices.Contains(endsCleanly, m.kind)) {
			continue
		}
		for _, s := range w.excuses(m, one, went) {
			if !ended.After(s.from) {
				continue
			}
			if known[m.kind].waits {
				s.to = w.meet(m.name+" "+w.hostName(one, g.host), ended).Add(grace)
			}
			is = is || began.Before(s.to)
		}
	}
	return is
}

// excuse is what a mishap excuses: connections that were there after from, and had begun before to.
type excuse struct{ from, to time.Time }

// excuses are what a mishap excuses of a tunnel's connections; of those that went through a relay, as far as that is known, less: they
// outlive their sessions.
func (w *world) excuses(m mishap, one way, went bool) []excuse {
	kind, from, end := known[m.kind], w.began.Add(m.at), w.began.Add(m.end())
	switch {
	case one.required && (!went || kind.relay != unharmed && w.breaks(m, one)):
		// All that keeps the relay from answering within a second has connections be reset until it is tried again: after twice
		// the time that it had not worked at the most.
		return []excuse{{from, end.Add(grace + min(rests, 2*(m.end()+grace)))}}
	case !w.breaks(m, one), went && kind.relay == unharmed && !kind.cuts:
		return nil
	case kind.relay == unharmed:
		return []excuse{{from, end.Add(grace)}}
	}
	over := grace
	if w.undisturbed(m) {
		over = w.resets()
	}
	var all []excuse
	if kind.relay >= dies {
		all = append(all, excuse{from, from.Add(over)})
	}
	if kind.relay == changes {
		all = append(all, excuse{end, end.Add(over)})
	}
	return all
}

// undisturbed reports whether a mishap has the account to itself. Sessions of agents without mux stay when the mishap is over: these
// agents tell nobody that a relay has ended a connection.
func (w *world) undisturbed(m mishap) bool {
	return !slices.ContainsFunc(w.m.mishaps, func(o mishap) bool {
		return o.name != m.name && o.at < m.end()+settles && (o.end()+settles > m.at || o.kind == "agents without mux")
	})
}

// prompt looks whether an answer has come as soon as it should. A connection does not wait for a relay for more than a second, be it
// that it answers late, that it is dead, or that it takes nothing and an earlier connection has met that.
func (w *world) prompt(g guest, began, first time.Time) {
	one := w.wayOf(g.way)
	if !one.relay || one.required || w.lag > 2*time.Second || g.kind != chats && g.kind != downloads || first.Sub(began) <= promptly || began.Sub(w.began) < settles/4 {
		return
	}
	// A session whose agent has gone without a word is found by the first connection that waits for it.
	if w.mute(first, unasked) || slices.ContainsFunc(w.m.mishaps, func(m mishap) bool {
		over := w.began.Add(m.end()+settles).Before(began) && m.kind != "agents without mux" // see undisturbed
		return w.began.Add(m.at).Before(first) && !over && w.delays(m, began)
	}) {
		return
	}
	w.fail("%s on %s %s and has waited for the first byte from %.3fs on for %s", g.name, g.way, g.kind, began.Sub(w.began).Seconds(), first.Sub(began))
}

// delays reports whether a mishap may hold up a connection, which began then, for longer than promptly.
func (w *world) delays(m mishap, began time.Time) bool {
	switch {
	case known[m.kind].relay == unharmed:
		return true
	case m.kind != "relays take nothing":
		return false
	}
	return !w.undisturbed(m) || began.Before(w.meet(m.name, began).Add(silent))
}

// meetSilence notes that a connection begins which may be the first that goes to a relay that takes nothing.
func (w *world) meetSilence(g guest, now time.Time) {
	for _, m := range w.m.mishaps {
		if m.kind == "relays take nothing" && m.way == g.way && w.began.Add(m.at).Before(now) && w.began.Add(m.end()).After(now) {
			w.meet(m.name, now)
		}
	}
}

// bare reports whether a relay may have been without a session for so long that it has given its connections up.
func (w *world) bare(began, ended time.Time) bool {
	all := slices.Clone(w.m.mishaps)
	slices.SortFunc(all, func(a, b mishap) int { return cmp.Compare(a.at, b.at) })
	for i := 0; i < len(all); {
		from, to := w.began.Add(all[i].at), w.began.Add(all[i].end()+grace)
		for i++; i < len(all) && w.began.Add(all[i].at).Before(to); i++ {
			if end := w.began.Add(all[i].end() + grace); end.After(to) {
				to = end
			}
		}
		if ended.After(from.Add(bare)) && began.Before(to) {
			return true
		}
	}
	return false
}

// forbidden reports whether a policy may have kept a relay that had lost its last session from getting another.
func (w *world) forbidden(began, ended time.Time) bool {
	during := func(m mishap) bool {
		return w.began.Add(m.at).Before(ended) && w.began.Add(m.end()+grace).After(began)
	}
	return slices.ContainsFunc(w.m.mishaps, func(m mishap) bool {
		return (m.kind == "StartSession is denied" || m.kind == "StartSession is forbidden") && during(m) &&
			slices.ContainsFunc(w.m.mishaps, func(o mishap) bool {
				return o.name != m.name && during(o) && (known[o.kind].breaks || known[o.kind].apart)
			})
	})
}

// meet returns when somebody first met what waits to be met, which is now if nobody has.
func (w *world) meet(what string, now time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.met[what].IsZero() {
		w.met[what] = now
	}
	return w.met[what]
}

// freeze makes the sockets of some sessions dead ones.
func (w *world) freeze(which func(emulator.Session) bool) {
	for _, s := range w.account.Sessions() {
		if !which(s) {
			continue
		}
		w.mu.Lock()
		w.frozen[s.ID] = s.Sockets
		w.mu.Unlock()
		w.account.FreezeClientLeg(s.ID)
	}
}

// dead reports whether a session's socket, or an earlier one, was made a dead one.
func (w *world) dead(id string, socket int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return socket > 0 && w.frozen[id] >= socket
}

// mute reports whether nobody said, a while ago or since, that an agent goes.
func (w *world) mute(now time.Time, ago time.Duration) bool {
	return slices.ContainsFunc(w.m.mishaps, func(m mishap) bool {
		return (m.kind == "tasks stop without a word" || m.kind == "nobody says who is away") &&
			w.began.Add(m.at).Before(now) && w.began.Add(m.end()+ago).After(now)
	})
}

// watch has the progress of a line watched, until it is forgotten.
func (w *world) watch(l *line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines[l] = true
}

func (w *world) forget(l *line) {
	w.mu.Lock()
	delete(w.lines, l)
	w.mu.Unlock()
	_ = l.Close()
}

// The account.

func (w *world) fleet() emulator.Fleet {
	f := emulator.Fleet{Hosts: map[string]string{}}
	c := emulator.Cluster{Name: cluster}
	for i, s := range w.m.services {
		app := emulator.Container{Name: "app", Ports: map[uint16]string{}}
		beside := emulator.Container{Name: "culvert-relay", Ports: map[uint16]string{}, NonEssential: true}
		for _, one := range w.m.all() {
			if one.kind == toPort && one.service == i {
				app.Ports[w.portOf(one.name)] = w.shores[one.name][0].address
			}
			if one.relay && one.service == i {
				beside.Ports[w.relayPort(one.name)] = farSide + one.name
			}
		}
		task := emulator.Task{Containers: []emulator.Container{app}, CPU: s.cpu, Memory: s.memory}
		if len(beside.Ports) > 0 {
			task.Containers = append(task.Containers, beside)
		}
		if s.sidecar {
			task.Containers = append(task.Containers, emulator.Container{Name: "sidecar", Ports: map[uint16]string{}})
		}
		c.Services = append(c.Services, emulator.Service{Name: fmt.Sprint("s", i), Count: s.tasks, Task: task})
	}
	f.Clusters = []emulator.Cluster{c}
	for _, one := range w.m.all() {
		for i, name := range w.hosts(one) {
			f.Hosts[name] = w.shores[one.name][2*i].address
		}
	}
	return f
}

// hosts are the names that a way leads to.
func (w *world) hosts(one way) []string {
	switch one.kind {
	case toHost:
		return []string{w.hostName(one, 0)}
	case toAny:
		var all []string
		for i := range hostsEach {
			all = append(all, w.hostName(one, i))
		}
		return all
	case toPort:
	}
	return nil
}

func (w *world) hostName(one way, i int) string {
	if one.kind == toHost {
		i = 0
	}
	return fmt.Sprintf("%s-%d.internal", one.name, i)
}

func (w *world) openShores() error {
	for _, one := range w.m.all() {
		if one.relay {
			w.relays[one.name] = &relays{w: w, name: one.name, by: map[string]*relay{}}
		}
		n := max(1, 2*len(w.hosts(one)))
		for range n {
			s, err := newShore(w)
			if err != nil {
				return err
			}
			w.shores[one.name] = append(w.shores[one.name], s)
		}
	}
	return nil
}

func (w *world) closeShores() {
	for _, r := range w.relays {
		r.close()
	}
	for _, all := range w.shores {
		for _, s := range all {
			s.down()
			s.serving.Wait()
		}
	}
}

// seen is how many connections the far end of a way has accepted.
func (w *world) seen(name string) (n int64) {
	for _, s := range w.shores[name] {
		n += s.accepted.Load()
	}
	return n
}

func (w *world) wayOf(name string) way {
	all := w.m.all()
	return all[slices.IndexFunc(all, func(one way) bool { return one.name == name })]
}

func (w *world) portOf(name string) uint16 {
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "w"))
	return firstPort + uint16(n)
}

// relayPort is the port of the relays of a way.
func (w *world) relayPort(name string) uint16 { return w.portOf(name) - firstPort + firstRelay }

func (w *world) spec(i int, one way) tunnel.Spec {
	s := tunnel.Spec{
		Target:  aws.Target{Cluster: cluster, Service: fmt.Sprint("s", one.service), Container: "app"},
		AnyPort: true, Pinned: one.pinned, Lanes: one.lanes, KeepAlive: one.alive,
	}
	if one.sidecar {
		s.Target.Container = "sidecar"
	}
	if one.relay {
		s.Relay = &tunnel.Relay{Port: w.relayPort(one.name), Required: one.required}
	}
	switch one.kind {
	case toPort:
		s.Remote = tunnel.Endpoint{Port: w.portOf(one.name)}
	case toHost:
		s.Remote = tunnel.Endpoint{Host: w.hostName(one, 0), Port: w.portOf(one.name)}
	case toAny:
		s.Dynamic = &tunnel.Dynamic{}
	}
	if one.pinned {
		if tasks := w.account.Tasks(cluster, s.Target.Service); len(tasks) > 0 {
			s.Target.Task = tasks[i%len(tasks)]
		}
	}
	return s
}

// What mishaps are about.

func (w *world) drawnOf(m mishap) way {
	if m.way != "" {
		return w.wayOf(m.way)
	}
	return w.m.drawn[m.pick%uint64(len(w.m.drawn))]
}

func (w *world) serviceOf(m mishap) string {
	return fmt.Sprint("s", w.drawnOf(m).service)
}

func (w *world) port(m mishap) uint16 { return w.portOf(w.drawnOf(m).name) }

func (w *world) shore(m mishap) *shore {
	all := w.shores[w.drawnOf(m).name]
	return all[(m.pick>>8)%uint64(len(all))]
}

// task is one of the service's.
func (w *world) task(m mishap) string {
	tasks := w.account.Tasks(cluster, w.serviceOf(m))
	if len(tasks) == 0 {
		return ""
	}
	return tasks[(m.pick>>8)%uint64(len(tasks))]
}

func (w *world) agents(m mishap, status string) {
	if task := w.task(m); task != "" && !slices.Contains(w.killed, task) {
		_ = w.account.SetAgent(task, status, "")
	}
}

// one is about one of the sessions.
func (w *world) one(m mishap, do func(id string)) {
	if all := w.account.Sessions(); len(all) > 0 {
		do(all[(m.pick>>8)%uint64(len(all))].ID)
	}
}

// bury stops the tasks whose agents have died, so that others take their places.
func (w *world) bury() {
	for _, task := range w.killed {
		_ = w.account.StopTask(task, "its agent was killed")
	}
	w.killed = nil
}

func (w *world) scaleUp() {
	for i, s := range w.m.services {
		_ = w.account.Scale(cluster, fmt.Sprint("s", i), s.tasks)
	}
}

// move gives a host another server; the one before it goes on, or is shut down.
func (w *world) move(m mishap, shut bool) {
	one := w.drawnOf(m)
	hosts := w.hosts(one)
	if len(hosts) == 0 {
		return
	}
	i := int((m.pick >> 8) % uint64(len(hosts)))
	name, all := hosts[i], w.shores[one.name]
	old := w.moved[name]
	w.moved[name] = 1 - old
	_ = all[2*i+1-old].up()
	all[2*i+1-old].left = false
	if err := w.account.MoveHost(name, all[2*i+1-old].address); err != nil {
		w.fail("move %s: %v", name, err)
	}
	if shut {
		all[2*i+old].left = true
		all[2*i+old].down()
	}
}

func (w *world) tunnel(m mishap) *tunnel.Tunnel {
	if tn := w.tunnels[w.drawnOf(m).name]; tn != nil {
		return tn
	}
	for _, tn := range w.tunnels {
		return tn
	}
	return nil
}
