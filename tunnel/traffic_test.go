package tunnel

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
)

// clientHello is what crypto/tls sends first for a server name.
func clientHello(t testing.TB, name string) string {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		_ = tls.Client(near, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
	}()
	defer near.Close()
	head := make([]byte, 5)
	if _, err := io.ReadFull(far, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(far, body); err != nil {
		t.Fatal(err)
	}
	return string(head) + string(body)
}

func TestConnectionsAreNamedByTheirFirstBytes(t *testing.T) {
	hello := clientHello(t, "billing.internal")
	for _, c := range []struct {
		up, down string
		protocol Protocol
		host     string
	}{
		{up: "CONNECT api.internal:443 HTTP/1.1\r\nHost: other\r\n\r\n", protocol: ProtocolHTTPConnect, host: "api.internal:443"},
		{up: "GET http://orders.internal/x?secret=1 HTTP/1.1\r\n\r\n", protocol: ProtocolHTTP, host: "orders.internal"},
		{up: "POST /x HTTP/1.1\r\nAccept: */*\r\nhost: shop.internal:8080\r\n\r\n", protocol: ProtocolHTTP, host: "shop.internal:8080"},
		{up: "GET / HTTP/1.0\r\n\r\n", protocol: ProtocolHTTP},
		{up: hello, protocol: ProtocolTLS, host: "billing.internal"},
		{up: "SSH-2.0-OpenSSH_9.2\r\n", protocol: ProtocolSSH},
		{down: "SSH-2.0-OpenSSH_9.2\r\n", protocol: ProtocolSSH},
		{up: "\x00\x00\x00\x08\x04\xd2\x16\x2f", protocol: ProtocolPostgres},
		{up: "\x00\x00\x00\x14\x00\x03\x00\x00user\x00me\x00\x00", protocol: ProtocolPostgres},
		{down: "J\x00\x00\x00\x0a8.0.36\x00 and more of a greeting", protocol: ProtocolMySQL},
		{up: "*1\r\n$4\r\nPING\r\n", protocol: ProtocolRedis},
		{up: "PING\r\n", protocol: ProtocolRedis},
		{up: "\x05\x01\x00", protocol: ProtocolUnknown},
		{up: "GET / HTTP/1.1\r\nHost: a\x1b[31m::error::b\r\n\r\n", protocol: ProtocolHTTP, host: `a\x1b[31m::error::b`},
		{up: "CONNECT " + strings.Repeat("x", 3000) + " HTTP/1.1\r\n\r\n", protocol: ProtocolHTTPConnect, host: strings.Repeat("x", 255)},
		{protocol: ProtocolUnknown},
	} {
		for _, step := range []int{len(c.up) + 1, 1} { // at once, and byte by byte
			var s sniffer
			for rest := c.up; len(rest) > 0; {
				n := min(step, len(rest))
				s.up([]byte(rest[:n]))
				rest = rest[n:]
			}
			if c.down != "" {
				s.down([]byte(c.down))
			}
			var got Connection
			s.describe(&got)
			if protocol, host := got.Protocol, got.Host; protocol != c.protocol || host != c.host {
				t.Errorf("%.40q %.20q in steps of %d: got %s %q, want %s %q", c.up, c.down, step, protocol, host, c.protocol, c.host)
			}
			if s.stage.Load() != listening && (s.first != nil || s.greeting != nil) {
				t.Errorf("%.40q: bytes are kept after the verdict", c.up)
			}
		}
	}
}

// The client's answer can be on its way before the write of the server's greeting returns.
func TestAServerThatSpeaksFirstIsKnownBeforeItsClientHearsIt(t *testing.T) {
	const greeting = "J\x00\x00\x00\x0a8.0.36\x00 and more of a greeting"
	var c connection
	for rest, step := []byte(greeting), 1; len(rest) > 0; step++ { // taken in pieces
		n, err := c.hand(rest, func(p []byte) (int, error) {
			c.sniff.up([]byte("\x20\x00\x00\x01\x85"))
			return min(step, len(p)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if got := c.record(); got.Protocol != ProtocolMySQL || got.Received != uint64(len(greeting)) {
		t.Errorf("got %s with %d bytes, want mysql with %d", got.Protocol, got.Received, len(greeting))
	}
}

func FuzzSniffer(f *testing.F) {
	f.Add([]byte(clientHello(f, "a")), []byte{})
	f.Add([]byte("CONNECT a:1 HTTP/1.1\r\n"), []byte("HTTP/1.1 200"))
	f.Add([]byte{}, []byte("J\x00\x00\x00\x0a8.0.36\x00"))
	f.Fuzz(func(t *testing.T, up, down []byte) {
		var s sniffer
		s.up(up)
		s.down(down)
		s.up(up)
		var c Connection
		s.describe(&c)
		if host := c.Host; len(host) > 4*255 || strings.ContainsAny(host, "\r\n\x1b") {
			t.Errorf("host %q", host)
		}
		if len(s.first) > sniffLimit || len(s.greeting) > sniffLimit {
			t.Errorf("keeps %d and %d bytes", len(s.first), len(s.greeting))
		}
	})
}
