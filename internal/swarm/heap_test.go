package swarm

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// What the heap may hold, in bytes, of both ends together: the engine and, in the same process, the account with its agents.
const (
	heapTunnel     = 512 << 10
	heapLane       = 1 << 20 // both ends of a websocket have buffers of 64 KiB each way, the mux and its agent as much again
	heapConnection = 64 << 10
)

// Tunnels, lanes and connections cost what they may, each by itself: so neither grows without being seen.
func TestHeapIsWithinItsBudget(t *testing.T) {
	if withRace {
		t.Skip("the race detector's own memory is more than that")
	}
	const conns, lanes = 300, 4
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what pools keep goes with the second one
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	m := mix{seed: 1, length: time.Minute, services: []service{{tasks: 2}}}
	for _, name := range []string{"w0", "w1", "w2", "w3"} {
		m.ways = append(m.ways, way{name: name, kind: toPort, lanes: lanes})
	}
	m.drawn = m.ways
	m.besides = func(w *world) {
		time.Sleep(30 * time.Second) // all lanes are open
		if n := len(w.account.Sessions()); n != lanes*len(m.ways) {
			w.fail("%d sessions, want %d", n, lanes*len(m.ways))
		}
		open := heap()
		var all []*line
		for i := range conns {
			g := guest{name: "g", way: m.ways[i%len(m.ways)].name, kind: idles}
			l, err := w.connect(g, w.tunnels[g.way])
			if err == nil {
				err = echo(l, uint64(i)<<32, 100)
			}
			if err != nil {
				w.fail("connect: %v", err)
				return
			}
			all = append(all, l)
		}
		busy := heap()
		for _, l := range all {
			w.forget(l)
		}
		t.Logf("%d lanes hold %d KiB each, %d connections %d KiB each", lanes*len(m.ways), (open-before)/int64(lanes*len(m.ways))>>10, conns, (busy-open)/conns>>10)
		if most := int64(len(m.ways)*heapTunnel + len(m.ways)*lanes*heapLane); open-before > most {
			w.fail("%d tunnels with %d lanes hold %d bytes, want at most %d", len(m.ways), lanes, open-before, most)
		}
		if busy-open > conns*heapConnection {
			w.fail("%d connections hold %d bytes, want at most %d", conns, busy-open, conns*heapConnection)
		}
	}
	if found := m.virtually(t); len(found) > 0 {
		t.Error(strings.Join(found, "\n"))
	}
}
