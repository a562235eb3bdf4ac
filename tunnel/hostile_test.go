package tunnel

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws"
	"culvert/internal/need"
)

// attack serves one connection after the other, and counts what it could write to them.
func attack(t *testing.T, serve func(net.Conn)) (address string, written *atomic.Int64) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	written = &atomic.Int64{}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				serve(&countedConn{conn, written})
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return listener.Addr().String(), written
}

type countedConn struct {
	net.Conn

	written *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err //nolint:wrapcheck // it adds nothing
}

// pours answers with head, and then with text until nobody wants more.
func pours(head, text string, pause time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, err := io.WriteString(conn, head)
		for err == nil {
			_, err = io.WriteString(conn, text)
			time.Sleep(pause)
		}
	}
}

func quiet(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// Whoever answers where the websocket should be, or the proxy before it, is not listened to for ever.
func TestUpgradeHasAnEnd(t *testing.T) {
	long := strings.Repeat("a", 64<<10)
	for title, row := range map[string]struct {
		serve       func(net.Conn)
		secure, via bool
		slow        bool // what ends it is the time
		says        string
	}{
		"a header without end":              {pours("HTTP/1.1 101 Switching Protocols\r\nX: ", long, 0), false, false, false, "has no end"},
		"fields without end":                {pours("HTTP/1.1 101 Switching Protocols\r\n", "X: "+long[:1000]+"\r\n", 0), false, false, false, "has no end"},
		"a first line without end":          {pours("", long, 0), false, false, false, "has no end"},
		"a proxy's header without end":      {pours("HTTP/1.1 200 OK\r\nX: ", long, 0), true, true, false, "has no end"},
		"silence":                           {quiet, false, false, true, "no answer came within"},
		"silence in the TLS handshake":      {quiet, true, false, true, "TLS handshake has not ended within"},
		"a header that dribbles":            {pours("HTTP/1.1 101 Switching Protocols\r\n", "X: y\r\n", 20*time.Millisecond), false, false, true, "no answer came within"},
		"a silent proxy":                    {quiet, true, true, true, "has not answered CONNECT within"},
		"a proxy that dribbles":             {pours("", "H", 20*time.Millisecond), true, true, true, "has not answered CONNECT within"},
		"TLS that is silent behind a proxy": {lets(quiet), true, true, true, "TLS handshake has not ended within"},
		"407 of a proxy":                    {pours("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", " ", time.Millisecond), true, true, false, "USER:PASSWORD@"},
	} {
		t.Run(title, func(t *testing.T) {
			address, written := attack(t, row.serve)
			url := map[bool]string{false: "ws", true: "wss"}[row.secure] + "://" + address + "/"
			for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
				t.Setenv(name, map[bool]string{true: "http://" + address}[row.via])
			}
			if row.via {
				url = strings.Replace(url, address, "stream.example.invalid", 1)
			}
			client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Keys: aws.Keys{ID: "AKIDEXAMPLE", Secret: "example"}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), map[bool]time.Duration{true: 300 * time.Millisecond, false: 10 * time.Second}[row.slow])
			defer cancel()
			_, err = dialSocket(ctx, client, aws.Session{ID: "s", StreamURL: url, Token: "t"}, "c")
			unreachable, ok := errors.AsType[*aws.UnreachableError](err)
			if !ok {
				t.Fatalf("got %v, want an UnreachableError", err)
			}
			if text := err.Error() + unreachable.Remedy(); !strings.Contains(text, row.says) || row.via && !strings.Contains(text, "through the proxy "+address) {
				t.Errorf("got %s, want it to say %q", text, row.says)
			}
			if errors.Is(err, context.DeadlineExceeded) != row.slow {
				t.Errorf("got %v, want it to be a deadline: %v", err, row.slow)
			}
			if written.Load() > 16<<20 {
				t.Errorf("%d bytes were taken from it", written.Load())
			}
		})
	}
}

// lets is a proxy that lets everybody through, to then.
func lets(then func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err == nil {
			then(conn)
		}
	}
}

// A session that is being opened can be asked what holds it up, before that has failed.
func TestObstacleIsKnownWhileItLasts(t *testing.T) {
	stream, _ := attack(t, quiet)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".StartSession") {
			_, _ = io.WriteString(w, `{"SessionId":"s-1","TokenValue":"t","StreamUrl":"ws://`+stream+`/"}`)
			return
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer api.Close()
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: api.URL, Keys: aws.Keys{ID: "AKIDEXAMPLE", Secret: "example"}})
	if err != nil {
		t.Fatal(err)
	}
	e := New(Options{}) // each tunnel may have an account of its own
	defer e.Close(t.Context())
	tn, err := e.Open(Spec{Target: aws.Target{Cluster: "c", Service: "s", Task: "t", Container: "app", RuntimeID: "r"}, Remote: Endpoint{Port: 1}, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "the stream's silence is known", func() bool {
		unreachable, ok := errors.AsType[*aws.UnreachableError](tn.Obstacle())
		return ok && unreachable.Stream && strings.Contains(unreachable.Error(), "no answer came within")
	})
	started := time.Now()
	if err := e.Close(t.Context()); err != nil || time.Since(started) > 5*time.Second {
		t.Errorf("closing ends with %v after %s, want it not to wait for the stream", err, time.Since(started))
	}
}
