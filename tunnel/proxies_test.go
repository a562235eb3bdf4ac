package tunnel_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/internal/say"
	"culvert/tunnel"
)

// gate is a proxy of one kind that alone knows where aws.test is. It wants user and password where they are given.
type gate struct {
	address, user, password string
	certificate             []byte // PEM, of one that speaks TLS

	mu    sync.Mutex
	asked []string
}

func (g *gate) note(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, address)
}

func (g *gate) hosts() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(g.asked)))
}

// newGate starts a proxy: http, https or socks.
func newGate(t *testing.T, kind, user, password, to string) *gate {
	t.Helper()
	g := &gate{user: user, password: password}
	if kind == "socks" {
		g.address = need.Server(t, func(conn *net.TCPConn) { g.socks(conn, to) })
		return g
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, to) }))
	if kind == "https" {
		server.StartTLS()
		g.certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	g.address = server.Listener.Addr().String()
	return g
}

func (g *gate) serve(w http.ResponseWriter, r *http.Request, to string) {
	g.mu.Lock()
	user, password := g.user, g.password
	g.mu.Unlock()
	want := ""
	if user != "" {
		want = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	if r.Header.Get("Proxy-Authorization") != want {
		w.Header().Set("Proxy-Authenticate", `Basic realm="corp"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	g.note(r.Method + " " + r.Host)
	back, err := net.Dial("tcp", to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer back.Close()
	if r.Method != http.MethodConnect {
		r.Header.Del("Proxy-Authorization")
		r.Close = true
		_ = r.Write(back)
	}
	front, _, err := http.NewResponseController(w).Hijack() // the client waits for our answer: nothing is in the buffer
	if err != nil {
		return
	}
	defer front.Close()
	if r.Method != http.MethodConnect {
		_, _ = io.Copy(front, back)
		return
	}
	_, _ = io.WriteString(front, "HTTP/1.1 200 OK\r\n\r\n")
	join(front, back)
}

// join copies both ways until one side ends.
func join(front, back net.Conn) {
	done := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(back, front); done <- struct{}{} }()
	go func() { _, _ = io.Copy(front, back); done <- struct{}{} }()
	<-done
	_, _ = front.Close(), back.Close()
	<-done
}

// socks is RFC 1928 with the login of RFC 1929.
func (g *gate) socks(conn net.Conn, to string) {
	defer conn.Close()
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(conn, methods); err != nil {
		return
	}
	method := byte(0)
	if g.user != "" {
		method = 2
	}
	if !bytes.Contains(methods, []byte{method}) {
		_, _ = conn.Write([]byte{5, 0xff})
		return
	}
	_, _ = conn.Write([]byte{5, method})
	if method == 2 {
		text := func() string {
			length := make([]byte, 1)
			_, _ = io.ReadFull(conn, length)
			text := make([]byte, length[0])
			_, _ = io.ReadFull(conn, text)
			return string(text)
		}
		_, _ = io.ReadFull(conn, make([]byte, 1))
		if text() != g.user || text() != g.password {
			_, _ = conn.Write([]byte{1, 1})
			return
		}
		_, _ = conn.Write([]byte{1, 0})
	}
	request := make([]byte, 5)
	if _, err := io.ReadFull(conn, request); err != nil || request[3] != 3 {
		return // only names
	}
	name := make([]byte, int(request[4])+2)
	if _, err := io.ReadFull(conn, name); err != nil {
		return
	}
	g.note("SOCKS " + net.JoinHostPort(string(name[:request[4]]), strconv.Itoa(int(binary.BigEndian.Uint16(name[request[4]:])))))
	back, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer back.Close()
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	join(conn, back)
}

// Every proxy that the API goes through takes the websocket as well.
func TestWebsocketGoesThroughEveryProxyThatTheAPIDoes(t *testing.T) {
	const user, password = `CORP\ines`, "p@ss:w/rd%"
	const login = "CORP%5Cines:p%40ss%3Aw%2Frd%25@"
	for name, test := range map[string]struct {
		kind, form     string // %s is the proxy's address
		user, password string
	}{
		"http":                    {"http", "http://%s", "", ""},
		"http with a login":       {"http", "http://" + login + "%s", user, password},
		"a name alone":            {"http", "http://ines@%s", "ines", ""},
		"without a scheme":        {"http", "%s", "", ""},
		"a login without scheme":  {"http", login + "%s", user, password},
		"https":                   {"https", "https://%s", "", ""},
		"https with a login":      {"https", "https://" + login + "%s", user, password},
		"socks5":                  {"socks", "socks5://%s", "", ""},
		"socks5h":                 {"socks", "socks5h://%s", "", ""},
		"socks5 with a login":     {"socks", "socks5://" + login + "%s", user, password},
		"SOCKS5H, capital, login": {"socks", "SOCKS5H://" + login + "%s", user, password},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.StreamHost = "aws.test" })
			g := newGate(t, test.kind, test.user, test.password, strings.TrimPrefix(w.account.URL(), "http://"))
			client, err := through(t, w, g, strings.ReplaceAll(test.form, "%s", g.address), "http://aws.test")
			if err != nil {
				t.Fatal(err)
			}
			w.use(client)
			tn := w.open(tunnel.Spec{})
			conn := w.dial(tn)
			mustExchange(t, conn, random(100_000, 1))
			w.account.CutClientLeg() // and the second websocket
			mustExchange(t, conn, random(1000, 2))
			websocket := "CONNECT aws.test:80"
			if test.kind == "socks" {
				websocket = "SOCKS aws.test:80"
			}
			if got := g.hosts(); !slices.Contains(got, websocket) {
				t.Errorf("the proxy was asked for %q, want %q", got, websocket)
			}
		})
	}
}

// through connects with a proxy in the environment, for http:// addresses.
func through(t *testing.T, w *world, g *gate, proxy, endpoint string) (*aws.Client, error) {
	t.Helper()
	key, secret := w.account.Credentials()
	for name, value := range map[string]string{
		"HTTP_PROXY": proxy, "NO_PROXY": "", "http_proxy": "", "no_proxy": "", "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
	if g != nil && g.certificate != nil {
		bundle := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(bundle, g.certificate, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_CA_BUNDLE", bundle)
	}
	return aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: endpoint})
}

// What time does not mend about the way to the websocket ends a tunnel that never was open, at once and with the cause:
// the API, on loopback here, goes past the proxy.
func TestProxyThatBarsTheWebsocketEndsTheTunnelAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		kind, form     string
		user           string
		trusted        bool
		says, remedies []string
	}{
		"407 without a user":      {"http", "http://%s", "ines", true, []string{"407"}, []string{"http://USER:PASSWORD@", "percent-encoded"}},
		"407 with another user":   {"http", "http://ines:wrong-secret@%s", "ines", true, []string{"407"}, []string{"correct the user and password", "percent-encoded"}},
		"407 of https":            {"https", "https://%s", "ines", true, []string{"407"}, []string{"https://USER:PASSWORD@"}},
		"SOCKS without a user":    {"socks", "socks5://%s", "ines", true, []string{"authentication"}, []string{"socks5://USER:PASSWORD@"}},
		"SOCKS with another user": {"socks", "socks5h://ines:wrong-secret@%s", "ines", true, []string{"authentication failed"}, []string{"correct the user and password"}},
		"a proxy that is unknown": {"https", "https://%s", "", false, []string{"certificate"}, []string{"AWS_CA_BUNDLE"}},
		"https to a plain proxy":  {"http", "https://%s", "", true, []string{"TLS"}, []string{"write HTTPS_PROXY as http://"}},
		"a scheme of curl's":      {"http", "socks4a://%s", "", true, []string{"socks4a:// is no proxy that culvert speaks to"}, []string{"socks5h://"}},
		"no proxy's scheme":       {"http", "ftp://%s", "", true, []string{"ftp:// is no proxy"}, []string{"https://"}},
		"a raw percent":           {"http", "http://ines:wrong%zz@%s", "", true, []string{"no URL"}, []string{"percent-encoded"}},
		"a raw hash":              {"http", "http://ines:wrong#secret@%s", "", true, []string{"no URL"}, []string{"%23"}},
		"a raw slash":             {"http", "http://ines:1/wrong@%s", "", true, []string{"no URL"}, []string{"%2F"}},
		"a raw backslash":         {"http", `http://CORP\ines:wrong-secret@%s`, "", true, []string{"no URL"}, []string{"%5C"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.StreamHost = "stream.test" })
			g := newGate(t, test.kind, test.user, "secret", strings.TrimPrefix(w.account.URL(), "http://"))
			if !test.trusted {
				g.certificate = nil
			}
			client, err := through(t, w, g, strings.ReplaceAll(test.form, "%s", g.address), w.account.URL())
			if err != nil {
				t.Fatal(err)
			}
			w.use(client)
			begun := time.Now()
			failed := w.events.await(t, w.start(tunnel.Spec{}), tunnel.Failed)
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if aws.Temporary(failed.Err) {
				t.Errorf("temporary: %v", failed.Err)
			}
			for _, want := range test.says {
				if !strings.Contains(failed.Err.Error(), want) {
					t.Errorf("got %v, want %q in it", failed.Err, want)
				}
			}
			for _, want := range test.remedies {
				if !strings.Contains(say.Remedy(failed.Err), want) {
					t.Errorf("got the remedy %q, want %q in it", say.Remedy(failed.Err), want)
				}
			}
			if text := failed.Err.Error() + say.Remedy(failed.Err); strings.Contains(text, "wrong") {
				t.Errorf("the password is repeated: %s", text)
			}
		})
	}
}

// An open tunnel may only be in another network for a while: it goes on trying.
func TestProxyThatBarsAnOpenTunnelIsTriedAgain(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.StreamHost = "stream.test" })
	g := newGate(t, "http", "", "", strings.TrimPrefix(w.account.URL(), "http://"))
	client, err := through(t, w, g, "http://"+g.address, w.account.URL())
	if err != nil {
		t.Fatal(err)
	}
	w.use(client)
	tn := w.open(tunnel.Spec{})
	g.mu.Lock()
	g.user = "ines"
	g.mu.Unlock()
	for _, s := range w.account.Sessions() {
		w.account.KillSession(s.ID, "")
	}
	lost := w.events.next(t, "the refusal", func(e tunnel.Event) bool {
		unreachable, ok := errors.AsType[*aws.UnreachableError](e.Err)
		return e.Tunnel == tn.ID() && ok && unreachable.Refused == http.StatusProxyAuthRequired
	})
	if lost.State.Final() {
		t.Errorf("got %v", lost.State)
	}
	g.mu.Lock()
	g.user = ""
	g.mu.Unlock()
	w.events.await(t, tn, tunnel.Open)
}
