package tunnel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"culvert/internal/need"
	"culvert/tunnel"
)

// database is a server that says its name and then echoes. Fail closes its listener as a failed instance does, and leaves
// the open connections alone.
type database struct {
	address string
	fail    func()
}

func newDatabase(t *testing.T, name string) database {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			go func() {
				_, _ = conn.Write([]byte(name))
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return database{address: l.Addr().String(), fail: func() { _ = l.Close() }}
}

var remoteName = tunnel.Endpoint{Host: "db.internal", Port: 5432}

// reached is the name of the database behind a connection; empty when it was refused.
func reached(conn net.Conn) string {
	name := make([]byte, 1)
	n, _ := io.ReadFull(conn, name)
	return string(name[:n])
}

// reaches waits until new connections of a tunnel reach a database.
func (w *faultWorld) reaches(tn *tunnel.Tunnel, name string, within time.Duration) {
	w.Helper()
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		conn := w.dial(tn)
		got := reached(conn)
		_ = conn.Close()
		if got == name {
			return
		}
		if time.Now().After(end) {
			w.Fatalf("new connections still reach %q after %s, want %q", got, within, name)
		}
	}
}

// A row: a database fails over, its name leads to another address. The agent resolves it once per session, so another
// session is opened beside the first one, which sees its connections out.
func TestFaultHostMoves(t *testing.T) {
	t.Parallel()
	old, next := newDatabase(t, "A"), newDatabase(t, "B")
	w := newFaultWorldAt(t, old.address, tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{Remote: remoteName})
	first := tn.Link().Session
	open := w.dial(tn)
	if got := reached(open); got != "A" {
		t.Fatalf("got %q", got)
	}
	old.fail()
	if err := w.account.MoveHost("db.internal", next.address); err != nil {
		t.Fatal(err)
	}
	w.reaches(tn, "B", 15*time.Second)
	mustExchange(t, open, random(300_000, 1))
	if got := len(w.account.Sessions()); got != 2 {
		t.Errorf("%d sessions, want the old one beside the new one", got)
	}
	if tn.Link().Session == first {
		t.Error("the tunnel still shows the session to the old address")
	}
	_ = open.Close()
	need.Eventually(t, "the old session to end with its last connection", func() bool { return len(w.account.Sessions()) == 1 })
	w.reaches(tn, "B", 0)
	if got := w.path(tn); got != "starting handshaking open" {
		t.Errorf("went %q", got)
	}
}

// A host that is down takes no more than a session in ten seconds, and the tunnel stays as it is.
func TestFaultHostThatIsDownCostsASessionInTenSeconds(t *testing.T) {
	t.Parallel()
	down := newDatabase(t, "A")
	w := newFaultWorldAt(t, down.address, tunnel.Options{Lanes: 1}, nil)
	tn := w.open(tunnel.Spec{Remote: remoteName})
	down.fail()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got := reached(w.dial(tn)); got != "" {
			t.Fatalf("reached %q", got)
		}
		if _, err := prove(t, tn, time.Minute); err == nil {
			t.Fatal("a host that is down was proved")
		}
	}
	need.Eventually(t, "the session on trial to end", func() bool { return len(w.account.Sessions()) == 1 })
	if got := w.account.Calls("StartSession"); got != 2 {
		t.Errorf("%d sessions in three seconds, want the first one and one that looks", got)
	}
	w.staysOpen(tn)
}

// A row: the name moves while the old address still answers, as a writer and a reader do that swap their roles. Nothing
// fails, so only the clock tells; the open connection keeps every byte.
func TestFaultHostMovesWithBothEndsAlive(t *testing.T) {
	t.Parallel()
	const every = 2 * time.Second
	writer, reader := newDatabase(t, "A"), newDatabase(t, "B")
	w := newFaultWorldAt(t, writer.address, tunnel.Options{ReResolve: every}, nil)
	tn := w.open(tunnel.Spec{Remote: remoteName})
	open := w.dial(tn)
	if got := reached(open); got != "A" {
		t.Fatalf("got %q", got)
	}
	for i, next := range []struct{ name, address string }{{"B", reader.address}, {"A", writer.address}} {
		if err := w.account.MoveHost("db.internal", next.address); err != nil {
			t.Fatal(err)
		}
		mustExchange(t, open, random(100_000, uint64(i)))
		time.Sleep(every + every/10)
		conn := w.dial(tn)
		if got := reached(conn); got != next.name {
			t.Errorf("a connection later than the interval reaches %q, want %q", got, next.name)
		}
		_ = conn.Close()
		mustExchange(t, open, random(300_000, uint64(i)+10))
	}
	if got := len(w.account.Sessions()); got > 3 {
		t.Errorf("%d sessions", got)
	}
	// Nobody uses it now.
	time.Sleep(every)
	before := w.account.Calls("StartSession")
	time.Sleep(2 * every)
	if got := w.account.Calls("StartSession"); got != before {
		t.Errorf("%d more sessions for a tunnel without new connections", got-before)
	}
	// The first connection after that waits for a session that resolves the name anew.
	if err := w.account.MoveHost("db.internal", reader.address); err != nil {
		t.Fatal(err)
	}
	late := w.dial(tn)
	if got := reached(late); got != "B" {
		t.Errorf("the first connection after a rest reaches %q, want %q", got, "B")
	}
	_ = late.Close()
	_ = open.Close()
	need.Eventually(t, "all sessions but one to end", func() bool { return len(w.account.Sessions()) == 1 })
}

// While a tunnel is used its name is resolved ahead of time: no connection waits for that, and none is cut.
func TestNobodyWaitsForANameThatIsResolvedAnew(t *testing.T) {
	t.Parallel()
	const every = time.Second
	w := newFaultWorldAt(t, newDatabase(t, "A").address, tunnel.Options{ReResolve: every}, nil)
	tn := w.open(tunnel.Spec{Remote: remoteName})
	for end := time.Now().Add(6 * every); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		conn := w.dial(tn)
		if got := reached(conn); got != "A" {
			t.Fatalf("got %q", got)
		}
		mustExchange(t, conn, random(1000, 1))
		_ = conn.Close()
	}
	if got := w.account.Calls("StartSession"); got < 4 || got > 10 {
		t.Errorf("%d sessions in six intervals", got)
	}
	for _, c := range tn.Connections() {
		if c.Err != nil {
			t.Errorf("a connection ended with %v", c.Err)
		}
	}
}

// An address cannot move, nor can the container itself: nothing is opened for them.
func TestOnlyNamesAreResolvedAnew(t *testing.T) {
	for _, remote := range []tunnel.Endpoint{{Port: port}, {Host: "127.0.0.1", Port: 1}, {Host: "localhost", Port: 1}} {
		w := newWorld(t, refusing(t), tunnel.Options{}, nil)
		tn := w.open(tunnel.Spec{Remote: remote})
		for range 3 {
			var refused *tunnel.RefusedError
			if _, err := prove(t, tn, time.Minute); !errors.As(err, &refused) {
				t.Errorf("%s: got %v", remote, err)
			}
		}
		if got := w.account.Calls("StartSession"); got != 1 {
			t.Errorf("%s: %d sessions", remote, got)
		}
	}
}

// The clock is no reason either to open a session for an address, or to let a connection wait for one.
func TestAnAddressIsNeverTooOld(t *testing.T) {
	t.Parallel()
	const every = 500 * time.Millisecond
	server := newDatabase(t, "A").address
	w := newFaultWorldAt(t, server, tunnel.Options{ReResolve: every}, nil)
	if err := w.account.MoveHost("10.0.0.7", server); err != nil {
		t.Fatal(err)
	}
	tn := w.open(tunnel.Spec{Remote: tunnel.Endpoint{Host: "10.0.0.7", Port: 5432}})
	for range 4 {
		time.Sleep(every + every/10)
		began := time.Now()
		conn := w.dial(tn)
		if got := reached(conn); got != "A" {
			t.Fatalf("got %q", got)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("a connection waited %s", took)
		}
		_ = conn.Close()
	}
	if got := w.account.Calls("StartSession"); got != 1 {
		t.Errorf("%d sessions", got)
	}
}

// staysOpen checks that a tunnel was open all the time although its only session was replaced. Where the machine takes long to open
// one, as it did with the first, the tunnel says that it is reopening, and no cause, as nothing is wrong.
func (w *faultWorld) staysOpen(tn *tunnel.Tunnel) {
	w.Helper()
	const long = 750 * time.Millisecond // a quarter of what the tunnel bears with
	got := w.path(tn)
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.seen[tn.ID()]
	opened := slices.IndexFunc(all, func(e tunnel.Event) bool { return e.State == tunnel.Open })
	cause := slices.ContainsFunc(all, func(e tunnel.Event) bool { return e.State == tunnel.Reopening && e.Err != nil })
	slow := all[opened].At.Sub(all[0].At) > long && !cause && got == "starting handshaking open reopening open"
	if got != "starting handshaking open" && !slow {
		w.Errorf("went %q", got)
	}
}

// A number of sessions is a promise: with no room beside those that the tunnel has, the name is resolved anew in the place of
// one that nobody uses, and that is no interruption.
func TestFaultHostMovesAtTheCeiling(t *testing.T) {
	for _, lanes := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d lanes", lanes), func(t *testing.T) {
			t.Parallel()
			old, next := newDatabase(t, "A"), newDatabase(t, "B")
			w := newFaultWorldAt(t, old.address, tunnel.Options{Lanes: lanes}, nil)
			tn := w.open(tunnel.Spec{Remote: remoteName})
			need.Eventually(t, "all sessions", func() bool { return tn.Stats().Lanes == lanes })
			open := w.dial(tn)
			if got := reached(open); got != "A" {
				t.Fatalf("got %q", got)
			}
			old.fail()
			if err := w.account.MoveHost("db.internal", next.address); err != nil {
				t.Fatal(err)
			}
			if lanes == 1 { // what is open comes first
				for range 20 {
					if got := reached(w.dial(tn)); got != "" {
						t.Fatalf("reached %q", got)
					}
				}
				mustExchange(t, open, random(100_000, 1))
				_ = open.Close()
			}
			w.reaches(tn, "B", 15*time.Second)
			if lanes > 1 {
				mustExchange(t, open, random(100_000, 2))
				_ = open.Close()
			}
			need.Eventually(t, "as many sessions as before", func() bool { return len(w.account.Sessions()) == lanes })
			w.reaches(tn, "B", 0)
			w.staysOpen(tn)
		})
	}
}

// By the clock, too, the only session is replaced while nobody uses it, and by the time somebody comes.
func TestTheOnlySessionResolvesTheNameAnew(t *testing.T) {
	t.Parallel()
	const every = time.Second
	writer, reader := newDatabase(t, "A"), newDatabase(t, "B")
	w := newFaultWorldAt(t, writer.address, tunnel.Options{Lanes: 1, ReResolve: every}, nil)
	tn := w.open(tunnel.Spec{Remote: remoteName})
	w.reaches(tn, "A", 0)
	if err := w.account.MoveHost("db.internal", reader.address); err != nil {
		t.Fatal(err)
	}
	time.Sleep(every + every/2)
	w.reaches(tn, "B", 0)
	open := w.dial(tn)
	if got := reached(open); got != "B" {
		t.Fatalf("got %q", got)
	}
	began := w.account.Calls("StartSession")
	for end := time.Now().Add(3 * every); time.Now().Before(end); {
		before := time.Now()
		w.reaches(tn, "B", 0)
		if took := time.Since(before); took > 2*time.Second {
			t.Errorf("a connection waited %s although there is no room for another session", took)
		}
	}
	mustExchange(t, open, random(100_000, 1))
	if got := w.account.Calls("StartSession"); got != began {
		t.Errorf("%d more sessions beside an open connection", got-began)
	}
	w.staysOpen(tn)
}
