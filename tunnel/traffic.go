package tunnel

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"culvert/internal/say"
)

// identify recognizes the protocol, and the host where the protocol names one, from the first bytes that a client sends. sure
// says that more bytes would change nothing; the protocol is empty then if it is none of those that are told apart.
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
	case bytes.HasPrefix(b, []byte("AMQP")):
		return ProtocolAMQP, "", true
	case len(b) >= 16 && isMongo(b):
		return ProtocolMongoDB, "", true
	case len(b) >= 8 && isMSSQL(b):
		return ProtocolMSSQL, "", true
	case len(b) >= 14 && isKafka(b):
		return ProtocolKafka, "", true
	case len(b) >= 11 && isRDP(b):
		return ProtocolRDP, "", true
	case isLDAP(b):
		return ProtocolLDAP, "", true
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

// identifyServer recognizes the protocol from the first bytes of a server that speaks first; empty while it does not.
func identifyServer(b []byte) Protocol {
	switch {
	case bytes.HasPrefix(b, []byte("SSH-")):
		return ProtocolSSH
	case bytes.HasPrefix(b, []byte("220")) && bytes.Contains(b, []byte("SMTP")):
		return ProtocolSMTP
	case len(b) > 5 && b[3] == 0 && (b[4] == 10 || b[4] == 0xff) && int(b[0])|int(b[1])<<8|int(b[2])<<16 >= 5:
		return ProtocolMySQL // a packet numbered 0: a greeting of protocol version 10, or the refusal of this client
	}
	return ""
}

// isMongo reports whether b is a MongoDB message that answers no other one, with an opcode with which clients begin (OP_QUERY,
// OP_MSG).
func isMongo(b []byte) bool {
	length, answers, code := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	return length > 16 && length < 1<<20 && answers == 0 && (code == 2004 || code == 2013)
}

// isMSSQL reports whether b begins with a PRELOGIN packet of TDS.
func isMSSQL(b []byte) bool {
	length := int(binary.BigEndian.Uint16(b[2:]))
	return b[0] == 0x12 && b[1] <= 1 && length > 8 && length <= 4096 && b[4] == 0 && b[5] == 0
}

// isKafka reports whether b begins with ApiVersions, the request with which Kafka clients begin since 0.10; its head has a
// correlation id and the client's name (kafka.apache.org/protocol, "Request Header v1", API key 18).
func isKafka(b []byte) bool {
	length, version := binary.BigEndian.Uint32(b), binary.BigEndian.Uint16(b[6:])
	name := int16(binary.BigEndian.Uint16(b[12:])) //nolint:gosec // the length of the name; -1 is no name
	return length >= 10 && length < 1<<16 && binary.BigEndian.Uint16(b[4:]) == 18 && version < 16 && name >= -1 && int(name) <= int(length)-10
}

// isRDP reports whether b begins with a connection request of X.224 in a TPKT, with a cookie or a negotiation behind its fixed
// part ([MS-RDPBCGR] 2.2.1.1). Without one of these it may be another protocol on top of X.224.
func isRDP(b []byte) bool {
	length := int(binary.BigEndian.Uint16(b[2:]))
	if b[0] != 3 || b[1] != 0 || length < 11 || int(b[4]) != length-5 || b[5] != 0xe0 || b[6] != 0 || b[7] != 0 || b[10] != 0 {
		return false
	}
	rest := b[11:min(len(b), length)]
	negotiation := len(rest) == 8 && rest[0] == 1 && rest[2] == 8 && rest[3] == 0
	cookie := []byte("Cookie: ")
	return negotiation || len(rest) >= 3 && bytes.HasPrefix(rest, cookie[:min(len(rest), len(cookie))])
}

// isLDAP reports whether b begins with an LDAP message in BER whose number is positive and which is a bind, a search or an
// extended request such as StartTLS (RFC 4511, 4.1.1, 4.2, 4.5 and 4.12).
func isLDAP(b []byte) bool {
	b, ok := bytes.CutPrefix(b, []byte{0x30})
	if !ok || len(b) < 1 {
		return false
	}
	if long := int(b[0]) - 0x80; long > 0 { // a long length: so many bytes of it follow
		b = b[min(long, len(b)-1):]
	}
	b = b[1:]
	if len(b) < 2 || b[0] != 2 || b[1] < 1 || b[1] > 4 || len(b) < 4+int(b[1]) || b[2] > 0x7f {
		return false
	}
	b = b[2+int(b[1]):]
	switch b[0] {
	case 0x60: // a bind, which has the version 2 or 3 in its first bytes
		return bytes.Contains(b[:min(len(b), 9)], []byte{2, 1, 3}) || bytes.Contains(b[:min(len(b), 9)], []byte{2, 1, 2})
	case 0x63, 0x77:
		return true
	}
	return false
}

func identifyHTTP(b []byte) (Protocol, string, bool) {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if !whole {
		method, _, spaced := bytes.Cut(b, []byte(" "))
		return "", "", len(b) > 16 && (!spaced || !isMethod(string(method)))
	}
	if bytes.HasPrefix(b, []byte(preface[:len("PRI * HTTP/2.0\r\n")])) {
		return ProtocolH2C, "", true
	}
	host, r, ok := requestLine(strings.TrimRight(string(line), "\r"))
	switch {
	case !ok:
		return "", "", len(b) > 16
	case r.connect:
		return ProtocolHTTPConnect, host, true
	}
	return ProtocolHTTP, host, true
}

func isMethod(s string) bool {
	if s == "" || len(s) > 16 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return (r < 'A' || r > 'Z') && r != '-' }) < 0
}

// clean makes a text that a client or server has sent short enough and printable.
func clean(host string) string {
	if len(host) > 255 {
		host = host[:255]
	}
	return say.Brief(strings.ToValidUTF8(host, "?"))
}

var errNamed = errors.New("server name is known")

// serverName reads the server name from a ClientHello, by crypto/tls; sure is false while the ClientHello is incomplete.
func serverName(b []byte) (name string, sure bool) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		name, sure = clean(hello.ServerName), true
		return nil, errNamed
	}}
	err := tls.Server(helloConn{bytes.NewReader(b)}, config).Handshake() //nolint:noctx // it reads from memory
	return name, sure || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF)
}

// helloConn is a connection on which a client has sent some bytes; what is written to it is dropped.
type helloConn struct{ io.Reader }

func (helloConn) Write(p []byte) (int, error)      { return len(p), nil }
func (helloConn) Close() error                     { return nil }
func (helloConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (helloConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (helloConn) SetDeadline(time.Time) error      { return nil }
func (helloConn) SetReadDeadline(time.Time) error  { return nil }
func (helloConn) SetWriteDeadline(time.Time) error { return nil }
