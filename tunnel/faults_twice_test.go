package tunnel_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// cutMidMessage opens a connection, lets fill write to it until the agent is held up in the midst of a message, by a destination
// that does not read, and cuts the agent's socket then. The destination reads again at once.
func cutMidMessage(t *testing.T, w *faultWorld, tn *tunnel.Tunnel, fill func(net.Conn) error) (_ *net.TCPConn, filled <-chan error) {
	t.Helper()
	conn := w.dial(tn)
	if err := echoed(conn, 1, 100); err != nil {
		t.Fatal(err)
	}
	w.account.Fault(func(f *emulator.Faults) { f.Stalled = []uint16{port} })
	filling := make(chan error, 1)
	go func() { filling <- fill(conn) }()
	before := uint64(0)
	need.Eventually(t, "a standstill", func() bool {
		sent := tn.Stats().Sent
		stands := sent > 1<<20 && sent == before
		before = sent
		time.Sleep(300 * time.Millisecond)
		return stands
	})
	w.account.CutAgentLeg()
	time.Sleep(100 * time.Millisecond) // it comes back, and is told what was lost
	w.account.Fault(func(f *emulator.Faults) { f.Stalled = nil })
	return conn, filling
}

// A row: the agent's socket is cut while it takes a message of an upload in. It applies that one twice (A10), which nobody hears
// of: the connection is never reported as a success, its client sees an error, and another session serves.
func TestFaultAgentTakesAMessageTwice(t *testing.T) {
	skipInShort(t)
	const size = 24 << 20
	fill := func(c net.Conn) error {
		_, err := c.Write(append(order(orderUpload, 7, size), random(size, 7)...))
		return err
	}
	for name, message := range map[string]int{
		"pieces of frames": 1024,
		"whole frames":     48 << 10, // more than is read at a time: twice the same would be right, as far as the mux is concerned
	} {
		t.Run(name, func(t *testing.T) {
			w := newFaultWorld(t, tunnel.Options{Lanes: 1, MessageSize: message}, nil)
			tn := w.open(tunnel.Spec{})
			session := tn.Link().Session
			beside := w.dial(tn) // from which nothing is on its way
			if err := echoed(beside, 2, 100); err != nil {
				t.Fatal(err)
			}
			conn, filled := cutMidMessage(t, w, tn, fill)
			began := time.Now()
			answer, err := io.ReadAll(conn)
			if writing := <-filled; err == nil && writing == nil { // the system tells one of the two
				t.Errorf("the client sees a clean end after %d bytes of an answer", len(answer))
			}
			if n, err := beside.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
				t.Errorf("the connection beside it sees a clean end after %d bytes, although its far end has not ended it", n)
			}
			var uploads int
			for range 2 {
				ended := w.events.ended(t)
				unsure, ok := errors.AsType[*tunnel.UncertainError](ended.Err)
				if !ok && ended.Err != nil {
					continue // the session was over before the agent had ended the one beside: that is known
				}
				if !ok || !unsure.Lost || unsure.Remedy() == "" || !strings.Contains(ended.Err.Error(), "uncertain") {
					t.Errorf("a connection has ended with %v, want that its end is uncertain", ended.Err)
					continue
				}
				if unsure.Upload {
					uploads++
				}
			}
			if uploads != 1 {
				t.Errorf("%d connections are said to have an upload that is uncertain, want one", uploads)
			}
			need.Eventually(t, "another session", func() bool { return tn.Link().Session != session })
			w.all(tn, 50_000)
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("another session serves after %s", took)
			}
		})
	}
}

// The same cut without the defect: the doubt is looked into, disproved, and nobody notices anything.
func TestFaultAgentCutMidMessage(t *testing.T) {
	skipInShort(t)
	const size = 24 << 20
	w := newFaultWorld(t, tunnel.Options{Lanes: 1}, func(f *emulator.Faults) { f.TakesTwice = false })
	tn := w.open(tunnel.Spec{})
	conn, filled := cutMidMessage(t, w, tn, func(c net.Conn) error { return upload(c, 7, size) })
	if err := <-filled; err != nil {
		t.Error(err)
	}
	_ = conn.Close()
	if ended := w.events.ended(t); ended.Err != nil {
		t.Errorf("the connection has ended with %v", ended.Err)
	}
	if got := w.path(tn); got != "starting handshaking open" {
		t.Errorf("the tunnel went %q", got)
	}
	w.all(tn, 50_000)
}
