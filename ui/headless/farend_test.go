package headless_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/headless"
)

// behindPort is an account with one service behind one of whose ports a server of the test listens.
func behindPort(t *testing.T, port uint16, server string) *aws.Client {
	t.Helper()
	_, client := serviceOf(t, emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{port: server}}}})
	return client
}

// nameless is a proxy that gives no name, for CONNECT alone; an answer of 200 is followed by the connection.
func nameless(t *testing.T, server string) string {
	t.Helper()
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", server)
		if r.Method != http.MethodConnect {
			http.Error(w, "this is a proxy", http.StatusBadRequest)
			return
		}
		if _, err := new(net.Dialer).DialContext(r.Context(), "tcp", r.Host); err != nil {
			http.Error(w, "no such host", http.StatusBadGateway)
			return
		}
		http.Error(w, "not in this test", http.StatusForbidden)
	}))
	t.Cleanup(l.Close)
	return l.Listener.Addr().String()
}

// answering is a web server that says the same to everybody, or another thing to CONNECT.
func answering(t *testing.T, page, connect int) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			w.WriteHeader(connect)
			return
		}
		w.WriteHeader(page)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func alice(t *testing.T) *doctor.Login {
	t.Helper()
	login, err := doctor.NewLogin("alice", "s3cret p@ss/")
	if err != nil {
		t.Fatal(err)
	}
	return login
}

// A proxy is one whatever its port and name, and nothing else is one.
func TestAProxyIsKnownByWhatItDoes(t *testing.T) {
	t.Parallel()
	squid := need.Squid(t, need.SquidConfig{})
	closed := need.Squid(t, need.SquidConfig{Users: map[string]string{"alice": "s3cret p@ss/"}})
	for _, c := range []struct {
		name   string
		port   uint16
		server string
		login  *doctor.Login
		scheme string
		proof  string
		warns  string
	}{
		{"a nameless one", 8887, nameless(t, ""), nil, "http", "http-proxy", ""},
		{"Envoy by its name", 8888, nameless(t, "envoy"), nil, "http", "http-proxy", ""},
		{"gost, at the port of SOCKS", 1080, nameless(t, ""), nil, "http", "http-proxy", ""},
		{"one at a database's port", 5432, nameless(t, ""), nil, "http", "http-proxy", ""},
		{"one at the port of TLS", 443, nameless(t, ""), nil, "http", "http-proxy", ""},
		{"tinyproxy", 8118, need.Tinyproxy(t).String(), nil, "http", "http-proxy", ""},
		{"tinyproxy that wants a login", 9999, need.Tinyproxy(t, "BasicAuth alice secret").String(), nil, "http", "http-proxy", "wants a user and password"},
		{"Squid", 4000, squid.Addr.String(), nil, "http", "http-proxy", ""},
		{"Squid that wants a login", 3129, closed.Addr.String(), nil, "http", "http-proxy", "wants a user and password"},
		{"Squid that gets it", 3129, closed.Addr.String(), alice(t), "http", "http-proxy", ""},
		{"Squid behind HAProxy", 7777, need.HAProxy(t, squid.Addr).String(), nil, "http", "http-proxy", ""},
		{"a SOCKS server", 1080, need.Microsocks(t, "", "").String(), nil, "socks5h", "socks5", ""},
		{"a SOCKS server anywhere", 8080, need.Microsocks(t, "", "").String(), nil, "socks5h", "socks5", ""},
		{"a SOCKS server at the port of TLS", 443, need.Microsocks(t, "", "").String(), nil, "socks5h", "socks5", ""},
		{"a SOCKS server that wants a login", 1081, need.Microsocks(t, "alice", "s3cret p@ss/").String(), nil, "socks5h", "socks5", "wants a user and password"},
		{"a SOCKS server that gets it", 1081, need.Microsocks(t, "alice", "s3cret p@ss/").String(), alice(t), "socks5h", "socks5", ""},

		{"a web server", 8080, answering(t, 404, 404), nil, "", "http", ""},
		{"a web server anywhere", 8887, answering(t, 200, 405), nil, "", "http", ""},
		{"a web server that forbids what it does not know", 8080, answering(t, 200, 403), nil, "", "http", ""},
		{"a web server that lets nobody in", 8080, answering(t, 403, 403), nil, "", "http", ""},
		{"a web server that says yes to everything", 8080, answering(t, 200, 200), nil, "", "http", ""},
		{"a web server before a backend that fails on CONNECT", 8080, answering(t, 302, 502), nil, "", "http", ""},
		{"HAProxy without a backend", 8080, need.HAProxy(t).String(), nil, "", "http", ""},
		{"HAProxy before a web server", 8888, need.HAProxy(t, netip.MustParseAddrPort(answering(t, 404, 404))).String(), nil, "", "http", ""},
		{"an echo", 9000, need.Server(t, need.Echo), nil, "", "tcp", ""},
		{"an echo at the port of SOCKS", 1080, need.Server(t, need.Echo), alice(t), "", "tcp", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := &output{}
			o := options(behindPort(t, c.port, c.server), c.port, out)
			o.Login = c.login
			if err := ready(t, o); err != nil {
				t.Fatal(err)
			}
			got := proxyURL(t, out)
			scheme, _, _ := strings.Cut(got, "://")
			if proof, _, _ := proofOf(t, out); scheme != c.scheme || proof != c.proof {
				t.Errorf("got %q, proved by %s, want %s, proved by %s", got, proof, c.scheme, c.proof)
			}
			if c.scheme != "" && c.login != nil && !strings.Contains(got, "://alice:***@127.0.0.1:") {
				t.Errorf("got %q, want the user without the password", got)
			}
			if warned := strings.Contains(out.String(), `"event":"warning"`); warned != (c.warns != "") || !strings.Contains(out.String(), c.warns) {
				t.Errorf("want a warning of %q in\n%s", c.warns, out)
			}
		})
	}
}

// What takes a stranger's bytes amiss is not sent any, and nobody is asked twice.
func TestNobodyIsHarmedByTheQuestion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		port  uint16
		says  string // before it is asked
		proof string
		bytes bool // it may be asked
	}{
		"SSH at another port":   {2222, "SSH-2.0-OpenSSH_9.2\r\n", "ssh", false},
		"MySQL at another port": {3307, "\x4a\x00\x00\x00\x0a8.0.36\x00" + strings.Repeat("x", 60), "mysql", false},
		"a printer":             {9100, "", "tcp", false},
		"Kafka":                 {9092, "", "tcp", false},
		"a stranger":            {4711, "", "tcp", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got, asked atomic.Int64
			server := need.Server(t, func(conn *net.TCPConn) {
				_, _ = io.WriteString(conn, c.says)
				if n, _ := io.Copy(io.Discard, conn); n > 0 {
					got.Add(n)
					asked.Add(1)
				}
			})
			out := &output{}
			if err := ready(t, options(behindPort(t, c.port, server), c.port, out)); err != nil {
				t.Fatal(err)
			}
			if proof, _, _ := proofOf(t, out); proof != c.proof {
				t.Errorf("proved by %s, want %s", proof, c.proof)
			}
			if (got.Load() > 0) != c.bytes || asked.Load() > 1 {
				t.Errorf("it was sent %d bytes in %d connections, want any: %t", got.Load(), asked.Load(), c.bytes)
			}
		})
	}
}

// A far end that was asked what it is says so for the tasks that come after it.
func TestASuccessorIsNotAskedAgainWhatItIs(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := need.Server(t, func(c *net.TCPConn) {
		if n, _ := io.Copy(io.Discard, c); n > 0 {
			asked.Add(1)
		}
	})
	e, client := serviceOf(t, emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{4711: server}}}})
	out := &output{}
	o := options(client, 4711, out)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	opened := make(chan *tunnel.Tunnel, 1)
	o.Ready = func(all []*tunnel.Tunnel) { opened <- all[0] }
	over := make(chan error, 1)
	go func() { over <- headless.Run(ctx, o) }()
	replace(t, e, <-opened)
	need.Eventually(t, "a proof of the successor", func() bool { return strings.Contains(out.String(), `"event":"proof"`) })
	stop()
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times, want once", n)
	}
}

func TestAProxyThatIsAskedForMustBeOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server string
		login  *doctor.Login
		want   string
	}{
		"a web server":   {answering(t, 200, 405), nil, "is no HTTP proxy: it is HTTP, status 200"},
		"a SOCKS server": {need.Microsocks(t, "", "").String(), nil, "is no HTTP proxy: it is a SOCKS5 proxy"},
		"a wrong login":  {need.Tinyproxy(t, "BasicAuth bob other").String(), alice(t), "does not take the user alice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(behindPort(t, 8080, c.server), 8080, &output{})
			o.Probe.Kind, o.Login, o.Patience = headless.ProbeProxy, c.login, time.Second
			err := ready(t, o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Error("the password is told")
			}
		})
	}
}

// A URL is fetched through whichever proxy is there, as the user who is named.
func TestAURLIsFetchedThroughEveryProxy(t *testing.T) {
	t.Parallel()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(page.Close)
	target, err := url.Parse(page.URL)
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]string{"alice": "s3cret p@ss/"}
	for name, c := range map[string]struct {
		server netip.AddrPort
		scheme string
	}{
		"Squid":     {need.Squid(t, need.SquidConfig{Users: users}).Addr, "http"},
		"SOCKS":     {need.Microsocks(t, "alice", "s3cret p@ss/"), "socks5h"},
		"tinyproxy": {need.Tinyproxy(t), "http"},
	} {
		for _, port := range []uint16{1080, 5000} {
			t.Run(fmt.Sprint(name, port), func(t *testing.T) {
				t.Parallel()
				out := &output{}
				o := options(behindPort(t, port, c.server.String()), port, out)
				o.Probe, o.Login = headless.Probe{Kind: headless.ProbeURL, URL: target}, alice(t)
				if err := ready(t, o); err != nil {
					t.Fatal(err)
				}
				if got := proxyURL(t, out); !strings.HasPrefix(got, c.scheme+"://alice:***@") {
					t.Errorf("got %q, want %s", got, c.scheme)
				}
			})
		}
	}
}

// The password goes to those alone who ask for one.
func TestALoginIsForProxiesThatAskForOne(t *testing.T) {
	t.Parallel()
	var told atomic.Bool
	server := need.Server(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for {
			request, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if request.Header.Get("Proxy-Authorization") != "" {
				told.Store(true)
			}
			_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
		}
	})
	o := options(behindPort(t, 8080, server), 8080, &output{})
	o.Login = alice(t)
	if err := ready(t, o); err != nil {
		t.Fatal(err)
	}
	if told.Load() {
		t.Error("a web server was told the password")
	}
}

// What a server calls itself is a stranger's text: it is shown in one line of bounded length.
func TestAServersNameIsBounded(t *testing.T) {
	t.Parallel()
	server := need.Server(t, func(c *net.TCPConn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 405 No\r\nServer: "+strings.Repeat("x", 9000)+"\r\nContent-Length: 0\r\n\r\n")
		}
	})
	said := &output{}
	o := options(behindPort(t, 8080, server), 8080, &output{})
	o.Err, o.Command = said, &headless.Command{Args: []string{"true"}}
	if err := headless.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got := said.String(); !strings.Contains(got, "8080 answers as http") || len(got) > 1000 {
		t.Errorf("got %d bytes: %.300q", len(got), got)
	}
}
