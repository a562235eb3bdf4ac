package front

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Cause is why a client does not get the connection that it asked for. It decides the status of an HTTP answer, the error in the
// answer's Proxy-Status (RFC 9209, 2.3) and the code of a SOCKS reply. The errors of a Dialer tell their causes themselves, see
// CauseOf.
type Cause int

// The causes.
const (
	CauseUnknown    Cause = iota // none of the others; only the error's text says what
	CauseRefused                 // the destination refuses the connection
	CauseSwallowed               // the connection gets no answer
	CauseUnresolved              // the destination's name cannot be resolved
	CauseForbidden               // AWS does not let the caller open a session to the destination, or the agent does not forward to it
	CauseNoTask                  // there is no task, no agent or no session to go through
	CauseFull                    // as many destinations are open as may be, and all are in use
	CauseLate                    // it took too long to open a session, which says nothing about the destination
	CauseClosing                 // the tunnel ends
	CauseEnded                   // the destination ended the connection before it had answered
	CauseDenied                  // a pattern of --deny refuses the destination, see Rules
	CauseLocal                   // the destination is loopback or link-local, so no host behind the task
	CauseOwn                     // the destination is culvert's own listener, or what culvert needs to reach AWS
	CauseMalformed               // the client's request cannot be understood
)

// CauseOf returns the cause that an error, or one that it wraps, tells by a method Cause. Without such a method it recognizes
// errors of the standard library: a name that was not found, a connection that was refused or ended, a timeout.
func CauseOf(err error) Cause {
	if e, ok := errors.AsType[interface {
		error
		Cause() Cause
	}](err); ok {
		return e.Cause()
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return CauseUnresolved
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case refused(err):
		return CauseRefused
	case errors.Is(err, os.ErrDeadlineExceeded), ok && timeout.Timeout(): // context.DeadlineExceeded and ETIMEDOUT too
		return CauseSwallowed
	case errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return CauseClosing
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return CauseEnded
	}
	return CauseUnknown
}

// refused reports whether the system says that the destination has refused the connection, or reset it.
func refused(err error) bool {
	const windowsRefused, windowsReset = syscall.Errno(10061), syscall.Errno(10054) // WSAECONNREFUSED, WSAECONNRESET
	number, ok := errors.AsType[syscall.Errno](err)
	return ok && (number == syscall.ECONNREFUSED || number == syscall.ECONNRESET || number == windowsRefused || number == windowsReset)
}
