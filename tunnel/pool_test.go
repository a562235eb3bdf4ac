package tunnel_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/front"
)

// spread counts the sessions of an account by their containers, while done is open, and keeps the most of each.
func (w *world) spread(done <-chan struct{}) func() (most map[string]int) {
	most := map[string]int{}
	var counting sync.WaitGroup
	counting.Go(func() {
		for {
			on := map[string]int{}
			for _, s := range w.account.Sessions() {
				on[s.Target]++
				most[s.Target] = max(most[s.Target], on[s.Target])
			}
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	return func() map[string]int { counting.Wait(); return most }
}

// Forty hosts share what two tasks may carry: no more at any moment, none is lost, and who was ended comes back.
func TestFortyHostsKeepToTheCaps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ destinations, each int }{{48, 12}, {20, 12}, {5, 2}, {1, 12}} {
		t.Run(fmt.Sprintf("%d, %d on a task", c.destinations, c.each), func(t *testing.T) {
			t.Parallel()
			w := newPoolWorld(t, 2, nil)
			tn := w.dynamic(tunnel.Dynamic{Destinations: c.destinations}, nil)
			tn.Each(c.each)
			done := make(chan struct{})
			most := w.spread(done)
			for round := range 2 {
				var all sync.WaitGroup
				for i := range min(40, 12*c.destinations) {
					all.Go(func() {
						if err := w.visit(tn, host(i), 10_000); err != nil {
							t.Errorf("round %d: %s: %v", round, host(i), err)
						}
					})
				}
				all.Wait()
			}
			close(done)
			for task, n := range most() {
				if n > c.each {
					t.Errorf("%d sessions on %s at a time, want no more than %d", n, task, c.each)
				}
			}
			if got := w.account.MostSessions(); got > min(c.destinations, 2*c.each) {
				t.Errorf("%d sessions at a time", got)
			}
			need.Eventually(t, "all connections to be over", func() bool {
				return !slices.ContainsFunc(tn.Destinations(), func(d tunnel.Destination) bool { return d.Stats.Connections != 0 || d.State != tunnel.Open })
			})
		})
	}
}

// Twenty hosts at once through agents that start three sessions a second: one after the other on each, both at the same time.
func TestTwentyNewHostsAtOnce(t *testing.T) {
	const step = 330 * time.Millisecond
	w := newPoolWorld(t, 2, func(f *emulator.Faults) { f.AgentStart = step })
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	began := time.Now()
	if err := w.visit(tn, host(30), 1000); err != nil {
		t.Fatal(err)
	}
	machine := max(0, time.Since(began)-step) // its share of one start
	began = time.Now()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := w.visit(tn, host(i), 1000); err != nil {
				t.Errorf("%s: %v", host(i), err)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	t.Logf("20 hosts took %s", took)
	// The agents' own work is ten starts each. Starts that come at the same time would wait in steps of a second.
	if least := 10 * step; took > least*2+10*machine {
		t.Errorf("it took %s, the agents need %s, and each start %s beside", took, least, machine)
	}
	on := map[string]int{}
	for _, d := range tn.Destinations() {
		on[d.Link.Target.Task]++
	}
	for task, n := range on {
		if n > sessionsEach {
			t.Errorf("%d of them on task %s", n, task)
		}
	}
	if len(on) != 2 {
		t.Errorf("they are on %d tasks", len(on))
	}
}

const sessionsEach = 12

// A destination with open connections is never ended for another one; who finds no seat is told so.
func TestWhoIsInUseKeepsItsPlace(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{Destinations: 2, Wait: 2 * time.Second}, nil)
	first, second := w.mustThrough(tn, host(1)), w.mustThrough(tn, host(2))
	mustExchange(t, first, []byte("x"))
	_, err := w.through(tn, host(3), 80)
	var full *tunnel.CapError
	if !errors.As(err, &full) || cause(err) != front.CauseFull || full.Most != 2 {
		t.Fatalf("got %v, want a *CapError", err)
	}
	if got := len(tn.Destinations()); got != 2 {
		t.Errorf("%d destinations are left, want the two in use", got)
	}
	_ = first.Close()
	if err := w.visit(tn, host(3), 1000); err != nil {
		t.Errorf("with a seat free: %v", err)
	}
	mustExchange(t, second, []byte("still there"))
	var have []string
	for _, d := range tn.Destinations() {
		have = append(have, d.Endpoint.Host)
	}
	slices.Sort(have)
	if !slices.Equal(have, []string{host(2), host(3)}) {
		t.Errorf("open are %v", have)
	}
}

// The last one that waits goes first when a seat is free: a seat that is wanted is given as soon as a connection ends.
func TestWhoWaitsGetsThePlaceThatIsFree(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{Destinations: 1}, nil)
	conn := w.mustThrough(tn, host(1))
	got := make(chan error, 1)
	go func() { got <- w.visit(tn, host(2), 1000) }()
	select {
	case err := <-got:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	_ = conn.Close()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestTheLeastRecentlyUsedEndsFirst(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{Destinations: 3}, nil)
	for _, i := range []int{1, 2, 3, 1, 4} {
		if err := w.visit(tn, host(i), 100); err != nil {
			t.Fatal(err)
		}
	}
	var have []string
	for _, d := range tn.Destinations() {
		have = append(have, d.Endpoint.Host)
	}
	if want := []string{host(1), host(3), host(4)}; !slices.Equal(have, want) {
		t.Errorf("open are %v, want %v", have, want)
	}
}

func TestWhoIsIdleForLongEnds(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{Warm: []tunnel.Endpoint{{Host: host(9), Port: 80}}}, nil)
	tn.Idle(time.Millisecond)
	used := w.mustThrough(tn, host(1))
	if err := w.visit(tn, host(2), 100); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "the idle destination to end", func() bool { return len(w.account.Sessions()) == 2 })
	mustExchange(t, used, []byte("one in use stays, and one that is kept"))
	if state, err := tn.State(); state != tunnel.Open || err != nil {
		t.Errorf("the tunnel is %s: %v", state, err)
	}
}

// What is to be kept open is so from the start: the first connection waits for nothing.
func TestAWarmDestinationIsOpenBeforeItIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 2, func(f *emulator.Faults) { f.AgentStart = 300 * time.Millisecond })
	tn := w.dynamic(tunnel.Dynamic{Destinations: 2, Warm: []tunnel.Endpoint{{Host: "DB.internal", Port: 80}}}, nil)
	if got := w.account.Calls("StartSession"); got != 1 {
		t.Errorf("%d sessions, want that of the warm destination alone", got)
	}
	if err := w.visit(tn, "db.internal", 100); err != nil {
		t.Fatal(err)
	}
	if got := w.account.Calls("StartSession"); got != 1 {
		t.Errorf("%d sessions after the first connection, want the one that was there", got)
	}
	for i := range 3 { // others come and go
		if err := w.visit(tn, host(i), 100); err != nil {
			t.Fatal(err)
		}
	}
	all := tn.Destinations()
	if len(all) != 2 || !all[0].Warm || all[0].Endpoint.Host != "db.internal" || all[0].State != tunnel.Open {
		t.Errorf("got %+v", all)
	}
}

// A thousand connections to one host grow its sessions as in any tunnel, within what the tunnel may have.
func TestAThousandConnectionsToOneHost(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{Destinations: 3}, nil)
	var all sync.WaitGroup
	var failed atomic.Int64
	for range 1000 {
		all.Go(func() {
			if err := w.visit(tn, "db.internal", 2000); err != nil {
				if failed.Add(1) == 1 {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of 1000 failed", n)
	}
	// Its further sessions make room for others.
	for i := range 2 {
		if err := w.visit(tn, host(i), 100); err != nil {
			t.Error(err)
		}
	}
}

// Who has more sessions than it needs gives one to a host that has none, and its connections go on.
func TestSessionsThatAreNotNeededMakeRoom(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{Destinations: 3}, func(s *tunnel.Spec) { s.Lanes = 3 })
	conn := w.mustThrough(tn, "db.internal")
	mustExchange(t, conn, []byte("x"))
	need.Eventually(t, "it to have all the sessions", func() bool { return len(w.account.Sessions()) == 3 })
	if err := w.visit(tn, host(1), 1000); err != nil {
		t.Errorf("another host: %v", err)
	}
	mustExchange(t, conn, random(10_000, 1))
}

// Hosts that swallow, refuse or move are their own clients' trouble.
func TestAHostInTroubleDisturbsNoOther(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 2, func(f *emulator.Faults) { f.Swallow = []uint16{5432} })
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	tn.Patience(3 * time.Second)
	old, next := newDatabase(t, "A"), newDatabase(t, "B")
	if err := w.account.MoveHost(host(39), old.address); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var flows, troubles sync.WaitGroup
	var slowest atomic.Int64
	for i := range 4 {
		flows.Go(func() {
			if err := w.visit(tn, host(i), 100); err != nil { //nolint:contextcheck // cold; what is under way is finished
				t.Error(err)
			}
			for ctx.Err() == nil {
				began := time.Now()
				if err := w.visit(tn, host(i), 1000); err != nil { //nolint:contextcheck // as above
					t.Errorf("%s: %v", host(i), err)
					return
				}
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
			}
		})
	}
	troubles.Go(func() {
		if _, err := w.through(tn, "db.internal", 5432); cause(err) != front.CauseSwallowed {
			t.Errorf("swallows: got %v", err)
		}
	})
	troubles.Go(func() {
		if conn, err := w.through(tn, host(39), 80); err != nil || reached(conn) != "A" {
			t.Errorf("moves: got %v before it does", err)
			return
		}
		old.fail()
		if err := w.account.MoveHost(host(39), next.address); err != nil {
			t.Error(err)
			return
		}
		for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
			if conn, err := w.through(tn, host(39), 80); err == nil {
				at := reached(conn)
				if _ = conn.Close(); at == "B" {
					return
				}
			}
			if time.Since(began) > 30*time.Second {
				t.Error("moves: its new address is not reached")
				return
			}
		}
	})
	troubles.Go(func() {
		for range 20 {
			if _, err := w.through(tn, "other.internal", 81); cause(err) != front.CauseRefused {
				t.Errorf("refuses: got %v", err)
			}
			if _, err := w.through(tn, "nowhere.internal", 81); cause(err) != front.CauseUnresolved {
				t.Errorf("unresolved: got %v", err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	troubles.Wait()
	stop()
	flows.Wait()
	t.Logf("the slowest took %s", time.Duration(slowest.Load()))
	if took := time.Duration(slowest.Load()); took > 3*time.Second {
		t.Errorf("another host's client has waited %s", took)
	}
}

// A destination moves as the remote host of any tunnel does: through a session that resolves its name anew.
func TestADestinationMoves(t *testing.T) {
	t.Parallel()
	old, next := newDatabase(t, "A"), newDatabase(t, "B")
	w := newPoolWorld(t, 2, nil)
	if err := w.account.MoveHost("db.internal", old.address); err != nil {
		t.Fatal(err)
	}
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	first := w.mustThrough(tn, "db.internal")
	if got := reached(first); got != "A" {
		t.Fatalf("got %q", got)
	}
	old.fail()
	if err := w.account.MoveHost("db.internal", next.address); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "new connections to reach the new address", func() bool {
		conn, err := w.through(tn, "db.internal", 80)
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		return reached(conn) == "B"
	})
	mustExchange(t, first, random(100_000, 1))
	if err := w.visit(tn, host(1), 100); err != nil {
		t.Error(err)
	}
}

// After a refusal the next connection is proved again, as the first one was.
func TestARefusalIsFollowedByAProof(t *testing.T) {
	server := newDatabase(t, "A")
	w := newPoolWorld(t, 2, nil)
	if err := w.account.MoveHost("db.internal", server.address); err != nil {
		t.Fatal(err)
	}
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	if got := reached(w.mustThrough(tn, "db.internal")); got != "A" {
		t.Fatalf("got %q", got)
	}
	server.fail()
	second := w.mustThrough(tn, "db.internal") // at once, as it was proved
	_, err := second.Read(make([]byte, 1))
	if cause(err) != front.CauseRefused {
		t.Fatalf("got %v, want the refusal", err)
	}
	if _, err := w.through(tn, "db.internal", 80); cause(err) != front.CauseRefused {
		t.Errorf("got %v, want the refusal before there is a connection", err)
	}
}

// A tunnel that ends in the middle of everything ends: whoever waits or talks is told, and no session is left.
func TestCloseInTheMiddleOfEverything(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 2, func(f *emulator.Faults) {
		f.AgentStart, f.Swallow = 100*time.Millisecond, []uint16{5432}
	})
	tn := w.dynamic(tunnel.Dynamic{Destinations: 6, Warm: []tunnel.Endpoint{{Host: "db.internal", Port: 80}}}, nil)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for {
				conn, err := w.through(tn, host(i), 80)
				if err != nil {
					if cause(err) != front.CauseClosing {
						t.Errorf("%s: got %v", host(i), err)
					}
					return
				}
				_ = exchange(conn, random(50_000, 1))
				_ = conn.Close()
			}
		})
	}
	all.Go(func() { _, _ = w.through(tn, "db.internal", 5432) })
	time.Sleep(600 * time.Millisecond)
	if err := tn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	all.Wait()
	if state, err := tn.State(); state != tunnel.Closed || err != nil {
		t.Errorf("the tunnel is %s: %v", state, err)
	}
	if got := tn.Destinations(); len(got) > 0 {
		t.Errorf("%d destinations are left", len(got))
	}
}

// A task that goes takes its sessions along; the destinations in use come back on the others.
func TestADynamicTunnelFollowsADeployment(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	for i := range 6 {
		if err := w.visit(tn, host(i), 100); err != nil {
			t.Fatal(err)
		}
	}
	gone := map[string]bool{}
	for _, d := range tn.Destinations() {
		gone[d.Link.Target.Task] = true
	}
	if err := w.account.Deploy("c", "s"); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "the tasks of before to be gone", func() bool {
		for task := range gone {
			if slices.ContainsFunc(w.account.Sessions(), func(s emulator.Session) bool { return strings.Contains(s.Target, task) }) {
				return false
			}
		}
		return true
	})
	for i := range 6 { // one that comes while its session ends is cut, as in any tunnel
		need.Eventually(t, host(i)+" to be reached", func() bool { return w.visit(tn, host(i), 1000) == nil })
	}
	for _, d := range tn.Destinations() {
		if gone[d.Link.Target.Task] && d.State == tunnel.Open {
			t.Errorf("%s is still on a task of before", d.Endpoint)
		}
	}
}

// Mixed load with faults: every byte that arrives is right, and nothing is left. CULVERT_LONG makes it ten minutes.
func TestMixedLoadWithFaults(t *testing.T) {
	span := 6 * time.Second
	if os.Getenv("CULVERT_LONG") != "" {
		span = 10 * time.Minute
	}
	w := newPoolWorld(t, 2, func(f *emulator.Faults) {
		f.Up.Data.Drop, f.Down.Data.Drop, f.Up.Acks.Drop, f.Down.Acks.Drop = 0.002, 0.002, 0.002, 0.002
		f.ClientLeg = emulator.Closing{Every: 2 * time.Second}
		f.AgentLeg = emulator.Closing{Every: 3 * time.Second}
	})
	tn := w.dynamic(tunnel.Dynamic{Destinations: 10}, nil)
	go w.events.forget() // the engine would keep for it what is not read, and its memory is looked at
	ctx, stop := context.WithTimeout(t.Context(), span)
	defer stop()
	var all sync.WaitGroup
	var good, cut atomic.Int64
	for worker := range 16 {
		all.Go(func() {
			for i := worker; ctx.Err() == nil; i += 7 {
				conn, err := tn.Ask(t.Context(), host(i%40), 80) //nolint:contextcheck // what is under way is finished
				if err != nil {
					t.Errorf("%s: %v", host(i%40), err)
					continue
				}
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				err = exchange(conn, random(1+i*1237%60_000, uint64(i)))
				_ = conn.Close()
				switch {
				case err == nil:
					good.Add(1)
				case err.Error() == "the bytes that came back differ":
					t.Error(err)
				default:
					cut.Add(1) // its session was killed
				}
			}
		})
	}
	killed := 0
	var half int64 // of the memory in use, when the half is over
	began := time.Now()
	for ctx.Err() == nil {
		if half == 0 && time.Since(began) > span/2 {
			half = inUse()
		}
		select {
		case <-time.After(700 * time.Millisecond):
		case <-ctx.Done():
		}
		if live := w.account.Sessions(); len(live) > 0 {
			w.account.KillSession(live[killed%len(live)].ID, "")
			killed++
		}
	}
	all.Wait()
	full := inUse()
	t.Logf("%d exchanges, %d cut, %d sessions killed, %d MB in use, %d MB at half time", good.Load(), cut.Load(), killed, full>>20, half>>20)
	if full > half+30<<20 {
		t.Errorf("memory grew from %d to %d bytes in the second half", half, full)
	}
	if good.Load() < 50 || cut.Load() > int64(killed)*16 {
		t.Errorf("%d exchanges, %d cut by %d kills", good.Load(), cut.Load(), killed)
	}
}

// inUse is the memory that package tunnel has in use, by the samples of its allocations: the account that is emulated in the same
// process keeps what it has seen.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // a sample counts when what it is of has lived through one
	records := make([]runtime.MemProfileRecord, 20_000)
	n, _ := runtime.MemProfile(records, false)
	var all float64
	for _, r := range records[:min(n, len(records))] {
		for frames := runtime.CallersFrames(r.Stack()); ; {
			frame, more := frames.Next()
			if strings.HasPrefix(frame.Function, reflect.TypeFor[tunnel.Tunnel]().PkgPath()+".") {
				size := float64(r.AllocBytes) / float64(max(r.AllocObjects, 1))
				all += float64(r.InUseBytes()) / (1 - math.Exp(-size/float64(runtime.MemProfileRate)))
				break
			}
			if !more {
				break
			}
		}
	}
	return int64(all)
}
