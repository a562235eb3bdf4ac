package tunnel_test

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// A row: the task is stopped in the middle of a download. Its connection cannot be saved and is reset at once; new ones
// flow through the task that takes its place. Silently: the service says nothing, and the agent is just gone
// (protocol.md 9, A8).
func TestFaultTaskStoppedMidTransfer(t *testing.T) {
	for name, c := range map[string]struct {
		silent bool
		lanes  int
	}{"announced": {lanes: 1}, "announced beside a spare": {}, "silent": {silent: true}} {
		silent := c.silent
		t.Run(name, func(t *testing.T) {
			if silent {
				skipInShort(t)
			}
			w := newFaultWorld(t, tunnel.Options{Lanes: c.lanes}, func(f *emulator.Faults) { f.Pacing, f.SilentStop = time.Millisecond, silent })
			tn := w.open(tunnel.Spec{})
			old := tn.Link()
			conn, ended := w.under(tn, download, 20<<20)
			if err := w.account.StopTask(old.Target.Task, "test"); err != nil {
				t.Fatal(err)
			}
			if silent {
				// Nobody can tell a silent agent from one that has nothing to say, until it owes an acknowledge.
				need.Eventually(t, "a connection through the successor", func() bool {
					if _, err := conn.Write([]byte("x")); err != nil {
						t.Fatal(err)
					}
					next := w.dial(tn)
					defer next.Close()
					return echoWithin(next, 2*time.Second) == nil && tn.Link().Session != old.Session // a spare serves before the loss is noticed
				})
				_ = conn.Close()
				_ = ends(t, ended, patience) // whatever its end was, it was this side's
			} else {
				if err := ends(t, ended, 10*time.Second); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the download ended with %v, want a reset", err)
				}
				if c.lanes == 1 {
					w.events.await(t, tn, tunnel.Reopening)
				}
			}
			w.all(tn, 100_000)
			need.Eventually(t, "the tunnel to lead elsewhere", func() bool {
				got := tn.Link()
				return got.Session != old.Session && got.Target.Task != old.Target.Task
			})
			if state, err := tn.State(); !silent && c.lanes == 0 && (state != tunnel.Open || strings.Contains(w.path(tn), "reopening")) {
				t.Errorf("a tunnel with a session to another task went %s (%v)", w.path(tn), err)
			}
		})
	}
}

// echoWithin is a small echo with a limit.
func echoWithin(conn interface {
	io.ReadWriter
	SetDeadline(t time.Time) error
}, limit time.Duration,
) error {
	_ = conn.SetDeadline(time.Now().Add(limit))
	body := random(500, 1)
	if _, err := conn.Write(append(order(orderEcho, 1, len(body)), body...)); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, len(body)))
	return err
}

// A row: the service is scaled to zero and back. Meanwhile the tunnel says why it has no session, and a connection is not
// left hanging.
func TestFaultServiceScaledToZeroAndBack(t *testing.T) {
	skipInShort(t)
	w := newFaultWorld(t, tunnel.Options{}, func(f *emulator.Faults) { f.Pacing = time.Millisecond })
	tn := w.open(tunnel.Spec{})
	_, ended := w.under(tn, download, 20<<20)
	if err := w.account.Scale("c", "s", 0); err != nil {
		t.Fatal(err)
	}
	if err := ends(t, ended, 10*time.Second); err == nil {
		t.Error("a download ended well although its task is gone")
	}
	w.events.next(t, "the reason", func(e tunnel.Event) bool {
		_, remedy := errors.AsType[interface {
			error
			Remedy() string
		}](e.Err)
		return e.State == tunnel.Reopening && remedy
	})
	start := time.Now()
	if err := echoed(w.dial(tn), 1, 100); err == nil {
		t.Error("a connection flows through a service of no tasks")
	} else if took := time.Since(start); took > 20*time.Second {
		t.Errorf("a connection was left hanging for %s: %v", took, err)
	}
	if state, err := tn.State(); state != tunnel.Reopening || err == nil {
		t.Errorf("without tasks the tunnel is %s: %v", state, err)
	}
	if err := w.account.Scale("c", "s", 2); err != nil {
		t.Fatal(err)
	}
	w.events.await(t, tn, tunnel.Open)
	w.all(tn, 100_000)
	// Two sessions end at once, that of the download and its spare one. Where the service closes the socket of one before the
	// other's end is known, the tunnel is resuming that for a moment, as it should, and may be open by the other for another.
	if got := w.path(tn); !regexp.MustCompile(`^starting handshaking open( resuming( open)?)? reopening open$`).MatchString(got) {
		t.Errorf("went %q", got)
	}
}

// A row: a local reader that stalls and a destination that stalls, for good, beside live traffic (the ten minutes are in
// TestFaultStalledEndsForTenMinutes, in virtual time). protocol.md 9, P9 and A6: the usual clients freeze altogether, and
// a blocked destination takes its whole session along, which no client can help: another session takes over.
func TestFaultStalledEndsBesideLiveTraffic(t *testing.T) {
	skipInShort(t)
	w := newFaultWorld(t, tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	reader := w.dial(tn)
	if _, err := reader.Write(order(orderFlood, 1, 0)); err != nil {
		t.Fatal(err)
	}
	destination := w.dial(tn)
	stuffed := make(chan struct{})
	go func() {
		defer close(stuffed)
		_, _ = destination.Write(append(order(orderStall, 1, 0), random(60<<20, 2)...))
	}()
	lost, calm := 0, 0
	var slowest time.Duration
	// On a busy machine it takes a while until nothing more fits in front of the stalled destination.
	for start := time.Now(); time.Since(start) < 25*time.Second || (calm < 10 && time.Since(start) < 90*time.Second); {
		conn, began := w.dial(tn), time.Now()
		if err := echoWithin(conn, 4*time.Second); err != nil {
			lost, calm = lost+1, 0
			t.Logf("%s: %v", time.Since(start), err)
		} else {
			calm++
			slowest = max(slowest, time.Since(began))
		}
		_ = conn.Close()
	}
	t.Logf("%d rounds were lost, then %d were well, the slowest took %s, %d sessions", lost, calm, slowest, len(w.account.Sessions()))
	if lost > 3 || calm < 10 {
		t.Errorf("%d connections were lost beside the stalled ones, then %d were served", lost, calm)
	}
	w.all(tn, 100_000)
	_ = reader.Close()
	_ = destination.Close()
	<-stuffed
}

// A row: a destination that swallows SYNs. protocol.md 9, A7: the agent dials inside its accept loop without a limit, so
// what hangs there is not an error by itself; what is open goes on, other sessions do not notice, and once the
// destination answers, what waited is served.
func TestFaultDestinationThatSwallowsSYNs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	w := newFaultWorld(t, tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	other := w.open(tunnel.Spec{Remote: tunnel.Endpoint{Host: "db.internal", Port: 5432}})
	before := w.dial(tn)
	if err := echoed(before, 1, 10_000); err != nil {
		t.Fatal(err)
	}
	w.account.Fault(func(f *emulator.Faults) { f.Swallow = []uint16{port} })
	waiting := make(chan error, 3)
	for seed := range uint8(3) {
		conn := w.dial(tn)
		go func() { waiting <- echoed(conn, seed, 10_000) }()
	}
	for start, seed := time.Now(), uint8(0); time.Since(start) < 8*time.Second; seed++ {
		if err := echoed(before, seed, 5000); err != nil {
			t.Fatalf("a connection that was open: %v", err)
		}
		w.all(other, 5000)
	}
	select {
	case err := <-waiting:
		t.Errorf("a dial that is still under way ended its connection: %v", err)
	default:
	}
	for _, one := range []*tunnel.Tunnel{tn, other} {
		if state, err := one.State(); state != tunnel.Open {
			t.Errorf("tunnel %d is %s: %v", one.ID(), state, err)
		}
	}
	w.account.Fault(func(f *emulator.Faults) { f.Swallow = nil })
	for range cap(waiting) {
		if err := ends(t, waiting, 10*time.Second); err != nil {
			t.Errorf("a connection that had waited: %v", err)
		}
	}
}
