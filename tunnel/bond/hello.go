package bond

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// Version is the version of the protocol. An end speaks only one, as the two ends are meant to be of the same release.
const Version uint16 = 1

const (
	helloMagic  = "cvrelay?"
	answerMagic = "cvrelay!"
	buildLimit  = 64              // bytes of the name of a build at the most
	helloLimit  = 256             // bytes of a hello or an answer after its head at the most, in any version
	helloHead   = 8 + 2 + 2       // bytes of the head: magic, version, length of what follows
	answerIn    = time.Second     // how long the near end waits for the answer, which a relay gives at once
	helloWithin = 5 * time.Second // how long the relay waits for a hello
)

// id is the random name of a bundle, or of a relay from its start to its end (instance).
type id [16]byte

// purpose is what a connection wants of the relay.
type purpose uint8

const (
	purposeNew   purpose = 1 // to be the first strand of a new bundle
	purposeJoin  purpose = 2 // to be a further strand of a bundle
	purposeCheck purpose = 3 // to get an answer, nothing else
)

// hello is the first message on a connection, from the near end.
type hello struct {
	version  uint16
	purpose  purpose
	strand   uint16 // the strand's number, which no strand of the bundle had before
	bundle   id
	instance id // of the relay that knows the bundle; zero for a new bundle
	build    string
}

// verdict is what the relay makes of a hello.
type verdict uint8

const (
	verdictWelcome  verdict = 0
	verdictVersion  verdict = 1
	verdictStranger verdict = 2
	verdictFull     verdict = 3
)

// answer is the relay's answer to a hello.
type answer struct {
	version  uint16
	verdict  verdict
	instance id
	build    string
}

// pack puts a head before rest: magic, version and length, which every version can read.
func pack(magic string, version uint16, rest []byte) []byte {
	b := append([]byte(magic), 0, 0, 0, 0)
	binary.BigEndian.PutUint16(b[8:], version)
	binary.BigEndian.PutUint16(b[10:], uint16(len(rest))) //nolint:gosec // a few dozen bytes
	return append(b, rest...)
}

// unpack reads what pack has made. The error is ErrNoRelay where something else comes.
func unpack(r io.Reader, magic string) (version uint16, rest []byte, err error) {
	head := make([]byte, helloHead)
	if _, err := io.ReadFull(r, head[:len(magic)]); err != nil {
		return 0, nil, err
	}
	if string(head[:len(magic)]) != magic {
		return 0, nil, ErrNoRelay
	}
	if _, err := io.ReadFull(r, head[len(magic):]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint16(head[10:])
	if length > helloLimit {
		return 0, nil, ErrNoRelay
	}
	rest = make([]byte, length)
	_, err = io.ReadFull(r, rest)
	return binary.BigEndian.Uint16(head[8:]), rest, err
}

func (h hello) bytes() []byte {
	rest := []byte{byte(h.purpose)}
	rest = binary.BigEndian.AppendUint16(rest, h.strand)
	rest = append(rest, h.bundle[:]...)
	rest = append(rest, h.instance[:]...)
	return pack(helloMagic, h.version, append(rest, cut(h.build)...))
}

// readHello reads a hello. Of one in another version only the version is returned.
func readHello(r io.Reader) (hello, error) {
	version, rest, err := unpack(r, helloMagic)
	if err != nil || version != Version {
		return hello{version: version}, err
	}
	if len(rest) < 3+2*len(id{}) {
		return hello{}, &protocolError{fmt.Sprintf("a hello of %d bytes", len(rest))}
	}
	h := hello{version: version, purpose: purpose(rest[0]), strand: binary.BigEndian.Uint16(rest[1:])}
	rest = rest[3:]
	rest = rest[copy(h.bundle[:], rest):]
	rest = rest[copy(h.instance[:], rest):]
	h.build = string(cut(string(rest)))
	switch h.purpose {
	case purposeNew, purposeJoin, purposeCheck:
		return h, nil
	}
	return hello{}, &protocolError{fmt.Sprintf("a hello of purpose %d", h.purpose)}
}

func (a answer) bytes() []byte {
	rest := append([]byte{byte(a.verdict)}, a.instance[:]...)
	return pack(answerMagic, a.version, append(rest, cut(a.build)...))
}

// readAnswer reads an answer, which begins alike in every version.
func readAnswer(r io.Reader) (answer, error) {
	version, rest, err := unpack(r, answerMagic)
	if err != nil {
		return answer{}, err
	}
	if len(rest) < 1+len(id{}) {
		return answer{}, ErrNoRelay
	}
	a := answer{version: version, verdict: verdict(rest[0])}
	rest = rest[1:]
	rest = rest[copy(a.instance[:], rest):]
	a.build = string(cut(string(rest)))
	return a, nil
}

func cut(build string) []byte { return []byte(build[:min(len(build), buildLimit)]) }

// greet says hello on a connection and waits for the answer, answerIn at the most. A verdict other than welcome is an error.
func greet(ctx context.Context, conn net.Conn, h hello) (answer, error) {
	within, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(within, func() {
		_ = conn.SetDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	a, err := exchange(conn, h)
	if !stop() {
		<-interrupted
		if err == nil {
			err = os.ErrDeadlineExceeded
		}
	}
	if err == nil { // the verdict goes first: a relay that refuses may have closed the connection, so that SetDeadline fails
		if err := a.judge(); err != nil {
			return a, err
		}
		err = conn.SetDeadline(time.Time{})
	}
	switch {
	case err == nil:
		return a, nil
	case ctx.Err() != nil:
		return a, fmt.Errorf("hello to the relay: %w", ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return a, fmt.Errorf("hello to the relay: %w within %s", ErrSilent, answerIn)
	case errors.Is(err, ErrNoRelay):
		return a, err
	}
	return a, &goneError{err}
}

func exchange(conn net.Conn, h hello) (answer, error) {
	if _, err := conn.Write(h.bytes()); err != nil {
		return answer{}, err
	}
	return readAnswer(conn)
}

// goneError means that a connection ended before the relay had answered, as where nothing listens.
type goneError struct{ err error }

func (e *goneError) Error() string   { return fmt.Sprintf("hello to the relay: %s", e.err) }
func (e *goneError) Unwrap() []error { return []error{ErrGone, e.err} }

// judge returns the verdict as an error; nil for welcome.
func (a answer) judge() error {
	if a.version != Version {
		return &VersionError{Ours: Version, Theirs: a.version, Build: a.build}
	}
	switch a.verdict {
	case verdictWelcome:
		return nil
	case verdictVersion:
		return &VersionError{Ours: Version, Theirs: a.version, Build: a.build}
	case verdictStranger:
		return ErrStranger
	case verdictFull:
		return ErrFull
	}
	return &protocolError{fmt.Sprintf("a verdict of %d", a.verdict)}
}

// Check says hello to a relay only to get an answer, and returns how the relay calls itself.
func Check(ctx context.Context, conn net.Conn) (build string, err error) {
	a, err := greet(ctx, conn, hello{version: Version, purpose: purposeCheck})
	return a.build, err
}
