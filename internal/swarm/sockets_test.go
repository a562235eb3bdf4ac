package swarm

import (
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// usualSockets is how many mixes are played out against real sockets where nobody says how many, each in as much time as it says:
	// so those are taken that are over in briefly.
	usualSockets = 2
	briefly      = 25 * time.Second
	// lagging is how far a state may trail what is so on a busy machine.
	lagging = 5 * time.Second
)

// sockets are the system's.
type sockets struct {
	net.ListenConfig
	net.Dialer
}

// The same seeds against real sockets, and in real time: fewer of them, as that cannot be hurried.
func TestSwarmOnSockets(t *testing.T) {
	if testing.Short() || withRace && os.Getenv("SOCKETS") == "" {
		t.Skip("in short, and with the race detector beside which it is run without")
	}
	alone := os.Getenv("SOCKETS") != ""
	if !alone {
		t.Parallel() // beside others, whose goroutines and descriptors are not told apart
	}
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	count, longest := told(t, "SOCKETS", usualSockets), briefly
	if os.Getenv("SOCKETS") != "" {
		longest = 10 * time.Minute
	}
	t.Run("all", func(t *testing.T) {
		play := func(m mix) {
			t.Run("seed="+strconv.FormatUint(m.seed, 10), func(t *testing.T) {
				t.Parallel()
				if found := m.run(&sockets{}, lagging, t.TempDir()); len(found) > 0 {
					t.Errorf("%s\n%s\nreplay with: make swarm SEED=%d SOCKETS=1", m, strings.Join(found, "\n"), m.seed)
				}
			})
		}
		if seed := told(t, "SEED", 0); seed > 0 {
			if count > 0 {
				play(wanted(seed))
			}
			return
		}
		for seed, n := uint64(1), uint64(0); n < count; seed++ {
			if m := draw(seed); m.length <= longest {
				play(m)
				n++
			}
		}
	})
	for end := time.Now().Add(30 * time.Second); alone; time.Sleep(50 * time.Millisecond) {
		g, f := runtime.NumGoroutine(), descriptors(t)
		if g <= goroutines && f <= files {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines and %d descriptors are left, of %d and %d before", g, f, goroutines, files)
		}
	}
}

// descriptors is how many this process has open; 0 where that is not known.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(all)
}
