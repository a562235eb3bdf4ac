package tunnel

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/say"
)

// sniffLimit is how many first bytes of a direction are looked at. They are dropped as soon as the verdict is in.
const sniffLimit = 4 << 10

// sniffer tells what a connection is from its first bytes each way. It keeps a protocol and a host, nothing else.
type sniffer struct {
	decided  atomic.Bool // all that a connection costs from then on is to read this
	mu       sync.Mutex
	first    []byte // from the local side, until the verdict
	answered bool
	protocol Protocol
	host     string
}

func (s *sniffer) verdict() (Protocol, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.protocol == "" {
		return ProtocolUnknown, ""
	}
	return s.protocol, s.host
}

// up looks at bytes from the local side.
func (s *sniffer) up(p []byte) {
	if s.decided.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.decided.Load() {
		return
	}
	s.first = append(s.first, p[:min(len(p), sniffLimit-len(s.first))]...)
	var sure bool
	if s.protocol, s.host, sure = identify(s.first); sure || len(s.first) >= sniffLimit {
		s.settle()
	}
}

// down looks at bytes from the far side: some protocols let the server speak first.
func (s *sniffer) down(p []byte) {
	if s.decided.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.decided.Load() {
		return
	}
	if !s.answered && len(s.first) == 0 {
		switch {
		case bytes.HasPrefix(p, []byte("SSH-")):
			s.protocol = ProtocolSSH
		case len(p) > 5 && p[3] == 0 && p[4] == 10 && int(p[0])|int(p[1])<<8|int(p[2])<<16 >= 20:
			s.protocol = ProtocolMySQL // a packet numbered 0 with protocol version 10: the server's greeting
		}
	}
	s.answered = true
	if len(s.first) > 0 || s.protocol != "" {
		s.settle() // whoever was asked has understood
	}
}

func (s *sniffer) settle() {
	s.first = nil
	s.decided.Store(true)
}

// identify reads the first bytes a client sends; sure says that more bytes would change nothing.
func identify(b []byte) (_ Protocol, host string, sure bool) {
	switch {
	case len(b) >= 3 && b[0] == 22 && b[1] == 3:
		name, sure := serverName(b)
		return ProtocolTLS, name, sure
	case bytes.HasPrefix(b, []byte("SSH-")):
		return ProtocolSSH, "", true
	case len(b) >= 8 && isPostgres(b):
		return ProtocolPostgres, "", true
	case isRedis(b):
		return ProtocolRedis, "", true
	}
	return identifyHTTP(b)
}

func isPostgres(b []byte) bool {
	length, code := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	const sslRequest, gssRequest, version3 = 80877103, 80877104, 196608
	return length == 8 && (code == sslRequest || code == gssRequest) || length >= 8 && length < 10_000 && code == version3
}

func isRedis(b []byte) bool {
	if bytes.HasPrefix(b, []byte("PING\r\n")) {
		return true
	}
	// An array of bulk strings: *1\r\n$4\r\n…
	if len(b) < 5 || b[0] != '*' || b[1] < '1' || b[1] > '9' {
		return false
	}
	line, rest, ok := bytes.Cut(b[1:], []byte("\r\n"))
	return ok && len(line) <= 4 && bytes.HasPrefix(rest, []byte("$"))
}

func identifyHTTP(b []byte) (Protocol, string, bool) {
	line, rest, whole := bytes.Cut(b, []byte("\r\n"))
	words := strings.Split(string(line), " ")
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/1.") || !isMethod(words[0]) {
		return "", "", len(b) > 16 && (whole || !bytes.Contains(b, []byte(" ")))
	}
	if words[0] == "CONNECT" {
		return ProtocolHTTPConnect, clean(words[1]), true
	}
	if target, err := url.Parse(words[1]); err == nil && target.Host != "" {
		return ProtocolHTTP, clean(target.Host), true
	}
	for {
		line, rest, whole = bytes.Cut(rest, []byte("\r\n"))
		if !whole || len(line) == 0 {
			return ProtocolHTTP, "", whole
		}
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.EqualFold(name, "host") {
			return ProtocolHTTP, clean(strings.TrimSpace(value)), true
		}
	}
}

func isMethod(s string) bool {
	if s == "" || len(s) > 16 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return (r < 'A' || r > 'Z') && r != '-' }) < 0
}

// clean bounds a host that a client sent and keeps it printable.
func clean(host string) string {
	if len(host) > 255 {
		host = host[:255]
	}
	return say.Brief(strings.ToValidUTF8(host, "?"))
}

var errNamed = errors.New("server name is known")

// serverName lets crypto/tls read a ClientHello; sure is false while it is incomplete.
func serverName(b []byte) (name string, sure bool) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		name, sure = clean(hello.ServerName), true
		return nil, errNamed
	}}
	err := tls.Server(helloConn{bytes.NewReader(b)}, config).Handshake() //nolint:noctx // it reads from memory
	return name, sure || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF)
}

// helloConn is a connection on which a client has sent some bytes and nothing is ever answered.
type helloConn struct{ io.Reader }

func (helloConn) Write(p []byte) (int, error)      { return len(p), nil }
func (helloConn) Close() error                     { return nil }
func (helloConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (helloConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (helloConn) SetDeadline(time.Time) error      { return nil }
func (helloConn) SetReadDeadline(time.Time) error  { return nil }
func (helloConn) SetWriteDeadline(time.Time) error { return nil }
