package tunnel_test

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// Two rows: a destination that swallows SYNs, and that hangs the agent's accept loop, so that later connections of the
// session hang too. They are reset with the cause, and what was open goes on.
func TestFaultSwallowedConnectionsAreReset(t *testing.T) {
	skipInShort(t)
	t.Parallel()
	for name, lanes := range map[string]int{"one lane": 1, "adapting": 0} {
		t.Run(name, func(t *testing.T) {
			w := newFaultWorld(t, tunnel.Options{Lanes: lanes}, nil)
			tn := w.open(tunnel.Spec{})
			before := w.dial(tn)
			if err := echoed(before, 1, 10_000); err != nil {
				t.Fatal(err)
			}
			w.account.Fault(func(f *emulator.Faults) { f.Swallow = []uint16{port} })
			began := time.Now()
			ended := make(chan time.Duration, 2)
			for range cap(ended) {
				conn := w.dial(tn)
				go func() {
					_, _ = io.ReadAll(conn)
					ended <- time.Since(began)
				}()
			}
			for range cap(ended) {
				if took := <-ended; took < 14*time.Second || took > 20*time.Second {
					t.Errorf("reset after %s, want 15 s", took)
				}
				var unanswered *tunnel.UnansweredError
				if c := lastEnd(w, tn); !errors.As(c, &unanswered) {
					t.Errorf("it ended with %v, want an *UnansweredError", c)
				}
			}
			if err := echoed(before, 2, 10_000); err != nil {
				t.Errorf("a connection that was open: %v", err)
			}
			w.account.Fault(func(f *emulator.Faults) { f.Swallow = nil })
			w.all(tn, 50_000)
			if n := len(w.account.Sessions()); n > max(lanes, 4) {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

// A connection that is opened just after a proof was answered waits no longer than others, and one that the destination has
// accepted before is left alone.
func TestFaultSwallowedJustAfterAProof(t *testing.T) {
	skipInShort(t)
	t.Parallel()
	var accepted atomic.Int64
	w := newFaultWorldAt(t, need.Server(t, func(c *net.TCPConn) {
		accepted.Add(1)
		_, _ = io.Copy(c, c)
		_ = c.Close()
	}), tunnel.Options{Lanes: 1}, nil)
	tn := w.open(tunnel.Spec{})
	silent := w.dial(tn)
	need.Eventually(t, "a proof behind the silent connection", func() bool { return accepted.Load() == 2 })
	time.Sleep(500 * time.Millisecond) // for its answer
	w.account.Fault(func(f *emulator.Faults) { f.Swallow = []uint16{port} })
	began := time.Now()
	_, _ = io.ReadAll(w.dial(tn))
	if took := time.Since(began); took < 14*time.Second || took > 20*time.Second {
		t.Errorf("reset after %s, want 15 s", took)
	}
	var unanswered *tunnel.UnansweredError
	if err := lastEnd(w, tn); !errors.As(err, &unanswered) {
		t.Errorf("it ended with %v, want an *UnansweredError", err)
	}
	w.account.Fault(func(f *emulator.Faults) { f.Swallow = nil })
	mustExchange(t, silent, random(10_000, 1))
}

// lastEnd is why the last connection of a tunnel ended.
func lastEnd(w *faultWorld, tn *tunnel.Tunnel) (err error) {
	w.Helper()
	need.Eventually(w.T, "the end of a connection", func() bool {
		for _, c := range tn.Connections() {
			if !c.Ended.IsZero() {
				err = c.Err
				return true
			}
		}
		return false
	})
	return err
}

// Servers that are silent for long, as those of a long poll are, look like destinations that swallow SYNs. No connection
// to one is ever reset for it, whatever else goes on, and the proofs that this takes are few: three in half a minute.
func TestSilentServersAreNotTakenForSwallowedConnections(t *testing.T) {
	skipInShort(t)
	t.Parallel()
	const silence, loss = 40 * time.Second, 6 * time.Second
	var proofs atomic.Int32
	w := newFaultWorldAt(t, need.Server(t, func(c *net.TCPConn) {
		_ = c.SetReadDeadline(time.Now().Add(silence))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			_, _ = c.Write([]byte("late"))
		} else {
			proofs.Add(1)
		}
		_ = c.Close()
	}), tunnel.Options{Lanes: 1}, nil)
	tn := w.open(tunnel.Spec{})
	answers := make(chan string, 10)
	for range cap(answers) {
		conn := w.dial(tn)
		_ = conn.SetDeadline(time.Now().Add(2 * silence))
		go func() {
			got, err := io.ReadAll(conn)
			if err != nil {
				got = []byte(err.Error())
			}
			answers <- string(got)
		}()
		time.Sleep(3 * time.Second)
	}
	// The third proof takes its time, as on a network that loses a SYN twice: that is no proof that nothing accepts.
	w.account.Fault(func(f *emulator.Faults) { f.Swallow = []uint16{port} })
	time.Sleep(loss)
	w.account.Fault(func(f *emulator.Faults) { f.Swallow = nil })
	for range cap(answers) {
		if got := <-answers; got != "late" {
			t.Errorf("got %q", got)
		}
	}
	if n := proofs.Load(); n < 1 || n > 6 {
		t.Errorf("the server saw %d connections that ended at once, want those of three proofs, which may be sent twice", n)
	}
}
