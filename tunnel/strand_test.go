package tunnel_test

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// strung is a tunnel of strands to a server that echoes.
func strung(t *testing.T, task emulator.Task) (*world, *tunnel.Tunnel) {
	t.Helper()
	w := newWorldOf(t, need.Server(t, need.Echo), task, tunnel.Options{}, nil)
	w.engine.Keep(0)
	target, err := w.client.Successor(t.Context(), aws.Target{Cluster: "c", Service: "s", Container: "app"})
	if err != nil {
		t.Fatal(err)
	}
	tn := w.engine.Strung(tunnel.Spec{Target: target, Pinned: true, Remote: tunnel.Endpoint{Port: port}})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := tn.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return w, tn
}

// strand opens one, which is closed at the end of the test.
func (w *world) strand(tn *tunnel.Tunnel, words chan<- string) (net.Conn, string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	conn, session, err := tn.TakeStrand(ctx, words)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	return conn, session
}

// roomy is a task that affords eight sessions.
var roomy = emulator.Task{CPU: "1024", Memory: "2048"}

func TestAStrandHasItsSessionForItself(t *testing.T) {
	t.Parallel()
	w, tn := strung(t, roomy)
	tn.Want(3)
	seen := map[string]bool{}
	var first net.Conn
	for range 3 {
		conn, session := w.strand(tn, nil)
		if seen[session] {
			t.Errorf("two strands are on session %s", session)
		}
		seen[session] = true
		mustExchange(t, conn, random(100_000, 1))
		first = conn
	}
	tasks := map[string]bool{}
	for _, s := range w.account.Sessions() {
		tasks[s.Target] = true
	}
	if len(tasks) != 1 {
		t.Errorf("the strands lead to %v, want one task", tasks)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if conn, session, err := tn.TakeStrand(short, nil); err == nil {
		_ = conn.Close()
		t.Errorf("a fourth strand, which nobody wanted, is on session %s", session)
	}
	_ = first.Close()
	conn, _ := w.strand(tn, nil) // on the lane that is free again
	mustExchange(t, conn, random(1000, 2))
	if most := w.account.MostSessions(); most != 3 {
		t.Errorf("%d sessions for three strands", most)
	}
	if s := tn.Stats(); s.Connections != 0 || s.Accepted != 0 {
		t.Errorf("strands count as connections: %+v", s)
	}
}

// What the task affords bounds the sessions, and none is kept that nobody uses.
func TestSessionsOfStrandsAreWhatTheTaskAffords(t *testing.T) {
	t.Parallel()
	for cpu, want := range map[string]int{"256": 2, "512": 4, "1024": 8} {
		t.Run(cpu, func(t *testing.T) {
			t.Parallel()
			w, tn := strung(t, emulator.Task{CPU: cpu, Memory: "2048"})
			tn.Want(30)
			need.Eventually(t, "as many sessions as the task affords", func() bool { return len(w.account.Sessions()) == want })
			kept, _ := w.strand(tn, nil)
			tn.Want(1)
			need.Eventually(t, "the others to end", func() bool { return len(w.account.Sessions()) < want })
			if most := w.account.MostSessions(); most != want {
				t.Errorf("%d sessions at the same time, want %d", most, want)
			}
			mustExchange(t, kept, random(1000, 1))
		})
	}
}

func TestAStrandIsToldOfItsLane(t *testing.T) {
	t.Parallel()
	w, tn := strung(t, roomy)
	words := make(chan string, 100)
	conn, session := w.strand(tn, words)
	mustExchange(t, conn, random(1000, 1))
	w.account.CutClientLeg(session)
	for _, want := range []string{"away", "back"} {
		select {
		case got := <-words:
			if got != want {
				t.Fatalf("told %q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("not told %q", want)
		}
	}
	mustExchange(t, conn, random(1000, 2))
	began := time.Now()
	w.account.KillSession(session, "")
	if _, err := conn.Read(make([]byte, 1)); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("the end of the session came as %v after %s", err, time.Since(began))
	}
	_ = conn.Close()
	conn, other := w.strand(tn, nil)
	if other == session {
		t.Error("the strand is on a session that has ended")
	}
	mustExchange(t, conn, random(1000, 3))
}

// An agent repairs one message in 100 ms. A strand whose session has lost some is of no use before, unless there is no other.
func TestAStrandIsBackWhenNothingIsMissing(t *testing.T) {
	t.Parallel()
	w, tn := strung(t, roomy)
	w.account.Fault(func(f *emulator.Faults) { f.Pacing = time.Millisecond })
	tn.Want(2)
	words := make(chan string, 100)
	conn, session := w.strand(tn, words)
	_, other := w.strand(tn, nil)
	const size = 150_000
	var came atomic.Int64
	var reading sync.WaitGroup
	reading.Go(func() {
		buffer := make([]byte, size)
		for {
			n, err := conn.Read(buffer)
			if came.Add(int64(n)); err != nil {
				return
			}
		}
	})
	t.Cleanup(reading.Wait)
	t.Cleanup(func() { _ = conn.Close() })
	// back has a third of an answer be lost with the socket, and returns how much of it was missing when the strand was back.
	back := func() int64 {
		before := came.Load()
		if _, err := conn.Write(random(size, 1)); err != nil {
			t.Fatal(err)
		}
		need.Eventually(t, "a third of the answer", func() bool { return came.Load()-before > size/3 })
		w.account.CutClientLeg(session)
		for word := range words {
			if word == "back" {
				break
			}
		}
		missing := before + size - came.Load()
		need.Eventually(t, "the whole answer", func() bool { return came.Load() == before+size })
		return missing
	}
	missing := back()
	for range 4 { // a busy machine may hold up the account for longer than its agent takes between two repairs
		if missing > 0 {
			missing = back()
		}
	}
	if missing > 0 {
		t.Errorf("the strand was back while %d bytes were missing", missing)
	}
	w.account.KillSession(other, "")
	tn.Want(1)
	need.Eventually(t, "one session", func() bool { return len(w.account.Sessions()) == 1 })
	if missing := back(); missing == 0 {
		t.Error("the only strand was away until nothing was missing")
	}
}

func TestTheDeadlineOfAStrand(t *testing.T) {
	t.Parallel()
	w, tn := strung(t, roomy)
	conn, _ := w.strand(tn, nil)
	for _, late := range []time.Duration{-time.Second, 50 * time.Millisecond} {
		_ = conn.SetDeadline(time.Now().Add(late))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the read ended with %v", late, err)
		}
		_ = conn.SetDeadline(time.Time{})
		mustExchange(t, conn, random(10_000, 1))
	}
	read := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	_ = conn.SetReadDeadline(time.Now().Add(-time.Second)) // whether it waits already or not
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the read that waited ended with %v", err)
	}
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	_ = conn.Close()
	if err := <-read; err == nil {
		t.Error("a read ended well when its strand was closed")
	}
}
