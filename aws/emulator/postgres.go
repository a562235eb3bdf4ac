package emulator

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
)

// Codes of the first message of a PostgreSQL connection, see "Message Formats" in its manual.
const (
	sslRequest    = 80877103
	gssRequest    = 80877104
	cancelRequest = 80877102
	maxPgMessage  = 1 << 20
)

// servePostgres is orders-db.internal: it lets everybody in and has no tables.
func (v *vpc) servePostgres() error {
	listener, err := v.listen(Postgres)
	if err != nil {
		return err
	}
	v.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			v.running.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = postgres(conn) // ends when the client leaves
			})
		}
	})
	return nil
}

// postgres answers the start of a connection, then every query with an error.
func postgres(conn net.Conn) error {
	if err := pgStartup(conn); err != nil {
		return err
	}
	ready := pgAppend(nil, 'Z', "I")
	hello := pgAppend(nil, 'R', "\x00\x00\x00\x00")
	for _, setting := range []string{"server_version\x0015.9\x00", "server_encoding\x00UTF8\x00", "client_encoding\x00UTF8\x00"} {
		hello = pgAppend(hello, 'S', setting)
	}
	if _, err := conn.Write(append(hello, ready...)); err != nil {
		return err
	}
	kind := make([]byte, 1)
	for {
		if _, err := io.ReadFull(conn, kind); err != nil {
			return err
		}
		if _, err := pgMessage(conn); err != nil {
			return err
		}
		switch kind[0] {
		case 'X': // terminate
			return nil
		case 'Q', 'S': // a query, or the end of a prepared one
			refusal := pgAppend(nil, 'E', "SERROR\x00VERROR\x00C42P01\x00Mrelation does not exist: this is the demo's database, it has no tables\x00\x00")
			if _, err := conn.Write(append(refusal, ready...)); err != nil {
				return err
			}
		}
	}
}

// pgStartup declines encryption until the client says who it is.
func pgStartup(conn net.Conn) error {
	for {
		body, err := pgMessage(conn)
		if err != nil {
			return err
		}
		if len(body) < 4 {
			return errors.New("read startup: it is too short")
		}
		switch binary.BigEndian.Uint32(body) {
		case sslRequest, gssRequest:
			if _, err := conn.Write([]byte("N")); err != nil {
				return err
			}
		case cancelRequest:
			return errors.New("read startup: it cancels a query")
		default:
			return nil
		}
	}
}

// pgMessage reads a length, which counts itself, and what it counts.
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
