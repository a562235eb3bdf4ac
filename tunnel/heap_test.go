package tunnel_test

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
	"culvert/tunnel"
)

// What the engine keeps in memory for each tunnel, lane and connection has a budget, more than half as much again as it was when
// the budget was set. What counts is what package tunnel has allocated, or the code that it called: the emulator, the test and
// what package aws does on goroutines of its own do not.
func TestHeapBudgets(t *testing.T) {
	skipInShort(t)
	if raceDetector {
		t.Skip("what is pooled is thrown away at random with the race detector: make timings")
	}
	if !need.Process(t) {
		return
	}
	const (
		perTunnel     = 450 << 10 // with one lane
		perLane       = 400 << 10
		perConnection = 10 << 10 // that has carried 64 KiB down and rests
		tunnels       = 5
		lanes         = 8
		connections   = 100
	)
	runtime.MemProfileRate = 1 // every allocation: why this test has a process of its own
	w := newWorld(t, need.Server(t, answering), tunnel.Options{Lanes: 1}, nil)
	use := func(tn *tunnel.Tunnel) net.Conn {
		conn := w.dial(tn)
		if err := ask(conn, 64<<10); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	first := w.open(tunnel.Spec{})
	use(first)

	before := engineHeap(t)
	for range tunnels {
		_ = use(w.open(tunnel.Spec{})).Close()
	}
	narrow := within(t, "a tunnel with one lane", perTunnel, func() int64 { return (engineHeap(t) - before) / tunnels })

	before = engineHeap(t)
	w.ceiling += lanes
	wide := w.open(tunnel.Spec{Lanes: 1 + lanes})
	need.Eventually(t, "all lanes are open", func() bool { return wide.Stats().Lanes == 1+lanes })
	within(t, "another lane", perLane, func() int64 { return (engineHeap(t) - before - narrow) / lanes })

	before = engineHeap(t)
	for range connections {
		use(first)
	}
	within(t, "a connection", perConnection, func() int64 { return (engineHeap(t) - before) / connections })
}

// within returns what something costs, which may be more for as long as the last bytes are under way.
func within(t *testing.T, what string, budget int64, measure func() int64) int64 {
	t.Helper()
	cost := measure()
	for end := time.Now().Add(5 * time.Second); cost > budget && time.Now().Before(end); cost = measure() {
		time.Sleep(200 * time.Millisecond)
	}
	t.Logf("%s costs %d bytes of heap", what, cost)
	if cost > budget {
		t.Errorf("%s costs %d bytes of heap, want at most %d", what, cost, budget)
	}
	if cost < budget/16 {
		t.Errorf("%s costs %d bytes of heap: the test does not see what it is to count", what, cost)
	}
	return cost
}

// engineHeap is how many bytes are in use that code of package tunnel has allocated, or what it called.
func engineHeap(t *testing.T) (bytes int64) {
	t.Helper()
	for range 3 { // a profile is that of the last but one collection; what finalizers hold goes with the third
		runtime.GC()
	}
	records := make([]runtime.MemProfileRecord, 100_000)
	n, ok := runtime.MemProfile(records, false)
	if !ok {
		t.Fatalf("the heap has %d kinds of allocations, more than there is room for", n)
	}
	for _, r := range records[:n] {
		frames := runtime.CallersFrames(r.Stack())
		for {
			f, more := frames.Next()
			if strings.HasPrefix(f.Function, "culvert/tunnel.") {
				bytes += r.InUseBytes()
				break
			}
			if !more {
				break
			}
		}
	}
	return bytes
}
