package tunnel_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/tunnel"
	"culvert/tunnel/bond"
)

const relayPort = 7300

// relay is one that a test can kill and start anew. Each has connections of its own.
type relay struct {
	*testing.T
	serves  string // what the port leads to
	forbids bool   // it opens another port alone
	limits  bond.Limits

	hung     atomic.Bool   // it reads no more
	released chan struct{} // closed when it may end all the same

	mu       sync.Mutex
	listener net.Listener
	relay    *bond.Relay
	conns    []net.Conn
}

// hanging is a connection of a relay that may hang.
type hanging struct {
	net.Conn

	relay *relay
}

func (h hanging) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if h.relay.hung.Load() {
		<-h.relay.released
	}
	return n, err
}

// newRelay serves the tasks' port by an address on loopback.
func newRelay(t *testing.T, serves string) *relay {
	t.Helper()
	return (&relay{T: t, serves: serves}).begin()
}

// begin has the relay listen until the test ends.
func (r *relay) begin() *relay {
	t := r.T
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.released = make(chan struct{})
	r.serve(l)
	t.Cleanup(r.kill)
	t.Cleanup(func() { close(r.released) })
	return r
}

func (r *relay) serve(l net.Listener) {
	targets := []uint16{port}
	if r.forbids {
		targets = []uint16{port + 1}
	}
	one := &bond.Relay{Targets: targets, Limits: r.limits, Dial: func(ctx context.Context, _ uint16) (net.Conn, error) {
		r.mu.Lock()
		at := r.serves
		r.mu.Unlock()
		return new(net.Dialer).DialContext(ctx, "tcp", at)
	}}
	r.mu.Lock()
	r.listener, r.relay = l, one
	r.mu.Unlock()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns = append(r.conns, conn)
			r.mu.Unlock()
			one.Take(hanging{conn, r})
		}
	}()
}

func (r *relay) address() string { return r.listener.Addr().String() }

// kill ends it as a crash does: its connections are gone in the same moment.
func (r *relay) kill() {
	r.mu.Lock()
	_ = r.listener.Close()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
	one := r.relay
	r.mu.Unlock()
	_ = one.Close()
}

// relayWorld is a world whose tasks have a relay at an address beside the server, and room for eight sessions.
func relayWorld(t *testing.T, server, relay string, faults func(*emulator.Faults)) *world {
	t.Helper()
	app := emulator.Container{Name: "app", Ports: map[uint16]string{port: server}}
	beside := emulator.Container{Name: "culvert-relay", Ports: map[uint16]string{relayPort: relay}, NonEssential: true}
	task := roomy
	task.Containers = []emulator.Container{app, beside}
	return newWorldIn(t, emulator.Fleet{
		Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 2, Task: task}}}},
	}, tunnel.Options{}, faults)
}

// bonded opens a tunnel through the relay, and waits until it has answered.
func (w *world) bonded() *tunnel.Tunnel {
	w.Helper()
	for tries := 1; ; tries++ { // on a busy machine a hello may take longer than the second that it gets
		tn := w.start(tunnel.Spec{Relay: &tunnel.Relay{Port: relayPort}})
		w.ceiling += maxLanes + 1
		w.events.next(w.T, "word of the relay", func(e tunnel.Event) bool { return e.Link.Relay != tunnel.Relaying{} })
		switch r := tn.Link().Relay; {
		case r.On:
			return tn
		case tries == 5:
			w.Fatalf("the relay is not used: %s", r.Why)
		}
		if err := tn.Close(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
}

// pours has so many bytes of random sent to whoever connects.
func pours(size int) func(*net.TCPConn) {
	return func(c *net.TCPConn) { _, _ = c.Write(random(size, 7)) }
}

// fetch reads all that comes on a new connection, and checks it. Meanwhile is called when some of it has come.
func (w *world) fetch(tn *tunnel.Tunnel, size int, meanwhile func()) (took, silent time.Duration, err error) {
	w.Helper()
	conn := w.dial(tn)
	defer conn.Close()
	began := time.Now()
	hash, got, last := sha256.New(), 0, began
	for buffer := make([]byte, 64<<10); ; {
		n, err := conn.Read(buffer)
		if pause := time.Since(last); got > 0 && pause > silent {
			silent = pause
		}
		last = time.Now()
		_, _ = hash.Write(buffer[:n])
		if got += n; meanwhile != nil && got > size/4 {
			meanwhile()
			meanwhile = nil
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return time.Since(began), silent, fmt.Errorf("after %d of %d bytes: %w", got, size, err)
			}
			break
		}
	}
	if [32]byte(hash.Sum(nil)) != sha256.Sum256(random(size, 7)) {
		return time.Since(began), silent, fmt.Errorf("%d bytes have come of %d, or others", got, size)
	}
	return time.Since(began), silent, nil
}

// relaySessions does something to so many of the sessions to the relay.
func (w *world) relaySessions(do func(id string), most int) {
	for _, s := range w.account.Sessions() {
		if s.Port == relayPort && most > 0 {
			most--
			do(s.ID)
		}
	}
}

// mute takes connections and says what it is told, or nothing.
func mute(says []byte) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		_, _ = c.Write(says)
		_, _ = io.Copy(io.Discard, c)
	}
}

func mustWrite(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
}
