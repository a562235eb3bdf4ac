package tunnel_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"culvert/internal/need"
	"culvert/tunnel"
)

// What real clients send first is recognised: HTTP/2 without TLS, gRPC on it, LDAP.
func TestRealClientsAreRecognised(t *testing.T) {
	curl := need.Command(t, "curl")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	w := newWorld(t, strings.TrimPrefix(server.URL, "http://"), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	at := tn.Addr().String()
	ended := func(protocol tunnel.Protocol, host string) {
		t.Helper()
		if got := w.events.ended(t); got.Protocol != protocol || got.Host != host {
			t.Errorf("got %s %q, want %s %q", got.Protocol, got.Host, protocol, host)
		}
	}
	if out, err := exec.CommandContext(t.Context(), curl, "-sS", "--noproxy", "*", "--http2-prior-knowledge", "http://"+at+"/").CombinedOutput(); err != nil {
		t.Fatalf("curl: %v: %s", err, out)
	}
	ended(tunnel.ProtocolH2C, at)

	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+at+"/shop.Orders/List", strings.NewReader("\x00\x00\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Host = "orders.internal:50051"
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	server.CloseClientConnections()
	ended(tunnel.ProtocolGRPC, "orders.internal:50051")
}

// A directory that hangs up on its client has been recognised all the same.
func TestARealLDAPClientIsRecognised(t *testing.T) {
	curl := need.Command(t, "curl")
	w := newWorld(t, need.Server(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 100))
		_ = c.Close()
	}), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	_ = exec.CommandContext(t.Context(), curl, "-s", "--max-time", "20", "ldap://"+tn.Addr().String()+"/dc=example").Run() // it gets no answer
	if got := w.events.ended(t); got.Protocol != tunnel.ProtocolLDAP {
		t.Errorf("got %s with %d bytes, want ldap", got.Protocol, got.Sent)
	}
}

// An alert is told behind a proxy as well: the server's, which knows no version of TLS that the client does.
func TestAnAlertBehindRealSquidIsTold(t *testing.T) {
	f := newFar(t, nil)
	modern := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }))
	modern.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	modern.Config.ErrorLog = log.New(io.Discard, "", 0)
	modern.StartTLS()
	t.Cleanup(modern.Close)
	url := "https://orders.internal:" + portOf(t, modern.URL) + "/"
	if _, err := f.get(t.Context(), "-k", "--tls-max", "1.2", url); err == nil {
		t.Fatal("there is no alert to be told")
	}
	got := f.events.ended(t)
	var refusal *tunnel.AnswerError
	if !errors.As(got.Err, &refusal) || got.Err.Error() != "alert 70 of the server: protocol version not supported" || got.Status != 200 || got.Refused != 1 || got.Protocol != tunnel.ProtocolHTTPConnect {
		t.Errorf("got %+v", got)
	}
	if out := f.mustGet("-k", url); string(out) != "x" {
		t.Errorf("got %q", out)
	}
	if got := f.events.ended(t); got.Err != nil || got.Refused != 0 {
		t.Errorf("what is well ended with %v", got.Err)
	}
}

// A client that was refused often leaves by a reset, as it does not read what the proxy says at length: the refusal is why.
func TestAClientThatResetsWhenRefusedWasRefused(t *testing.T) {
	w := newWorld(t, need.Server(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 200))
		_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Length: 9999\r\n\r\nhello")
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	c, err := net.Dial("tcp", tn.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "CONNECT blocked.internal:443 HTTP/1.1\r\nHost: blocked.internal:443\r\n\r\n")
	if _, err := c.Read(make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	got := w.events.ended(t)
	if got.Err == nil || got.Err.Error() != "403 ERR_ACCESS_DENIED" || got.Refused != 1 {
		t.Errorf("got %v and %d refusals, want the proxy's", got.Err, got.Refused)
	}
}
