package front_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
	"culvert/tunnel/front"
)

// One connection of a client asks several hosts, and is kept between its requests; those to one host share a connection.
func TestOneClientConnectionAsksSeveralHosts(t *testing.T) {
	w := open(t, nil)
	for _, name := range []string{"orders.internal", "billing.internal", "xn--mnchen-3ya.internal"} {
		w.site(name, func(rw http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(rw, "%s for %s %s", name, r.Host, r.RequestURI)
		})
	}
	conn := w.dial()
	r := bufio.NewReader(conn)
	for _, request := range []struct{ target, host, want string }{
		{"http://orders.internal/a?b=c;d", "orders.internal", "orders.internal for orders.internal /a?b=c;d"},
		{"http://billing.internal", "orders.internal", "billing.internal for billing.internal /"}, // the target counts, not the header
		{"HTTP://Orders.Internal:80/", "x", "orders.internal for Orders.Internal:80 /"},
		{"http://orders.internal./a%2fb%7cc|d", "x", "orders.internal for orders.internal. /a%2fb%7cc|d"}, // as it was signed
		{"http://orders.internal//double//slash", "x", "orders.internal for orders.internal //double//slash"},
		{"http://orders.internal?q", "x", "orders.internal for orders.internal /?q"},
		{"http://user:secret@orders.internal/", "x", "orders.internal for orders.internal /"},
	} {
		answer, body := w.say(conn, r, "GET "+request.target+" HTTP/1.1\r\nHost: "+request.host+"\r\n\r\n")
		if answer.StatusCode != http.StatusOK || body != request.want {
			t.Errorf("%s: got %s %q, want %q", request.target, answer.Status, body, request.want)
		}
	}
	if got := w.through.calls(); len(got) != 2 {
		t.Errorf("got connections %q, want one to each host", got)
	}
}

// What is meant for the proxy stays with it, and everything else passes: both ways, byte for byte.
func TestHeadersOfOneHopDoNotPass(t *testing.T) {
	w := open(t, nil)
	got := make(chan http.Header, 1)
	w.site("orders.internal", func(rw http.ResponseWriter, r *http.Request) {
		got <- r.Header
		h := rw.Header()
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "1")
		h.Set("Keep-Alive", "timeout=1")
		h.Set("Proxy-Authenticate", "Basic")
		h.Add("Set-Cookie", "a=1")
		h.Add("Set-Cookie", "b=2")
		h["Content-Type"], h["Date"] = nil, nil
		_, _ = io.WriteString(rw, "<html>")
	})
	answer, _ := w.ask("GET http://orders.internal/ HTTP/1.1\r\nHost: orders.internal\r\n" +
		"Cookie: c=3; d=4\r\nAuthorization: Bearer token\r\nX-Forwarded-For: 10.1.2.3\r\nForwarded: for=10.1.2.3\r\nVia: 1.1 other\r\n" +
		"Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 300\r\nTE: trailers\r\n\r\n")
	want := http.Header{
		"Cookie": {"c=3; d=4"}, "Authorization": {"Bearer token"}, "X-Forwarded-For": {"10.1.2.3"}, "Forwarded": {"for=10.1.2.3"},
		"Via": {"1.1 other"}, "Te": {"trailers"},
	}
	if sent := <-got; fmt.Sprint(sent) != fmt.Sprint(want) {
		t.Errorf("the destination got %v, want %v", sent, want)
	}
	wantBack := http.Header{"Set-Cookie": {"a=1", "b=2"}, "Content-Length": {"6"}}
	if fmt.Sprint(answer.Header) != fmt.Sprint(wantBack) {
		t.Errorf("the client got %v, want %v", answer.Header, wantBack)
	}
}

// A body without a length passes with its trailers, in both directions.
func TestChunksAndTrailersPass(t *testing.T) {
	w := open(t, nil)
	w.site("orders.internal", func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.ContentLength != -1 {
			t.Errorf("body: %v, length %d", err, r.ContentLength)
		}
		rw.Header().Set("Trailer", "X-Sum")
		rw.WriteHeader(http.StatusOK)
		_, _ = fmt.Fprintf(rw, "%s %s %s", body, r.Trailer.Get("X-Announced"), r.Trailer.Get("X-Not-Announced"))
		rw.(http.Flusher).Flush()
		rw.Header().Set("X-Sum", "42")
		rw.Header().Set(http.TrailerPrefix+"X-Late", "43")
	})
	for _, announced := range []string{"X-Announced", ""} {
		request := "POST http://orders.internal/ HTTP/1.1\r\nHost: orders.internal\r\nTransfer-Encoding: chunked\r\n"
		if announced != "" {
			request += "Trailer: " + announced + "\r\n"
		}
		answer, body := w.ask(request + "\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Announced: yes\r\n\r\n")
		if want := "abcdefg yes "; announced != "" && body != want {
			t.Errorf("got %q, want %q", body, want)
		}
		if got := answer.Trailer; got.Get("X-Sum") != "42" || got.Get("X-Late") != "43" {
			t.Errorf("got trailers %v", got)
		}
	}
}

// Who waits for leave to send a body gets it from the destination, or its refusal.
func TestExpectationsAreTheDestinations(t *testing.T) {
	w := open(t, nil)
	w.site("orders.internal", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = rw.Write(body)
	})
	conn := w.dial()
	r := bufio.NewReader(conn)
	head := "PUT http://orders.internal/ HTTP/1.1\r\nHost: orders.internal\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"
	answer, _ := w.say(conn, r, head+"Authorization: yes\r\n\r\n")
	if answer.StatusCode != http.StatusContinue {
		t.Fatalf("got %s, want 100", answer.Status)
	}
	if answer, body := w.say(conn, r, "hello"); answer.StatusCode != http.StatusOK || body != "hello" {
		t.Errorf("got %s %q", answer.Status, body)
	}
	if answer, _ := w.ask(head + "\r\n"); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %s, want the refusal", answer.Status)
	}
}

// What a destination sends piece by piece arrives so.
func TestAnswersAreNotHeldBack(t *testing.T) {
	w := open(t, nil)
	more := make(chan bool)
	w.site("orders.internal", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", "2")
		for _, piece := range []string{"a", "b"} {
			_, _ = io.WriteString(rw, piece)
			rw.(http.Flusher).Flush()
			<-more
		}
	})
	conn := w.dial()
	_, _ = io.WriteString(conn, "GET http://orders.internal/ HTTP/1.1\r\nHost: orders.internal\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for _, want := range []string{"a", "b"} {
		piece := make([]byte, 1)
		if _, err := io.ReadFull(answer.Body, piece); err != nil || string(piece) != want {
			t.Fatalf("got %q %v, want %q", piece, err, want)
		}
		more <- true
	}
}

// An upgrade connects the two ends, with what the destination says at once.
func TestUpgradesPass(t *testing.T) {
	w := open(t, nil)
	w.site("live.internal", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" {
			rw.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		conn, buffered, _ := http.NewResponseController(rw).Hijack()
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhi")
		_, _ = io.Copy(conn, buffered)
	})
	conn := w.dial()
	r := bufio.NewReader(conn)
	for _, scheme := range []string{"ws", "http"} {
		_, _ = io.WriteString(conn, "GET "+scheme+"://live.internal/ HTTP/1.1\r\nHost: live.internal\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if answer, _ := w.hear(r, http.MethodGet); answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-WebSocket-Accept") != "x" {
			t.Fatalf("%s: got %v", scheme, answer)
		}
		_, _ = io.WriteString(conn, "hello")
		_ = conn.CloseWrite()
		if got, err := io.ReadAll(r); err != nil || string(got) != "hihello" {
			t.Errorf("%s: got %q, %v", scheme, got, err)
		}
		conn = w.dial()
		r = bufio.NewReader(conn)
	}
	// HTTP/2 without TLS begins with settings for the next hop alone.
	answer, _ := w.say(conn, r, "GET http://live.internal/ HTTP/1.1\r\nHost: live.internal\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
	if answer.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("h2c: got %s, want it asked as HTTP/1.1", answer.Status)
	}
}

// A CONNECT is answered when its destination has taken the connection and not before; then bytes flow, those included that the
// client did not wait with.
func TestConnectIsAnsweredWhenItIsProved(t *testing.T) {
	proved := make(chan struct{})
	echo := need.Server(t, need.Echo)
	w := open(t, func(o *front.Options) {
		o.Through = dialFunc(func(ctx context.Context, host string, port uint16) (net.Conn, error) {
			if host != "db.internal" || port != 5432 {
				return nil, fmt.Errorf("asked for %s:%d", host, port)
			}
			<-proved
			return (&net.Dialer{}).DialContext(ctx, "tcp", echo)
		})
	})
	conn := w.dial()
	r := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "CONNECT DB.Internal.:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\nearly")
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := r.Peek(1); err == nil {
		t.Fatal("it was answered before it was proved")
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	close(proved)
	if answer, _ := w.hear(r, http.MethodConnect); answer.StatusCode != http.StatusOK || len(answer.Header) != 0 {
		t.Fatalf("got %s %v", answer.Status, answer.Header)
	}
	_, _ = io.WriteString(conn, " and late")
	_ = conn.CloseWrite() // passed on, or the echo would not end
	if got, err := io.ReadAll(r); err != nil || string(got) != "early and late" {
		t.Errorf("got %q, %v", got, err)
	}
}

type dialFunc func(ctx context.Context, host string, port uint16) (net.Conn, error)

func (d dialFunc) Dial(ctx context.Context, host string, port uint16) (net.Conn, error) {
	return d(ctx, host, port)
}

// Whatever the two connections are, what goes through them arrives, also while it goes both ways at once.
func TestALotFlowsBothWays(t *testing.T) {
	const size = 20 << 20
	for _, test := range []struct {
		name     string
		pipe     bool // the destination's side is a net.Pipe, as that of a session
		handover string
	}{
		{"TCP, CONNECT", false, "CONNECT echo.internal:80 HTTP/1.1\r\n\r\n"},
		{"pipe, CONNECT", true, "CONNECT echo.internal:80 HTTP/1.1\r\n\r\n"},
		{"TCP, SOCKS", false, "\x05\x01\x00\x05\x01\x00\x03\x0decho.internal\x00\x50"},
		{"pipe, SOCKS", true, "\x05\x01\x00\x05\x01\x00\x03\x0decho.internal\x00\x50"},
	} {
		t.Run(test.name, func(t *testing.T) {
			echo := need.Server(t, need.Echo)
			w := open(t, func(o *front.Options) {
				o.Through = dialFunc(func(ctx context.Context, _ string, _ uint16) (net.Conn, error) {
					conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", echo)
					if err != nil || !test.pipe {
						return conn, err
					}
					near, far := net.Pipe()
					go func() { _, _ = io.Copy(conn, far); _ = conn.Close(); _ = far.Close() }()
					go func() { _, _ = io.Copy(far, conn); _ = conn.Close(); _ = far.Close() }()
					return near, nil
				})
			})
			conn := w.dial()
			r := bufio.NewReader(conn)
			_, _ = io.WriteString(conn, test.handover)
			if strings.HasPrefix(test.handover, "CONNECT") {
				w.hear(r, http.MethodConnect)
			} else if _, err := r.Discard(12); err != nil {
				t.Fatal(err)
			}
			sent := make(chan []byte, 1)
			go func() {
				sum := sha256.New()
				_, _ = io.CopyN(io.MultiWriter(conn, sum), rand.NewChaCha8([32]byte{1}), size)
				sent <- sum.Sum(nil)
			}()
			sum := sha256.New()
			if _, err := io.CopyN(sum, r, size); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(sum.Sum(nil), <-sent) {
				t.Error("what came back is not what was sent")
			}
		})
	}
}

// An end passes through as an end and a reset as a reset, or a client would take what it has for all there is.
func TestEndsAndResetsPass(t *testing.T) {
	for _, reset := range []bool{false, true} {
		w := open(t, nil)
		w.through.at["db.internal:80"] = need.Server(t, func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "half")
			var p [1]byte
			_, _ = c.Read(p[:])
			if reset {
				_ = c.SetLinger(0)
			}
		})
		conn := w.dial()
		r := bufio.NewReader(conn)
		w.say(conn, r, "CONNECT db.internal:80 HTTP/1.1\r\n\r\n")
		half := make([]byte, 4)
		_, _ = io.ReadFull(r, half)
		_, _ = conn.Write([]byte{0})
		if _, err := r.ReadByte(); errors.Is(err, io.EOF) == reset {
			t.Errorf("reset %t: got %v", reset, err)
		}
	}
	// The client's reset reaches the destination.
	ended := make(chan error, 1)
	w := open(t, nil)
	w.through.at["db.internal:80"] = need.Server(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "x")
		_, err := io.Copy(io.Discard, c)
		ended <- err
	})
	conn := w.dial()
	r := bufio.NewReader(conn)
	w.say(conn, r, "CONNECT db.internal:80 HTTP/1.1\r\n\r\n")
	_, _ = r.ReadByte()
	_ = conn.SetLinger(0)
	_ = conn.Close()
	if err := <-ended; err == nil {
		t.Error("the client's reset came out as an end")
	}
}

// A client that goes away while its connection is made does not leave the making behind.
func TestAClientThatIsGoneEndsItsDial(t *testing.T) {
	for name, begin := range map[string]string{
		"CONNECT":       "CONNECT hung.internal:80 HTTP/1.1\r\n\r\n",
		"absolute form": "GET http://hung.internal/ HTTP/1.1\r\nHost: hung.internal\r\n\r\n",
		"SOCKS 5":       "\x05\x01\x00\x05\x01\x00\x03\x0dhung.internal\x00\x50",
		"SOCKS 4a":      "\x04\x01\x00\x50\x00\x00\x00\x01\x00hung.internal\x00",
	} {
		t.Run(name, func(t *testing.T) {
			dialling, ended := make(chan struct{}), make(chan struct{})
			w := open(t, func(o *front.Options) {
				o.Through = dialFunc(func(ctx context.Context, _ string, _ uint16) (net.Conn, error) {
					close(dialling)
					<-ctx.Done()
					close(ended)
					return nil, ctx.Err()
				})
			})
			conn := w.dial()
			_, _ = io.WriteString(conn, begin)
			<-dialling
			_ = conn.Close()
			within(t, ended, "it is still being made")
		})
	}
}

// Where a half-close cannot be passed on, a client that is gone does not keep its destination, and one that waits gets its answer.
func TestAClientsEndWhereNoHalfCloseExists(t *testing.T) {
	for _, gone := range []bool{true, false} {
		ended := make(chan struct{})
		w := open(t, func(o *front.Options) {
			o.Gone = func(net.Conn) (bool, bool) { return gone, true }
			o.Through = dialFunc(func(context.Context, string, uint16) (net.Conn, error) {
				near, far := net.Pipe()
				go func() {
					defer close(ended)
					defer func() { _ = far.Close() }()
					p := make([]byte, 4)
					_, _ = io.ReadFull(far, p)
					if gone {
						_, _ = far.Read(p) // until somebody ends it
						return
					}
					time.Sleep(100 * time.Millisecond)
					_, _ = io.WriteString(far, "answer")
				}()
				return near, nil
			})
		})
		conn := w.dial()
		r := bufio.NewReader(conn)
		w.say(conn, r, "CONNECT db.internal:80 HTTP/1.1\r\n\r\n")
		_, _ = io.WriteString(conn, "asks")
		_ = conn.CloseWrite()
		got, _ := io.ReadAll(r)
		if !gone && string(got) != "answer" {
			t.Errorf("got %q, want the answer", got)
		}
		within(t, ended, "the destination's side still waits")
	}
}

// within waits for what should have happened long before.
func within(t *testing.T, done <-chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal(otherwise)
	}
}

// A destination that ends a kept connection costs the next request nothing.
func TestAKeptConnectionThatEndedIsReplaced(t *testing.T) {
	w := open(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _, _ = io.Copy(rw, r.Body) }))
	t.Cleanup(server.Close)
	w.through.at["orders.internal:80"] = server.Listener.Addr().String()
	conn := w.dial()
	r := bufio.NewReader(conn)
	for range 3 {
		answer, body := w.say(conn, r, "POST http://orders.internal/ HTTP/1.1\r\nHost: orders.internal\r\nContent-Length: 2\r\n\r\nhi")
		if answer.StatusCode != http.StatusOK || body != "hi" {
			t.Fatalf("got %s %q", answer.Status, body)
		}
		server.CloseClientConnections()
		time.Sleep(20 * time.Millisecond)
	}
}

// A body that breaks off does so for the client too.
func TestABrokenAnswerIsNoWholeOne(t *testing.T) {
	w := open(t, nil)
	w.site("orders.internal", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "half")
		rw.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	conn := w.dial()
	_, _ = io.WriteString(conn, "GET http://orders.internal/ HTTP/1.1\r\nHost: orders.internal\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("got %q as a whole", body)
	}
}

// Heads have a bound.
func TestAHeadWithoutEndIsRefused(t *testing.T) {
	w := open(t, nil)
	w.site("orders.internal", func(http.ResponseWriter, *http.Request) {})
	for size, want := range map[int]int{30 << 10: http.StatusOK, 1 << 20: http.StatusRequestHeaderFieldsTooLarge} {
		conn := w.dial()
		go func() {
			_, _ = io.WriteString(conn, "GET http://orders.internal/ HTTP/1.1\r\nHost: x\r\nCookie: "+strings.Repeat("a", size)+"\r\n\r\n")
		}()
		if answer, _ := w.hear(bufio.NewReader(conn), http.MethodGet); answer.StatusCode != want {
			t.Errorf("%d bytes: got %s, want %d", size, answer.Status, want)
		}
	}
}

// What a proxy cannot forward in this form it says.
func TestOtherSchemesAreRefused(t *testing.T) {
	w := open(t, nil)
	for target, want := range map[string]string{
		"https://orders.internal/":      "by CONNECT",
		"ftp://orders.internal/":        "ftp:// does not go through",
		"http:///path":                  "there is no host",
		"http://orders.internal:0/":     "no port from 1 to 65535",
		"http://orders.internal:99999/": "no port from 1 to 65535",
		"mailto:a@orders.internal":      "mailto://",
	} {
		if answer, body := w.ask("GET " + target + " HTTP/1.1\r\nHost: orders.internal\r\n\r\n"); answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: got %s %q, want %q", target, answer.Status, body, want)
		}
	}
	for target, want := range map[string]string{"orders.internal": "no port", "orders.internal:http": "no port", "::1:80": "in brackets", ":80": "there is no host", "orders.internal:80/path": "no port"} {
		if answer, body := w.ask("CONNECT " + target + " HTTP/1.1\r\n\r\n"); answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, want) && !strings.HasPrefix(body, "400 ") {
			t.Errorf("CONNECT %s: got %s %q, want %q", target, answer.Status, body, want)
		}
	}
}
