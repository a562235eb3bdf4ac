package front_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"

	"culvert/internal/need"
	"culvert/tunnel/front"
)

// Thousands of connections that nothing flows on cost little each, and nothing when they are over.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const many = 500
	const most = 40 << 10 // bytes of one, with its goroutines' stacks and the test's own end of it
	far := make(chan net.Conn, many)
	w := open(t, func(o *front.Options) {
		o.Through = dialFunc(func(context.Context, string, uint16) (net.Conn, error) {
			near, other := net.Pipe()
			far <- other
			return near, nil
		})
	})
	measure := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before, goroutines := measure(), runtime.NumGoroutine()
	var conns []net.Conn
	for i := range many {
		conn := w.dial()
		r := bufio.NewReaderSize(conn, 16)
		if i%2 == 0 {
			w.say(conn, r, "CONNECT a.internal:80 HTTP/1.1\r\n\r\n")
		} else {
			_, _ = io.WriteString(conn, "\x05\x01\x00\x05\x01\x00\x03\x0aa.internal\x00\x50")
			_, _ = io.CopyN(io.Discard, conn, 12)
		}
		conns = append(conns, conn)
	}
	each := (measure() - before) / many
	t.Logf("%d bytes each, %d goroutines", each, (runtime.NumGoroutine()-goroutines)/many)
	if each > most {
		t.Errorf("an idle connection costs %d bytes, want at most %d", each, most)
	}
	for _, conn := range conns {
		_ = (<-far).Close()
		_ = conn.Close()
	}
	need.Eventually(t, "no goroutine is left of them", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
}

// When Serve returns, what a client's requests have opened is closed.
func TestServeLeavesNothingBehind(t *testing.T) {
	w := open(t, nil)
	ended := make(chan struct{}, 10)
	w.site("orders.internal", func(http.ResponseWriter, *http.Request) {})
	w.through.at["held.internal:80"] = need.Server(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			_, _ = r.ReadByte()
		}
		ended <- struct{}{}
	})
	near, far := tcpPair(t)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = front.New(front.Options{Through: w.through}).Serve(t.Context(), far)
	}()
	w.say(near, bufio.NewReader(near), "GET http://held.internal/ HTTP/1.1\r\nHost: held.internal\r\n\r\n")
	_ = near.CloseWrite()
	within(t, over, "Serve does not return")
	within(t, ended, "the connection to the destination is still there")
}
