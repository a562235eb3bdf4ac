package swarm

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/memnet"
)

// patience is for how much real time the virtual one may stand still, on a machine that may be very busy.
const patience = 90 * time.Second

// told is a number that the environment says, or another one.
func told(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s is no number", name, text)
	}
	return n
}

// waiting are the goroutines that keep the time from going on.
func waiting() string {
	all := make([]byte, 16<<20)
	all = all[:runtime.Stack(all, true)]
	var found []string
	for one := range strings.SplitSeq(string(all), "\n\n") {
		if head, _, _ := strings.Cut(one, "\n"); strings.Contains(head, "synctest bubble") && !strings.Contains(head, "durable") {
			found = append(found, one)
		}
	}
	return strings.Join(found, "\n\n")
}

// wanted is the mix of a seed, of which ONLY names the parts.
func wanted(seed uint64) mix {
	m := draw(seed)
	if only := os.Getenv("ONLY"); only != "" {
		m = m.only(strings.Split(only, ","))
	}
	return m
}

// virtually plays a mix out in memory and in virtual time.
func (m mix) virtually(t *testing.T) (found []string) {
	t.Helper()
	dir := t.TempDir()
	defer func() {
		if left := recover(); left != nil {
			found = append(found, fmt.Sprint("goroutines are left, or all wait for each other: ", left))
		}
	}()
	// A wait that synctest does not know of, as for a lock, keeps the time from going on.
	var seconds atomic.Int64
	over := make(chan struct{})
	defer close(over)
	go func() {
		for last := int64(-1); ; last = seconds.Load() {
			select {
			case <-over:
				return
			case <-time.After(patience):
			}
			if now := time.Duration(seconds.Load()) * time.Second; seconds.Load() == last || now > m.length+time.Hour {
				panic(fmt.Sprintf("the time stands still after %s, or nothing ends, with\n%s\n%s", now, m, waiting()))
			}
		}
	}()
	synctest.Test(t, func(*testing.T) {
		var net memnet.Network
		played := make(chan struct{})
		defer close(played)
		go func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-played:
					return
				case <-tick.C:
					seconds.Add(1)
				}
			}
		}()
		found = m.run(&net, 2*time.Second, dir)
		time.Sleep(time.Second) // what is kept for the next call ends with the account
		if n := net.Open(); n > 0 {
			found = append(found, fmt.Sprintf("%d sockets are left", n))
		}
	})
	return found
}

// TestSwarm plays SEEDS mixes out, or that of SEED, of which ONLY names the parts.
func TestSwarm(t *testing.T) {
	first, count := uint64(1), told(t, "SEEDS", seedsUsual)
	if seed := told(t, "SEED", 0); seed > 0 {
		first, count = seed, 1
	}
	until := os.Getenv("SWARM_UNTIL") // what is looked for, by TestSwarmFindsDefects
	var enough atomic.Bool
	t.Cleanup(func() {
		t.Logf("%d connections were served, %d of them through a relay, %d met what was wrong", served.Load(), relayed.Load(), excused.Load())
	})
	for seed := first; seed < first+count; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			if enough.Load() {
				return
			}
			m := wanted(seed)
			found := m.virtually(t)
			if until != "" && strings.Contains(strings.Join(found, "\n"), until) {
				enough.Store(true)
			} else if len(found) > 0 {
				m, found = shrink(m, found, func(m mix) []string { return m.virtually(t) })
			}
			if len(found) > 0 {
				t.Errorf("%s\n%s\nreplay with: %s", m, strings.Join(found, "\n"), m.replay())
			}
		})
	}
}
