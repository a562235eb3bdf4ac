package doctor

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Protocol is the protocol that a far end speaks.
type Protocol int

// The protocols that are told apart.
const (
	Unknown Protocol = iota
	HTTP
	TLS
	SSH
	Mail // SMTP or FTP, which greet alike
	MySQL
	Postgres
	Redis
	MSSQL
	MongoDB
	AMQP
	SOCKS // version 5
)

// known is what is known of a protocol in advance.
type known struct {
	protocol Protocol
	words    string   // its name in a sentence
	name     string   // its name in --probe and in events
	ports    []uint16 // the ports where it is expected
	greets   bool     // its servers speak first
}

func protocols() []known {
	return []known{
		{HTTP, "HTTP", "http", []uint16{80, 3128, 8080, 8118, 8888}, false},
		{TLS, "TLS", "tls", []uint16{443, 465, 636, 993, 5671, 8443}, false},
		{SSH, "SSH", "ssh", []uint16{22}, true},
		{Mail, "SMTP or FTP", "smtp", []uint16{21, 25, 587}, true},
		{MySQL, "MySQL", "mysql", []uint16{3306}, true},
		{Postgres, "PostgreSQL", "postgres", []uint16{5432, 6432}, false},
		{Redis, "Redis", "redis", []uint16{6379}, false},
		{MSSQL, "SQL Server", "mssql", []uint16{1433}, false},
		{MongoDB, "MongoDB", "mongodb", []uint16{27017}, false},
		{AMQP, "AMQP", "amqp", []uint16{5672}, false},
		{SOCKS, "SOCKS5", "socks5", []uint16{1080}, false},
	}
}

// about is what is known of p in advance.
func (p Protocol) about() known {
	all := protocols()
	if i := slices.IndexFunc(all, func(k known) bool { return k.protocol == p }); i >= 0 {
		return all[i]
	}
	return known{words: "an unknown protocol"}
}

// String names the protocol in a sentence.
func (p Protocol) String() string { return p.about().words }

// Name is the protocol as --probe and the ready event name it; empty for Unknown.
func (p Protocol) Name() string { return p.about().name }

// ByName returns the protocol that --probe calls by a name; false when there is none.
func ByName(name string) (Protocol, bool) {
	for _, k := range protocols() {
		if k.name == name {
			return k.protocol, true
		}
	}
	return Unknown, false
}

// ProtocolNames returns the names that ByName knows.
func ProtocolNames() []string {
	var names []string
	for _, k := range protocols() {
		names = append(names, k.name)
	}
	return names
}

// ByPort returns the protocol that is expected on a port; Unknown where none is.
func ByPort(port uint16) Protocol {
	for _, k := range protocols() {
		if slices.Contains(k.ports, port) {
			return k.protocol
		}
	}
	return Unknown
}

// Messages that make servers answer which do not speak first.
const (
	postgresTLS = "\x00\x00\x00\x08\x04\xd2\x16\x2f" // SSLRequest (PostgreSQL, "Message Formats")
	// preLogin is a PRELOGIN message with a version alone, and the terminator ([MS-TDS] 2.2.6.5).
	preLogin   = "\x12\x01\x00\x13\x00\x00\x01\x00\x00\x00\x06\x00\x06\xff\x00\x00\x00\x00\x00"
	amqpHeader = "AMQP\x00\x00\x09\x01" // AMQP 0-9-1, 4.2.2
	// opMessage and opReply are MongoDB's OP_MSG and the older OP_REPLY (MongoDB wire protocol).
	opMessage, opReply = 2013, 1
)

// hello is MongoDB's command of that name in an OP_MSG, with which every driver begins.
func hello() string {
	document := []byte{0, 0, 0, 0, 0x10} // an int32 follows
	document = append(document, "hello\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00"...)
	binary.LittleEndian.PutUint32(document, uint32(len(document))) //nolint:gosec // a few bytes
	message := make([]byte, 20, 64)                                // header and flags
	binary.LittleEndian.PutUint32(message[12:], opMessage)
	message = append(append(message, 0), document...)
	binary.LittleEndian.PutUint32(message, uint32(len(message))) //nolint:gosec // a few bytes
	message[4] = 1                                               // the request's number
	return string(message)
}

// opening is a message that makes a server of a protocol answer; for Unknown the least that an HTTP server answers.
func opening(p Protocol) string {
	switch p { //nolint:exhaustive // the others speak first, or are asked for a page
	case Postgres:
		return postgresTLS
	case Redis:
		return "PING\r\n"
	case MSSQL:
		return preLogin
	case MongoDB:
		return hello()
	case AMQP:
		return amqpHeader
	case SOCKS:
		return string([]byte{socksVersion, 1, socksNobody})
	case Unknown:
		// Redis takes a line that begins with "Host:" for an attack, and logs it; HTTP/1.0 needs no such line.
		return "GET / HTTP/1.0\r\nUser-Agent: culvert\r\n\r\n"
	}
	return "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: culvert\r\nConnection: close\r\n\r\n"
}

// recognize reads the protocol from the first bytes of a server. asked is the protocol in which it was asked, Unknown if it was
// not.
func recognize(b []byte, asked Protocol) Protocol {
	switch {
	case bytes.HasPrefix(b, []byte("HTTP/")):
		return HTTP
	case bytes.HasPrefix(b, []byte("SSH-")):
		return SSH
	case bytes.HasPrefix(b, []byte("220")):
		return Mail
	case len(b) > 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3: // a TLS record: alert or handshake
		return TLS
	case len(b) > 5 && b[3] == 0 && (b[4] == 10 || b[4] == 0xff): // handshake v10, or an error, with sequence 0
		return MySQL
	case bytes.HasPrefix(b, []byte("-ERR")), bytes.HasPrefix(b, []byte("-NOAUTH")), bytes.HasPrefix(b, []byte("-DENIED")), bytes.HasPrefix(b, []byte("+PONG")):
		return Redis
	case bytes.HasPrefix(b, []byte("AMQP")), len(b) > 10 && b[0] == 1 && b[1] == 0 && b[2] == 0 && b[7] == 0 && b[8] == 10: // Connection.Start on channel 0
		return AMQP
	case len(b) >= 16 && (binary.LittleEndian.Uint32(b[12:]) == opMessage || binary.LittleEndian.Uint32(b[12:]) == opReply):
		return MongoDB
	case asked == SOCKS && len(b) == 2 && b[0] == socksVersion && (b[1] == socksNobody || b[1] == socksNone):
		return SOCKS
	case asked == MSSQL && len(b) > 1 && b[0] == 4: // a TDS response
		return MSSQL
	case asked == Postgres && (len(b) == 1 && (b[0] == 'S' || b[0] == 'N') || len(b) > 0 && b[0] == 'E'): // yes, no, an error
		return Postgres
	}
	return Unknown
}
