package need

import (
	"io"
	"net"
	"testing"
	"time"
)

// Server runs handle for every connection to a TCP server on loopback, until the test is over, and returns its address.
// A connection is closed when its handle returns.
func Server(t testing.TB, handle func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				handle(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// Echo is a handle for Server that sends back what it gets.
func Echo(c *net.TCPConn) { _, _ = io.Copy(c, c) }

// Eventually waits for something that happens by itself, far longer than it should take.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	const patience = time.Minute
	for end := time.Now().Add(patience); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
