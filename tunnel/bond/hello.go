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

// Version is that of the protocol. An end speaks one alone: both are of one release.
const Version uint16 = 1

const (
	helloMagic  = "cvrelay?"
	answerMagic = "cvrelay!"
	buildLimit  = 64              // bytes of the name of a build
	helloLimit  = 256             // bytes of a hello or its answer after the head, in any version
	helloHead   = 8 + 2 + 2       // magic, version, length of what follows
	answerIn    = time.Second     // a relay on the other side answers at once
	helloWithin = 5 * time.Second // how long the relay waits for one
)

// id is a random name, of a bundle or of a relay that runs.
type id [16]byte

// purpose is what a connection wants of the relay.
type purpose uint8

const (
	purposeNew   purpose = 1 // the first strand of a bundle
	purposeJoin  purpose = 2 // a further one
	purposeCheck purpose = 3 // an answer, nothing else
)

// hello is the first thing on a strand.
type hello struct {
	version  uint16
	purpose  purpose
	strand   uint16 // never used before in the bundle
	bundle   id
	instance id // that the bundle is at; zero for a new one
	build    string
}

// verdict is the relay's answer.
type verdict uint8

const (
	verdictWelcome  verdict = 0
	verdictVersion  verdict = 1
	verdictStranger verdict = 2
	verdictFull     verdict = 3
)

// answer is the relay's to a hello.
type answer struct {
	version  uint16
	verdict  verdict
	instance id
	build    string
}

// pack frames what follows the head, which every version can read: magic, version, length.
func pack(magic string, version uint16, rest []byte) []byte {
	b := append([]byte(magic), 0, 0, 0, 0)
	binary.BigEndian.PutUint16(b[8:], version)
	binary.BigEndian.PutUint16(b[10:], uint16(len(rest))) //nolint:gosec // a few dozen bytes
	return append(b, rest...)
}

// unpack reads what pack has framed.
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

// readHello reads one. Of another version only that is known.
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

// readAnswer reads one; every version begins it like this.
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

// greet says hello on a connection and judges the answer.
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
	if err == nil { // a relay that refuses may have closed the connection by now, which is no error of its own
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

// goneError is a connection that ended before the relay answered: nothing listens there.
type goneError struct{ err error }

func (e *goneError) Error() string   { return fmt.Sprintf("hello to the relay: %s", e.err) }
func (e *goneError) Unwrap() []error { return []error{ErrGone, e.err} }

// judge is the verdict as an error.
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

// Check asks a relay for nothing but its answer, and returns how it calls itself.
func Check(ctx context.Context, conn net.Conn) (build string, err error) {
	a, err := greet(ctx, conn, hello{version: Version, purpose: purposeCheck})
	return a.build, err
}
