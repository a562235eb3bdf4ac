package emulator

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// throughProxy is a client whose only way is the demo's proxy, as reached through a container's port.
func throughProxy(t *testing.T, e *Emulator) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(e.CACertificate()) {
		t.Fatal("the CA's certificate is not PEM")
	}
	proxy := &url.URL{Scheme: "http", Host: e.vpc.servers[Proxy]}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// fetched is an answer whose body was read.
type fetched struct {
	status int
	header http.Header
	tls    *tls.ConnectionState
}

func fetch(t *testing.T, client *http.Client, method, target string, body io.Reader) (fetched, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fetched{status: resp.StatusCode, header: resp.Header, tls: resp.TLS}, string(text)
}

func TestPrivateHostsAreReachedThroughTheProxyOnly(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	client := throughProxy(t, e)
	if _, page := fetch(t, client, http.MethodGet, "http://orders.internal/", nil); !strings.Contains(page, "<h1>Orders</h1>") {
		t.Errorf("orders page = %q", page)
	}
	var orders []order
	if _, text := fetch(t, client, http.MethodGet, "http://orders.internal/orders", nil); json.Unmarshal([]byte(text), &orders) != nil || len(orders) < 3 {
		t.Errorf("orders = %q", text)
	}
	if resp, text := fetch(t, client, http.MethodPost, "http://orders.internal/orders", strings.NewReader(`{"item":"grate"}`)); resp.status != http.StatusCreated || !strings.Contains(text, "grate") {
		t.Errorf("new order: %d %s", resp.status, text)
	}
	resp, text := fetch(t, client, http.MethodGet, "https://billing.internal/invoices", nil)
	if resp.tls == nil || resp.tls.PeerCertificates[0].Subject.CommonName != "billing.internal" || !strings.Contains(text, "B-2207") {
		t.Errorf("billing = %q", text)
	}
	if _, err := net.DefaultResolver.LookupHost(t.Context(), "orders.internal"); err == nil {
		t.Error("orders.internal resolves outside of the private network")
	}
}

func TestProxyRefusesInTheWordsOfSquid(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	client := throughProxy(t, e)
	for _, c := range []struct {
		target, code string
		status       int
	}{
		{"http://blocked.internal/", "ERR_ACCESS_DENIED 0", 403},
		{"http://169.254.170.2/v2/credentials/x", "ERR_ACCESS_DENIED 0", 403},
		{"http://nowhere.internal/", "ERR_DNS_FAIL 0", 503},
		{"http://orders.internal:81/", "ERR_CONNECT_FAIL 111", 503},
	} {
		resp, text := fetch(t, client, http.MethodGet, c.target, nil)
		if resp.status != c.status || resp.header.Get("X-Squid-Error") != c.code || resp.header.Get("Server") != "squid/5.7" || !strings.Contains(text, "ERROR") {
			t.Errorf("GET %s = %d %v", c.target, resp.status, resp.header)
		}
	}
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                                       "400 ERR_INVALID_URL 0",
		"CONNECT blocked.internal:443 HTTP/1.1\r\nHost: blocked.internal\r\n\r\n": "403 ERR_ACCESS_DENIED 0",
		"CONNECT nowhere.internal:443 HTTP/1.1\r\nHost: nowhere.internal\r\n\r\n": "503 ERR_DNS_FAIL 0",
		"CONNECT orders.internal:444 HTTP/1.1\r\nHost: orders.internal\r\n\r\n":   "503 ERR_CONNECT_FAIL 111",
		"CONNECT 192.0.2.7:443 HTTP/1.1\r\nHost: 192.0.2.7\r\n\r\n":               "503 ERR_CONNECT_FAIL 113",
		"CONNECT billing.internal:443 HTTP/1.1\r\nHost: billing.internal\r\n\r\n": "200 ",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", e.vpc.servers[Proxy])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		if got := resp.Status[:3] + " " + resp.Header.Get("X-Squid-Error"); got != want {
			t.Errorf("%q = %q, want %q", request, got, want)
		}
		_ = resp.Body.Close()
		_ = conn.Close()
	}
}

func TestBytesPassTheProxyUnchanged(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	client := throughProxy(t, e)
	_, data := fetch(t, client, http.MethodGet, "http://orders.internal/export?bytes=3000001", nil)
	if len(data) != 3000001 {
		t.Fatalf("export = %d bytes, want 3000001", len(data))
	}
	sum := sha256.Sum256([]byte(data))
	if _, text := fetch(t, client, http.MethodPost, "http://orders.internal/import", strings.NewReader(data)); !strings.Contains(text, hex.EncodeToString(sum[:])) {
		t.Errorf("import = %s, want the sum %x", text, sum)
	}
}

func TestCloseLeavesNoTunnelBehind(t *testing.T) {
	e := open(t, Options{Fleet: Demo()})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", e.vpc.servers[Proxy])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "CONNECT orders-db.internal:5432 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	e.Close()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, in); errors.Is(err, io.ErrNoProgress) || isTimeout(err) {
		t.Errorf("the tunnel is still open: %v", err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestPrivateNamesResolveInsideOnly(t *testing.T) {
	e := open(t, Options{Fleet: Fleet{VPC: true, Hosts: map[string]string{"db.internal": "127.0.0.1:5999", "cache.internal:6379": "127.0.0.1:6999"}}})
	for _, c := range []struct {
		host string
		port uint16
		want string
	}{
		{"db.internal", 5432, "127.0.0.1:5999"},
		{"DB.internal.", 1, "127.0.0.1:5999"},
		{"cache.internal", 6379, "127.0.0.1:6999"},
		{"cache.internal", 6380, closedAddress},
		{"127.0.0.1", 80, "127.0.0.1:80"},
		{"::1", 80, "[::1]:80"},
		{"localhost", 80, "127.0.0.1:80"},
		{"billing.internal", 443, e.vpc.servers[Billing]},
		{"::ffff:169.254.170.2", 80, e.vpc.servers[TaskRole]},
	} {
		if got, err := e.resolve(c.host, c.port); got != c.want || err != nil {
			t.Errorf("resolve %s:%d = %q, %v, want %q", c.host, c.port, got, err, c.want)
		}
	}
	_, err := e.resolve("nowhere.internal", 80)
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsNotFound {
		t.Errorf("resolve an unknown name: %v, want not found", err)
	}
	if _, err := e.resolve("10.0.3.7", 80); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("an address that nobody has: %v, want no way to it", err)
	}
}

func TestMovedHostsResolveToTheirNewAddress(t *testing.T) {
	e := open(t, Options{Fleet: Fleet{Hosts: map[string]string{"db.internal": "127.0.0.1:5999"}}})
	if err := e.MoveHost("db.internal", "127.0.0.1:6999"); err != nil {
		t.Fatal(err)
	}
	if got, err := e.resolve("db.internal", 5432); got != "127.0.0.1:6999" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := e.MoveHost("role.internal", "169.254.170.2"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.resolve("role.internal", 80); !errors.Is(err, syscall.EHOSTUNREACH) { // without the demo's network nobody has it
		t.Errorf("an address that nobody has, by a name: %v, want no way to it", err)
	}
	if err := e.MoveHost("db.internal", "10.0.0.9:5432"); err == nil {
		t.Error("an address outside the machine is taken")
	}
}
