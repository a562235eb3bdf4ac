package tunnel_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// seelog, which AWS's message package logs with, starts it at import.
		goleak.IgnoreAnyFunction("github.com/cihub/seelog.(*asyncLoopLogger).processQueue"))
}

const (
	port     = 7000 // of the service in the tasks
	maxLanes = 8    // of a tunnel whose options name no number: the tasks have 512 MiB
)

// world is an account with one service of two tasks, a client of it and an engine. All of it is closed and counted at
// the end of the test.
type world struct {
	*testing.T
	account *emulator.Emulator
	options tunnel.Options
	client  *aws.Client
	engine  *tunnel.Engine
	events  *record
	ceiling int // sessions that all tunnels may have at the same time
}

// newWorld serves the tasks' port by server, an address on loopback. The relay is without pacing unless faults says so.
func newWorld(t *testing.T, server string, o tunnel.Options, faults func(*emulator.Faults)) *world {
	t.Helper()
	return newWorldOf(t, server, emulator.Task{}, o, faults)
}

// newWorldOf is newWorld with tasks that are otherwise like task, and their container as its only one.
func newWorldOf(t *testing.T, server string, task emulator.Task, o tunnel.Options, faults func(*emulator.Faults)) *world {
	t.Helper()
	app := emulator.Container{Name: "app", Ports: map[uint16]string{port: server}}
	if len(task.Containers) > 0 {
		app.Memory = task.Containers[0].Memory
	}
	task.Containers = []emulator.Container{app}
	return newWorldIn(t, emulator.Fleet{
		Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 2, Task: task}}}},
		Hosts:    map[string]string{"db.internal": server},
	}, o, faults)
}

// newWorldIn is newWorld in an account of another fleet.
func newWorldIn(t *testing.T, fleet emulator.Fleet, o tunnel.Options, faults func(*emulator.Faults)) *world {
	t.Helper()
	level := slog.LevelWarn
	if os.Getenv("CULVERT_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
	account, err := emulator.Start(emulator.Options{Pace: 20 * time.Millisecond, Fleet: fleet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	account.Fault(func(f *emulator.Faults) {
		f.Pacing = 0
		if faults != nil {
			faults(f)
		}
	})
	key, secret := account.Credentials()
	client, err := aws.Connect(t.Context(), aws.Options{
		Region: "eu-west-1", Endpoint: account.URL(), Keys: aws.Keys{ID: key, Secret: secret}, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := account.Sessions(); len(left) > 0 {
			t.Errorf("%d sessions are left: %+v", len(left), left)
		}
	})
	o.Log = log
	w := &world{T: t, account: account, options: o}
	t.Cleanup(func() {
		// Without a tunnel of this engine, another process has opened them.
		if most := account.MostSessions(); w.ceiling > 0 && most > w.ceiling {
			t.Errorf("%d sessions at the same time, want no more than %d", most, w.ceiling)
		}
	})
	w.use(client)
	return w
}

// use gives the world an engine with another client.
func (w *world) use(client *aws.Client) {
	o := w.options
	o.Client = client
	e := tunnel.New(o)
	w.client, w.engine, w.events = client, e, watch(w.T, e)
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			w.Errorf("close the engine: %v", err)
		}
	})
}

// open opens a tunnel to the service and waits for it to be open.
func (w *world) open(s tunnel.Spec) *tunnel.Tunnel {
	w.Helper()
	tn := w.start(s)
	w.events.await(w.T, tn, tunnel.Open)
	return tn
}

func (w *world) start(s tunnel.Spec) *tunnel.Tunnel {
	w.Helper()
	tn, err := w.try(s)
	if err != nil {
		w.Fatal(err)
	}
	return tn
}

func (w *world) try(s tunnel.Spec) (*tunnel.Tunnel, error) {
	if s.Target == (aws.Target{}) {
		s.Target = aws.Target{Cluster: "c", Service: "s", Container: "app"}
	}
	if s.Remote.Port == 0 {
		s.Remote.Port = port
	}
	tn, err := w.engine.Open(s)
	if err == nil {
		w.ceiling += cmp.Or(w.options.Lanes, maxLanes)
	}
	return tn, err
}

func (w *world) dial(tn *tunnel.Tunnel) *net.TCPConn {
	w.Helper()
	var d net.Dialer
	conn, err := d.DialContext(w.Context(), "tcp", tn.Addr().String())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn.(*net.TCPConn)
}

// record keeps every event of an engine, as many as its channels hold.
type record struct {
	events  chan tunnel.Event
	endings chan tunnel.Ending
	all     []tunnel.Event
}

// watch has what happens to an engine recorded, which the test is to close before it ends.
func watch(t *testing.T, e *tunnel.Engine) *record {
	t.Helper()
	r := &record{events: make(chan tunnel.Event, 10_000), endings: make(chan tunnel.Ending, 100_000)}
	from := e.Watch(context.Background())
	go func() {
		defer close(r.events)
		for event := range from {
			r.events <- event
		}
	}()
	ends := e.Endings(context.Background())
	go func() {
		defer close(r.endings)
		for ending := range ends {
			r.endings <- ending
		}
	}()
	t.Cleanup(func() {
		// A test need not read what is recorded: more of it than the channels hold would keep the goroutines to the end of
		// the package's tests, and fail those without a word on whose they are.
		forgotten := make(chan struct{})
		go func() {
			defer close(forgotten)
			r.forget()
		}()
		select {
		case <-forgotten:
		case <-time.After(20 * time.Second):
			t.Error("the engine whose events are recorded was not closed")
		}
	})
	return r
}

// forget reads what is recorded to the end of the engine, for nobody.
func (r *record) forget() {
	var both sync.WaitGroup
	both.Go(func() {
		for range r.events {
		}
	})
	both.Go(func() {
		for range r.endings {
		}
	})
	both.Wait()
}

// next waits for the first event that fits.
func (r *record) next(t *testing.T, what string, fits func(tunnel.Event) bool) tunnel.Event {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case event, ok := <-r.events:
			if !ok {
				t.Fatalf("no %s before the engine was closed; saw %v", what, r.states())
			}
			r.all = append(r.all, event)
			if fits(event) {
				return event
			}
		case <-deadline:
			t.Fatalf("no %s within 30 s; saw %v", what, r.states())
		}
	}
}

func (r *record) await(t *testing.T, tn *tunnel.Tunnel, s tunnel.State) tunnel.Event {
	t.Helper()
	return r.next(t, s.String(), func(e tunnel.Event) bool { return e.Tunnel == tn.ID() && e.State == s && e.Destination == nil })
}

func (r *record) ended(t *testing.T) tunnel.Connection {
	t.Helper()
	return r.endedOf(t).Connection
}

func (r *record) endedOf(t *testing.T) tunnel.Ending {
	t.Helper()
	select {
	case e, more := <-r.endings:
		if !more {
			t.Fatal("no connection has ended before the engine was closed")
		}
		return e
	case <-time.After(30 * time.Second):
		t.Fatalf("no connection has ended within 30 s; saw %v", r.states())
	}
	return tunnel.Ending{}
}

func (r *record) states() (all []string) {
	for _, e := range r.all {
		all = append(all, e.State.String())
	}
	return all
}

// refusing is an address on which nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	// The near end of a connection has a port that nobody listens on, nor can as long as the connection is there.
	holding, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holding.Close() })
	return holding.LocalAddr().String()
}

// random returns n bytes that a seed determines.
func random(n int, seed uint64) []byte {
	b := make([]byte, n)
	_, _ = endless(seed).Read(b)
	return b
}

// endless is what random is the beginning of.
func endless(seed uint64) io.Reader { return rand.NewChaCha8([32]byte{byte(seed)}) }

// exchange writes all and reads as many bytes back from an echo.
func exchange(conn net.Conn, all []byte) error {
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Write(all)
		failed <- err
	}()
	got := make([]byte, len(all))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if err := <-failed; err != nil {
		return err
	}
	if sha256.Sum256(got) != sha256.Sum256(all) {
		return errors.New("the bytes that came back differ")
	}
	return nil
}

func mustExchange(t *testing.T, conn net.Conn, all []byte) {
	t.Helper()
	if err := exchange(conn, all); err != nil {
		t.Fatalf("exchange %d bytes: %v", len(all), err)
	}
}
