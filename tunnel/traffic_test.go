package tunnel

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
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

// h2Settings is an empty SETTINGS frame.
const h2Settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// h2Request is the first request of HTTP/2, by what AWS's and Google's clients pack heads with. flags are those of its HEADERS
// frame, h2Continuation cuts it in two.
func h2Request(flags byte, fields ...string) string {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for field := range slices.Chunk(fields, 2) {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	frame := func(kind, flags byte, body string) string {
		return string([]byte{byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), kind, flags, 0, 0, 0, 1}) + body
	}
	switch body := block.String(); flags {
	case h2Continuation:
		return frame(h2Headers, 0, body[:3]) + frame(h2Continuation, h2EndHeaders, body[3:])
	case h2Padded | h2Priority:
		return frame(h2Headers, h2EndHeaders|flags, "\x04\x00\x00\x00\x00\x10"+body+"\x00\x00\x00\x00")
	default:
		return frame(h2Headers, h2EndHeaders|flags, body)
	}
}

func TestConnectionsAreNamedByTheirFirstBytes(t *testing.T) {
	hello := clientHello(t, "billing.internal")
	for _, c := range []struct {
		up, down string
		protocol Protocol
		host     string
		whole    Protocol // where more is known of what comes in one piece
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
		// librdkafka, ApiVersions v3 with the client's name and version.
		{up: "\x00\x00\x00\x1f\x00\x12\x00\x03\x00\x00\x00\x01\x00\x07rdkafka\x00\x0alibrdkafka\x062.3.0\x00", protocol: ProtocolKafka},
		{up: "\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x07\xff\xff", protocol: ProtocolKafka}, // without a name
		{up: "\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x07\x00\xff", protocol: ProtocolUnknown},
		// [MS-RDPBCGR] 4.1.1, and the same without a cookie.
		{up: "\x03\x00\x00\x2c\x27\xe0\x00\x00\x00\x00\x00Cookie: mstshash=eltons\r\n\x01\x00\x08\x00\x00\x00\x00\x00", protocol: ProtocolRDP},
		{up: "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00", protocol: ProtocolUnknown, whole: ProtocolRDP},
		{up: "\x03\x00\x00\x16\x11\xe0\x00\x00\x00\x01\x00\xc1\x02\x01\x00\xc2\x02\x01\x02\xc0\x01\x0a", protocol: ProtocolUnknown}, // S7comm
		// RFC 4511: an anonymous bind, one as Active Directory's clients write lengths, StartTLS, a search.
		{up: "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", protocol: ProtocolLDAP},
		{up: "\x30\x84\x00\x00\x00\x10\x02\x01\x01\x60\x84\x00\x00\x00\x07\x02\x01\x03\x04\x00\x80\x00", protocol: ProtocolUnknown, whole: ProtocolLDAP},
		{up: "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037", protocol: ProtocolLDAP},
		{up: "\x30\x25\x02\x01\x01\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x00", protocol: ProtocolLDAP},
		{up: "\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x04\x01\x02\x03\x04\x02\x01\x00\x02\x01\x00", protocol: ProtocolUnknown}, // SNMP
		{up: preface + h2Settings + h2Request(0, ":authority", "orders.internal:50051", "content-type", "application/grpc+proto"), protocol: ProtocolGRPC, host: "orders.internal:50051"},
		{up: preface + h2Request(h2Padded|h2Priority, ":authority", "a", "content-type", "application/json"), protocol: ProtocolH2C, host: "a"},
		{up: preface + h2Request(h2Continuation, ":authority", "a", "content-type", "application/grpc"), protocol: ProtocolGRPC, host: "a"},
		{up: preface + h2Request(0, ":authority", strings.Repeat("x", 2*maxLine), "content-type", "application/grpc"), protocol: ProtocolH2C},
		{up: preface + h2Request(0, "a", strings.Repeat("x", 8000), "b", strings.Repeat("y", 8000), ":authority", "c"), protocol: ProtocolH2C},
		{up: preface + h2Settings + "\x00\x00\x01\x01\x04\x00\x00\x00\x01\xff", protocol: ProtocolH2C},
		{up: preface + strings.Repeat(h2Settings, maxH2Frames+1) + h2Request(0, ":authority", "late"), protocol: ProtocolH2C},
		{up: preface + h2Settings + "\x00\x00\x02\x01\x0c\x00\x00\x00\x01\xff\x82", protocol: ProtocolH2C}, // more padding than there is
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
			want := c.protocol
			if step > 1 {
				want = cmp.Or(c.whole, want)
			}
			if protocol, host := got.Protocol, got.Host; protocol != want || host != c.host {
				t.Errorf("%.40q %.20q in steps of %d: got %s %q, want %s %q", c.up, c.down, step, protocol, host, want, c.host)
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
	f.Add([]byte("CONNECT a:1 HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 x\r\n\r\n\x15\x03\x03\x00\x02\x02\x46"))
	f.Add([]byte(preface+h2Settings+h2Request(h2Continuation, ":authority", "a", "content-type", "application/grpc")), []byte(h2Settings))
	f.Add([]byte("\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x07\xff\xff"), []byte{})
	f.Add([]byte("\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00"), []byte{})
	f.Add([]byte("\x30\x84\x00\x00\x00\x10\x02\x01\x01\x60\x84\x00\x00\x00\x07\x02\x01\x03\x04\x00\x80\x00"), []byte{})
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
