package emulator

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// Codes in the first message of a PostgreSQL connection, see "Message Formats" in its manual.
const (
	sslRequest    = 80877103
	gssRequest    = 80877104
	cancelRequest = 80877102
	maxPgMessage  = 1 << 20
	pgVersion     = "15.9"
)

// The demo's database, as its certificate and its tokens name it.
const (
	databaseHost = "orders-db.internal"
	databasePort = 5432
)

// servePostgres serves orders-db.internal. It accepts connections without TLS, and asks them for no password, as that could be
// read. With TLS it asks for a password, and accepts any, or a token, which has to be valid.
func (v *vpc) servePostgres(certificate tls.Certificate) error {
	listener, err := v.listen(Postgres)
	if err != nil {
		return err
	}
	db := &postgres{shop: v.shop, login: v.login, secure: &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"postgresql"},
	}}
	v.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			v.running.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = db.serve(conn) // ends when the client closes the connection
			})
		}
	})
	return nil
}

// postgres is a database server that has one table, and understands few queries about it.
type postgres struct {
	shop   *shop
	secure *tls.Config
	login  func(user, token string) error
}

// serve serves one connection.
func (p *postgres) serve(raw net.Conn) error {
	conn, user, err := p.startup(raw)
	if err != nil {
		return err
	}
	if _, secured := conn.(*tls.Conn); secured {
		if err := p.authenticate(conn, user); err != nil {
			return err
		}
	}
	hello := pgAppend(nil, 'R', "\x00\x00\x00\x00")
	for _, setting := range []string{
		"server_version\x00" + pgVersion, "server_encoding\x00UTF8", "client_encoding\x00UTF8", "DateStyle\x00ISO, MDY", "TimeZone\x00UTC",
		"standard_conforming_strings\x00on", "integer_datetimes\x00on", "is_superuser\x00off", "session_authorization\x00" + user,
	} {
		hello = pgAppend(hello, 'S', setting+"\x00")
	}
	if _, err := conn.Write(append(hello, pgReady()...)); err != nil {
		return err
	}
	for {
		kind, body, err := pgRead(conn)
		if err != nil {
			return err
		}
		var answer []byte
		switch kind {
		case 'X': // terminate
			return nil
		case 'Q':
			answer = p.query(string(bytes.TrimRight(body, "\x00")), user)
		case 'S': // Sync, at the end of a prepared query
			answer = pgError("ERROR", "0A000", "the demo's database knows no prepared queries", "")
		default:
			continue
		}
		if _, err := conn.Write(append(answer, pgReady()...)); err != nil {
			return err
		}
	}
}

// startup agrees on TLS when the client asks for it, and returns the user's name.
func (p *postgres) startup(raw net.Conn) (conn net.Conn, user string, err error) {
	for conn = raw; ; {
		body, err := pgMessage(conn)
		if err != nil {
			return nil, "", err
		}
		if len(body) < 4 {
			return nil, "", errors.New("read startup: it is too short")
		}
		_, secured := conn.(*tls.Conn)
		switch code := binary.BigEndian.Uint32(body); {
		case code == sslRequest && !secured:
			if _, err := conn.Write([]byte("S")); err != nil {
				return nil, "", err
			}
			conn = tls.Server(raw, p.secure)
		case code == sslRequest || code == gssRequest:
			if _, err := conn.Write([]byte("N")); err != nil {
				return nil, "", err
			}
		case code == cancelRequest:
			return nil, "", errors.New("read startup: it cancels a query")
		default:
			return conn, startupUser(body[4:]), nil
		}
	}
}

// startupUser is the user in a startup message's pairs of names and values.
func startupUser(pairs []byte) string {
	words := bytes.Split(pairs, []byte{0})
	for i := 0; i+1 < len(words); i += 2 {
		if string(words[i]) == "user" {
			return string(words[i+1])
		}
	}
	return ""
}

// authenticate asks for a password.
func (p *postgres) authenticate(conn net.Conn, user string) error {
	if _, err := conn.Write(pgAppend(nil, 'R', "\x00\x00\x00\x03")); err != nil {
		return err
	}
	kind, body, err := pgRead(conn)
	if err != nil {
		return err
	}
	password, why := string(bytes.TrimRight(body, "\x00")), error(nil)
	switch {
	case kind != 'p' || password == "":
		why = errors.New("there is none; the demo takes any password")
	case isDatabaseToken(password):
		why = p.login(user, password)
	}
	if why != nil {
		_, _ = conn.Write(pgError("FATAL", "28P01", fmt.Sprintf("password authentication failed for user %q", user), why.Error()))
	}
	return why
}

func pgReady() []byte { return pgAppend(nil, 'Z', "I") }

// pgError is an error message for the client; detail may be empty.
func pgError(severity, code, message, detail string) []byte {
	body := "S" + severity + "\x00V" + severity + "\x00C" + code + "\x00M" + message + "\x00"
	if detail != "" {
		body += "D" + detail + "\x00"
	}
	return pgAppend(nil, 'E', body+"\x00")
}

// pgRead reads a message and its kind.
func pgRead(r io.Reader) (kind byte, body []byte, err error) {
	var one [1]byte
	if _, err := io.ReadFull(r, one[:]); err != nil {
		return 0, nil, err
	}
	body, err = pgMessage(r)
	return one[0], body, err
}

// pgMessage reads a length, which includes itself, and as many bytes.
func pgMessage(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < 4 || n > maxPgMessage {
		return nil, errors.New("read message: bad length")
	}
	body := make([]byte, n-4)
	_, err := io.ReadFull(r, body)
	return body, err
}

func pgAppend(b []byte, kind byte, body string) []byte {
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)+4)) //nolint:gosec // our own short texts
	return append(b, body...)
}
