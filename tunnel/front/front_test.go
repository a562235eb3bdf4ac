package front_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"culvert/internal/need"
	"culvert/tunnel/front"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// places is a Dialer that knows where made-up hosts are.
type places struct {
	mu    sync.Mutex
	at    map[string]string // host:port to an address on loopback
	fails map[string]error
	asked []string
}

func (p *places) Dial(ctx context.Context, host string, port uint16) (net.Conn, error) {
	name := net.JoinHostPort(host, strconv.Itoa(int(port)))
	p.mu.Lock()
	p.asked = append(p.asked, name)
	to, err := p.at[name], p.fails[name]
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if to == "" {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", to)
}

func (p *places) calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// world is a proxy on loopback and where it leads.
type world struct {
	*testing.T

	through, direct *places
	addr            string
}

// open serves until the test is over. The rules and the rest are what change makes of them.
func open(t *testing.T, change func(*front.Options)) *world {
	t.Helper()
	w := &world{T: t, through: &places{at: map[string]string{}, fails: map[string]error{}}, direct: &places{at: map[string]string{}, fails: map[string]error{}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	o := front.Options{Through: w.through, Direct: w.direct, Names: []string{w.addr, "localhost:" + portOf(w.addr)}}
	if change != nil {
		change(&o)
	}
	s := front.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { _ = s.Serve(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		cancel()
		all.Wait()
	})
	return w
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// site has handler answer at a made-up host, port 80.
func (w *world) site(name string, handler http.HandlerFunc) {
	w.Helper()
	server := httptest.NewServer(handler)
	w.Cleanup(server.Close)
	w.through.mu.Lock()
	defer w.through.mu.Unlock()
	w.through.at[name+":80"] = server.Listener.Addr().String()
}

// dial connects to the proxy.
func (w *world) dial() *net.TCPConn {
	w.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn.(*net.TCPConn)
}

// heard is an answer, but for its body.
type heard struct {
	Status          string
	StatusCode      int
	Header, Trailer http.Header
}

// say writes a request as it is and reads the answer.
func (w *world) say(conn net.Conn, r *bufio.Reader, request string) (answer heard, body string) {
	w.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		w.Fatal(err)
	}
	return w.hear(r, strings.Fields(request)[0])
}

func (w *world) hear(r *bufio.Reader, method string) (answer heard, body string) {
	w.Helper()
	whole, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		w.Fatalf("read the answer: %v", err)
	}
	defer whole.Body.Close()
	answer = heard{Status: whole.Status, StatusCode: whole.StatusCode, Header: whole.Header}
	if method == http.MethodConnect && answer.StatusCode == http.StatusOK {
		return answer, ""
	}
	text, err := io.ReadAll(whole.Body)
	if err != nil {
		w.Fatalf("read the answer's body: %v", err)
	}
	answer.Trailer = whole.Trailer
	return answer, string(text)
}

// ask is say on a connection of its own.
func (w *world) ask(request string) (answer heard, body string) {
	w.Helper()
	conn := w.dial()
	defer conn.Close()
	return w.say(conn, bufio.NewReader(conn), request)
}

func patterns(t testing.TB, forms ...string) []front.Pattern {
	t.Helper()
	var all []front.Pattern
	for _, form := range forms {
		p, err := front.ParsePattern(form)
		if err != nil {
			t.Fatalf("pattern %s: %v", form, err)
		}
		all = append(all, p)
	}
	return all
}

// A client that connects and says nothing, or says it in drips, does not stay.
func TestASilentClientDoesNotStay(t *testing.T) {
	for name, say := range map[string]func(net.Conn){
		"nothing": func(net.Conn) {},
		"half a head": func(c net.Conn) {
			_, _ = io.WriteString(c, "GET http://orders.internal/ HTTP/1.1\r\nHo")
		},
		"a head in drips": func(c net.Conn) {
			for _, err := io.WriteString(c, "GET http://orders.internal/ HTTP/1.1\r\n"); err == nil; _, err = io.WriteString(c, "A: b\r\n") {
				time.Sleep(5 * time.Second)
			}
		},
		"half of SOCKS 5":    func(c net.Conn) { _, _ = c.Write([]byte{5, 2, 0}) },
		"SOCKS 4 in drips":   func(c net.Conn) { drip(c, []byte{4, 1, 0, 80, 10, 0, 0, 1}) },
		"SOCKS 5 in drips":   func(c net.Conn) { drip(c, []byte{5, 255}) },
		"an idle keep-alive": func(c net.Conn) { _, _ = io.WriteString(c, "GET http://gone.internal/ HTTP/1.1\r\nHost: x\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				began := time.Now()
				over := make(chan time.Duration, 1)
				go func() {
					_ = front.New(front.Options{Through: &places{}}).Serve(t.Context(), far)
					over <- time.Since(began)
				}()
				go say(near)
				defer synctest.Wait()
				defer time.Sleep(10 * time.Second) // until it has noticed
				_, _ = io.Copy(io.Discard, near)
				if took := <-over; took > 3*time.Minute {
					t.Errorf("it stayed for %s", took)
				}
				_ = near.Close()
			})
		})
	}
}

// drip writes a beginning, and then a letter every few seconds.
func drip(c net.Conn, beginning []byte) {
	for _, err := c.Write(beginning); err == nil; _, err = c.Write([]byte{'a'}) {
		time.Sleep(5 * time.Second)
	}
}

// What a client begins that speaks no language of proxies is answered in words, and told to whoever accepted it.
func TestOtherLanguagesAreRefused(t *testing.T) {
	for name, begin := range map[string]string{
		"a TLS handshake": "\x16\x03\x01\x00\x05hello",
		"SSL 2":           "\x80\x2e\x01\x03\x01",
		"a newline":       "\r\n\r\n",
		"zeros":           strings.Repeat("\x00", 4096),
		"SOCKS 6":         "\x06\x00",
		"UTF-8":           "\xc3\xa4",
	} {
		t.Run(name, func(t *testing.T) {
			near, far := tcpPair(t)
			said := make(chan error, 1)
			go func() { said <- front.New(front.Options{}).Serve(t.Context(), far) }()
			if _, err := io.WriteString(near, begin); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(near), nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			defer answer.Body.Close()
			body, _ := io.ReadAll(answer.Body)
			if _, err := near.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("after the answer: %v, want an end and no reset", err)
			}
			_ = near.Close()
			if answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "remedy: ") || !answer.Close {
				t.Errorf("got %s, close %t, %q", answer.Status, answer.Close, body)
			}
			language, ok := errors.AsType[*front.LanguageError](<-said)
			if !ok || language.First != begin[0] {
				t.Errorf("Serve said %v", language)
			}
			if tls := begin[0] == 0x16; tls != strings.Contains(string(body), "https://") {
				t.Errorf("got %q", body)
			}
		})
	}
}

// tcpPair is a connection, both ends of it.
func tcpPair(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	taken := make(chan *net.TCPConn)
	done := make(chan struct{})
	addr := need.Server(t, func(c *net.TCPConn) {
		taken <- c
		<-done
	})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(done)
		_ = conn.Close()
	})
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn.(*net.TCPConn), <-taken
}

// When the context ends, so does everything, whatever the client was at.
func TestTheEndOfTheContextEndsEverything(t *testing.T) {
	hung := &places{}
	echo := need.Server(t, need.Echo)
	silent := need.Server(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	hung.at = map[string]string{"echo.internal:80": echo, "silent.internal:80": silent}
	for name, begin := range map[string]string{
		"before a byte":        "",
		"in a head":            "GET http://silent.internal/ HT",
		"in a request":         "GET http://silent.internal/ HTTP/1.1\r\nHost: silent.internal\r\n\r\n",
		"in an upload":         "POST http://silent.internal/ HTTP/1.1\r\nHost: silent.internal\r\nContent-Length: 1000\r\n\r\nabc",
		"in a CONNECT":         "CONNECT echo.internal:80 HTTP/1.1\r\n\r\nhello",
		"in a CONNECT's dial":  "CONNECT hung.internal:80 HTTP/1.1\r\n\r\n",
		"in SOCKS":             "\x05\x01\x00\x05\x01\x00\x03\x0decho.internal\x00\x50hello",
		"in half of SOCKS":     "\x05\x01\x00\x05\x01",
		"in the dial of SOCKS": "\x05\x01\x00\x05\x01\x00\x03\x0dhung.internal\x00\x50",
		"in a keep-alive":      "GET http://nowhere.internal/ HTTP/1.1\r\nHost: nowhere.internal\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			near, far := tcpPair(t)
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan struct{})
			go func() {
				defer close(over)
				_ = front.New(front.Options{Through: hanging{hung}}).Serve(ctx, far)
			}()
			_, _ = io.WriteString(near, begin)
			time.Sleep(20 * time.Millisecond) // it is to be in the middle of it
			cancel()
			within(t, over, "Serve does not return")
			if _, err := io.Copy(io.Discard, near); errors.Is(err, context.DeadlineExceeded) {
				t.Error("the client is still connected")
			}
		})
	}
}

// hanging is a Dialer that gets no answer from hung.internal.
type hanging struct{ *places }

func (h hanging) Dial(ctx context.Context, host string, port uint16) (net.Conn, error) {
	if host == "hung.internal" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.places.Dial(ctx, host, port)
}

// soon is when what should have happened long before has not happened.
func (w *world) soon() time.Time { return time.Now().Add(5 * time.Second) }
