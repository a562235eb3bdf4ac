package dbclient

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What of MySQL's protocol comes before TLS (MySQL Internals, "Connection Phase"): a packet is three bytes of length, one that counts, and
// as many as the length says.
const (
	mysqlTLS       = 0x800 // capability of client and server
	mysqlFailure   = 0xff  // first byte of a packet that is an error
	mysqlRequest   = 32    // bytes of a request for TLS; a login is longer
	mysqlMaxPacket = 64 << 10
)

// askMySQL passes a server's greeting on, and the program's request for TLS: behind it both begin with that, unless goOn is false and the
// connection is over. What a program or server without TLS is told is an error in the same protocol, as the programs show those.
//
// An error that the program is told is told to complain before, as the program may end when it has read it.
func askMySQL(client, server io.ReadWriter, complain func(error)) (goOn bool, err error) {
	greeting, err := mysqlPacket(server)
	if err != nil {
		return false, fmt.Errorf("read what the database says first: %w; use --tls=no if it is no MySQL", err)
	}
	if greeting[4] == mysqlFailure { // too many connections, a host that is blocked: the program shows it
		_, _ = client.Write(greeting)
		return false, nil
	}
	if !mysqlHasTLS(greeting[4:]) {
		return false, mysqlRefuse(client, complain, greeting[3]+1, "the database has no TLS; use --tls=no if it is to be so")
	}
	if _, err := client.Write(greeting); err != nil {
		return false, fmt.Errorf("speak to the program: %w", err)
	}
	request, err := mysqlPacket(client)
	if errors.Is(err, io.EOF) {
		return false, nil // it only looked
	}
	if err != nil {
		return false, fmt.Errorf("listen to the program: %w", err)
	}
	if len(request) != 4+mysqlRequest || binary.LittleEndian.Uint16(request[4:])&mysqlTLS == 0 {
		return false, mysqlRefuse(client, complain, request[3]+1, "the program has not asked for TLS: tell it to, with --ssl-ca and the file that DATABASE_URL of --url names, or use --tls=no")
	}
	if _, err := server.Write(request); err != nil {
		return false, fmt.Errorf("ask the database for TLS: %w", err)
	}
	return true, nil
}

func mysqlPacket(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if n == 0 || n > mysqlMaxPacket {
		return nil, fmt.Errorf("a packet of %d bytes", n)
	}
	packet := make([]byte, 4+n)
	copy(packet, head)
	_, err := io.ReadFull(r, packet[4:])
	return packet, err
}

// mysqlHasTLS looks into a greeting: version of the protocol, that of the server up to a zero, a number, eight bytes of a challenge and a
// zero, capabilities.
func mysqlHasTLS(greeting []byte) bool {
	_, rest, ok := bytes.Cut(greeting[1:], []byte{0})
	return greeting[0] == 10 && ok && len(rest) >= 15 && binary.LittleEndian.Uint16(rest[13:])&mysqlTLS != 0
}

// mysqlSecureOnly is the server's error for a connection without TLS (ER_SECURE_TRANSPORT_REQUIRED). Of a number that clients use for
// errors of their own, MariaDB's program says no more than that the packet is malformed.
const mysqlSecureOnly = 3159

// mysqlRefuse tells complain what is wrong, and then the program.
func mysqlRefuse(client io.Writer, complain func(error), sequence byte, text string) error {
	err := errors.New(text)
	complain(err)
	body := binary.LittleEndian.AppendUint16([]byte{mysqlFailure}, mysqlSecureOnly)
	body = append(body, "#08001culvert: "+text...)
	head := binary.LittleEndian.AppendUint16(nil, uint16(len(body))) //nolint:gosec // our own short texts
	_, _ = client.Write(append(append(head, 0, sequence), body...))
	return err
}
