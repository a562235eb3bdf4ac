package tunnel_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"culvert/internal/need"
	"culvert/tunnel"
)

// What culvert does itself is not the user's traffic.
func TestOwnConnectionsAreNotCounted(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	own, err := tn.Dial()
	if err != nil {
		t.Fatal(err)
	}
	mustExchange(t, own, random(1<<20, 1))
	if stats := tn.Stats(); stats.Connections != 0 || stats.Accepted != 0 || stats.Sent != 0 || stats.Received != 0 || len(tn.Connections()) != 0 {
		t.Errorf("an open connection of our own counts: %+v, %v", stats, tn.Connections())
	}
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}
	conn := w.dial(tn)
	mustExchange(t, conn, random(1000, 2))
	_ = conn.Close()
	if ended := w.events.ended(t); ended.ID != 1 || ended.Sent != 1000 {
		t.Errorf("the first connection that ends is %+v, want the user's", ended)
	}
	if stats := tn.Stats(); stats.Accepted != 1 || stats.Sent != 1000 || stats.Received != 1000 {
		t.Errorf("got %+v, want the user's connection alone", stats)
	}
}

func TestOwnConnectionSaysWhyItFailed(t *testing.T) {
	w := newWorld(t, refusing(t), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	own, err := tn.Dial()
	if err != nil {
		t.Fatal(err)
	}
	_, err = own.Read(make([]byte, 1))
	if _, refused := errors.AsType[*tunnel.RefusedError](err); !refused {
		t.Errorf("got %v, want a refusal", err)
	}
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whoever calls a probe off is not held up by it, and neither is the end of the tunnel.
func TestOwnConnectionEndsWithItsTunnelAndItsUser(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	first, err := tn.Dial()
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := first.Read(make([]byte, 1))
		read <- err
	}()
	_ = first.Close()
	if err := <-read; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("after Close: %v", err)
	}
	second, err := tn.Dial()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = second.SetDeadline(time.Now().Add(time.Minute))
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlives its tunnel")
	}
	if _, err := tn.Dial(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dialling through a closed tunnel: %v", err)
	}
}
