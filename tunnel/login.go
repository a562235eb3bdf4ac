package tunnel

import (
	"encoding/binary"
	"strconv"
)

// alerts looks for a fatal alert in one direction of TLS, as long as that direction is not encrypted.
type alerts struct {
	sniffer *sniffer
	by      string // who sends in this direction: client or server
	head    []byte // the head of a record, as far as it has come; of an alert also the body
	skip    int    // bytes of a record that are still to be passed over
}

const (
	tlsAlert     = 21 // type of a record
	tlsHandshake = 22 // type of a record
	tlsHead      = 5  // bytes of the head of a record
	tlsFatal     = 2  // level of an alert
)

func (a *alerts) read(p []byte) bool {
	for {
		n := min(a.skip, len(p))
		a.skip, p = a.skip-n, p[n:]
		if len(p) == 0 {
			return true
		}
		want := tlsHead
		if len(a.head) > 0 && a.head[0] == tlsAlert {
			want += 2
		}
		a.head, p = append(a.head, p[0]), p[1:]
		switch {
		case a.head[0] != tlsAlert && a.head[0] != tlsHandshake:
			return false
		case len(a.head) < want:
			continue
		}
		length := int(binary.BigEndian.Uint16(a.head[3:]))
		if a.head[0] == tlsHandshake {
			a.skip, a.head = length, a.head[:0]
			continue
		}
		if length != 2 {
			return false // encrypted
		}
		if a.head[5] == tlsFatal {
			a.sniffer.refused(&AnswerError{Protocol: ProtocolTLS, Code: strconv.Itoa(int(a.head[6])), By: a.by})
			return false
		}
		a.head = a.head[:0]
	}
}

// postgresLogin reads what a PostgreSQL server sends until the client is logged in, refused, or encrypts the connection.
type postgresLogin struct {
	sniffer *sniffer
	asked   bool   // the client has asked for encryption, by TLS, GSS or both: the server answers each request by one letter
	head    []byte // the head of a message, as far as it has come
	body    []byte // of an error message
	left    int    // bytes of the message that are still to come
}

// maxLogin bounds the messages of a login, in bytes; after a longer one nothing more is read.
const maxLogin = 4 << 10

func (l *postgresLogin) read(p []byte) bool {
	for l.asked && len(p) > 0 {
		switch p[0] {
		case 'S', 'G':
			return false // what follows is encrypted
		case 'N':
			p = p[1:]
		default:
			l.asked = false
		}
	}
	for len(p) > 0 {
		if len(l.head) < 5 {
			l.head, p = append(l.head, p[0]), p[1:]
			if len(l.head) < 5 {
				continue
			}
			l.left = int(binary.BigEndian.Uint32(l.head[1:])) - 4
			if l.left < 0 || l.left > maxLogin || l.head[0] == 'Z' {
				return false
			}
		}
		n := min(l.left, len(p))
		if l.head[0] == 'E' {
			l.body = append(l.body, p[:n]...)
		}
		l.left, p = l.left-n, p[n:]
		if l.left > 0 {
			return true
		}
		if l.head[0] == 'E' {
			l.refuse()
			return false
		}
		l.head = l.head[:0]
	}
	return true
}

// refuse notes the code of an error message, whose fields are each a letter and a text that ends with a zero byte.
func (l *postgresLogin) refuse() {
	for fields := l.body; len(fields) > 1; {
		end := 1
		for end < len(fields) && fields[end] != 0 {
			end++
		}
		if fields[0] == 'C' {
			l.sniffer.refused(&AnswerError{Protocol: ProtocolPostgres, Code: clean(string(fields[1:min(end, 6)]))})
			break
		}
		fields = fields[min(end+1, len(fields)):]
	}
	l.body = nil
}

// mysqlLogin reads what a MySQL server sends until the client is logged in or refused, or the connection is encrypted.
type mysqlLogin struct {
	sniffer *sniffer
	head    []byte // the head of a packet (length and number) and the first three bytes of its body, as far as they have come
	skip    int    // bytes of a packet that are still to be passed over
}

func (l *mysqlLogin) read(p []byte) bool {
	for {
		n := min(l.skip, len(p))
		l.skip, p = l.skip-n, p[n:]
		if len(p) == 0 {
			return true
		}
		l.head, p = append(l.head, p[0]), p[1:]
		if len(l.head) < 4 {
			continue
		}
		length := int(l.head[0]) | int(l.head[1])<<8 | int(l.head[2])<<16
		if length == 0 || length > maxLogin {
			return false // a TLS record, for instance, which looks like a very long packet
		}
		if len(l.head) < 4+min(length, 3) {
			continue
		}
		switch first := l.head[4]; {
		case first == 0xff && length >= 3:
			code := int(l.head[5]) | int(l.head[6])<<8
			l.sniffer.refused(&AnswerError{Protocol: ProtocolMySQL, Code: strconv.Itoa(code)})
			return false
		case first == 0 && l.head[3] > 0:
			return false // an OK packet: the client is logged in
		}
		l.skip, l.head = length-min(length, 3), l.head[:0]
	}
}
