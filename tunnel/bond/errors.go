package bond

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// Why a stream could not be opened, or has ended.
var (
	ErrRefused    = errors.New("the relay's connection was refused: nothing listens on that port of the task")
	ErrUnresolved = errors.New("the relay does not find the name")
	ErrTimeout    = errors.New("the relay's connection was not answered in time")
	ErrForbidden  = errors.New("the relay was not given that port (--to)")
	ErrBusy       = errors.New("the relay has as many streams as it may have")
	ErrReset      = errors.New("the connection was reset at the far end")
	errCancelled  = errors.New("the stream was given up")
)

// Why a bundle has ended.
var (
	ErrClosed   = errors.New("the bundle is closed")
	ErrLost     = errors.New("the bundle was without a strand for too long")
	ErrGone     = errors.New("the relay is gone")
	ErrStranger = errors.New("this relay does not know the bundle: it is that of another task, or was started anew")
)

// Why a connection did not become a strand; ErrGone and ErrStranger may be the reason as well.
var (
	ErrNoRelay = errors.New("what answers there is no relay of culvert's")
	ErrFull    = errors.New("the relay has as many bundles or strands as it may have")
	ErrSilent  = errors.New("no answer")
)

// VersionError is the answer of a relay that speaks another version of the protocol.
type VersionError struct {
	Ours, Theirs uint16
	Build        string // how the relay calls itself; not to be trusted
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the relay (%q) speaks version %d of its protocol, this culvert version %d", e.Build, e.Theirs, e.Ours)
}

// Remedy says which of the two to change.
func (e *VersionError) Remedy() string {
	if e.Theirs < e.Ours {
		return "use the relay's image of this culvert's release (relay_image); until then connections go without it"
	}
	return "use the culvert of the relay's release; until then connections go without it"
}

// protocolError means that the other end has sent something that no end of this version sends. It ends the bundle.
type protocolError struct{ what string }

func (e *protocolError) Error() string { return "not the protocol of the relay: " + e.what }

// reason is why a stream was reset, as the number that the protocol has for it.
type reason uint8

const (
	reasonReset      reason = 1
	reasonRefused    reason = 2
	reasonUnresolved reason = 3
	reasonTimeout    reason = 4
	reasonForbidden  reason = 5
	reasonBusy       reason = 6
	reasonCancelled  reason = 7
)

// err is the error that readers and writers get for the reason. A reason that this version does not know counts as a reset.
func (r reason) err() error {
	switch r {
	case reasonRefused:
		return ErrRefused
	case reasonUnresolved:
		return ErrUnresolved
	case reasonTimeout:
		return ErrTimeout
	case reasonForbidden:
		return ErrForbidden
	case reasonBusy:
		return ErrBusy
	case reasonCancelled:
		return errCancelled
	case reasonReset:
	}
	return ErrReset
}

// reasonFor is the reason for a dial that failed with err.
func reasonFor(err error) reason {
	if _, unresolved := errors.AsType[*net.DNSError](err); unresolved {
		return reasonUnresolved
	}
	timeout, is := errors.AsType[net.Error](err)
	switch {
	case is && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return reasonTimeout
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return reasonBusy
	}
	return reasonRefused
}

// deadline is the deadline of a stream's reads, or of its writes. The end's lock guards it.
type deadline struct {
	timer   *time.Timer   // nil without a deadline, and when it has passed
	expired chan struct{} // closed when the deadline has passed, and replaced when another one is set
}

// set sets the deadline; the zero time is none.
func (d *deadline) set(t time.Time) {
	if d.timer != nil && !d.timer.Stop() {
		<-d.expired // the timer has fired, so that this is closed, or about to be
	}
	d.timer = nil
	select {
	case <-d.expired:
		d.expired = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	expired := d.expired
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { close(expired) })
		return
	}
	close(expired)
}

// stop stops the timer, as nothing waits under the deadline any more.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

var errDeadline = os.ErrDeadlineExceeded
