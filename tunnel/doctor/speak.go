package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"culvert/tunnel"
)

// OtherProtocolError means that a far end accepts connections and speaks another protocol than it should.
type OtherProtocolError struct {
	Remote tunnel.Endpoint
	Wanted Protocol
	Got    Protocol // Unknown when the protocol was not recognized
}

func (e *OtherProtocolError) Error() string {
	return fmt.Sprintf("%s accepts, but speaks %s, not %s", inWords(e.Remote), e.Got, e.Wanted)
}

// Remedy says what to check.
func (e *OtherProtocolError) Remedy() string {
	if e.Got == Unknown {
		return "check the port, or use --probe tcp if it is right"
	}
	return fmt.Sprintf("check host and port, or use --probe %s if that is what should be there", e.Got.Name())
}

// MutedError means that a far end accepts connections and does not answer in the protocol that it should speak.
type MutedError struct {
	Remote tunnel.Endpoint
	Wanted Protocol
	After  time.Duration
	Err    error // how the connection ended; nil when it was still open
}

func (e *MutedError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s accepts, but hangs up on a client of %s", inWords(e.Remote), e.Wanted)
	}
	return fmt.Sprintf("%s accepts, but says nothing in %s within %s", inWords(e.Remote), e.Wanted, e.After)
}
func (e *MutedError) Unwrap() error { return e.Err }

// Remedy says where to look.
func (e *MutedError) Remedy() string {
	return "look at the log of the server there, or use --probe tcp if it speaks another protocol on purpose"
}

// Speak proves that a protocol is spoken at the far end, within patience: by the server's greeting, or by its answer to the least
// that a client may ask. It needs no credentials, and ends the connection as the protocol has it, where it has a way for that
// before the login. The error is an *OtherProtocolError, a *MutedError or one of the connection.
func Speak(ctx context.Context, dial Dial, want Protocol, remote tunnel.Endpoint, patience time.Duration) error {
	conn, stop, err := open(ctx, dial)
	if err != nil {
		return err
	}
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	var first []byte
	if want == TLS {
		first, err = greetTLS(ctx, conn, remote)
	} else {
		first, err = hear(conn, want)
	}
	switch {
	case err == nil && first == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil && recognize(first, want) == want:
		leave(ctx, conn, want, first)
		return nil
	case err == nil && recognize(first, want) != Unknown:
		return &OtherProtocolError{Remote: remote, Wanted: want, Got: recognize(first, want)}
	}
	// A server that is asked in another protocol than its own may keep silent or hang up; a request for a page makes most servers
	// answer.
	question := Question{Remote: tunnel.Endpoint{Host: remote.Host}, Patience: patience, Greeting: greetingWithin, Shallow: true}
	if answer, asking := question.Ask(ctx, dial); asking == nil && answer.Protocol != Unknown && answer.Protocol != want {
		return &OtherProtocolError{Remote: remote, Wanted: want, Got: answer.Protocol}
	}
	switch {
	case err == nil:
		return &OtherProtocolError{Remote: remote, Wanted: want}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &MutedError{Remote: remote, Wanted: want, After: patience}
	}
	return &MutedError{Remote: remote, Wanted: want, Err: err}
}

// hear asks a server in the wanted protocol, unless servers of that speak first, and returns the first bytes of its answer.
func hear(conn net.Conn, want Protocol) ([]byte, error) {
	if !want.about().greets {
		if _, err := io.WriteString(conn, opening(want)); err != nil {
			return nil, err
		}
	}
	r := bufio.NewReader(conn)
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	return peeked(r), nil
}

// greetTLS makes a TLS handshake without checking the certificate. Nil and no error mean that the server speaks TLS, be it by an
// alert; else it returns the bytes that came instead.
func greetTLS(ctx context.Context, conn net.Conn, remote tunnel.Endpoint) ([]byte, error) {
	secured := tls.Client(conn, &tls.Config{ServerName: remote.Host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}) //nolint:gosec // whether it speaks TLS, not who it is
	err := secured.HandshakeContext(ctx)
	if err == nil {
		_ = secured.Close()
		return nil, nil
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return header.RecordHeader[:], nil
	}
	if _, alert := errors.AsType[tls.AlertError](err); alert {
		return nil, nil
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok && operation.Op == "remote error" { // an alert, as crypto/tls words it
		return nil, nil
	}
	return nil, err
}

// leave ends the connection as the protocol has it, so that the server logs no error.
func leave(ctx context.Context, conn net.Conn, p Protocol, first []byte) {
	switch p { //nolint:exhaustive // the others have no goodbye before the login, or hang up themselves
	case Postgres:
		if first[0] == 'S' { // the server waits for the TLS handshake that opening has asked for
			secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}) //nolint:gosec // nothing is said in it
			if secured.HandshakeContext(ctx) == nil {
				_ = secured.Close()
			}
		}
	case Redis, Mail:
		_, _ = io.WriteString(conn, "QUIT\r\n")
	case SSH:
		_, _ = conn.Write(farewellSSH())
	}
}

// farewellSSH is a client's identification and SSH_MSG_DISCONNECT "by application" (RFC 4253, 4.2, 6 and 11.1).
func farewellSSH() []byte {
	const (
		disconnect, byApplication = 1, 11
		length, padding           = 20, 6 // of the packet behind its length; the whole is a multiple of 8
	)
	packet := []byte{
		0, 0, 0, length, padding,
		disconnect, 0, 0, 0, byApplication, 0, 0, 0, 0, 0, 0, 0, 0, // description and language are empty
		0, 0, 0, 0, 0, 0,
	}
	return append([]byte("SSH-2.0-culvert\r\n"), packet...)
}
