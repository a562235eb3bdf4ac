package front

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Cause is why a client does not get the connection that it asked for. It chooses the status of an HTTP answer, the error of its
// Proxy-Status (RFC 9209, 2.3) and the code of a SOCKS reply. An error of a Dialer tells its own, see CauseOf.
type Cause int

// The causes.
const (
	CauseUnknown    Cause = iota // the error's text says more
	CauseRefused                 // the destination refuses the connection
	CauseSwallowed               // it gets no answer
	CauseUnresolved              // its name leads nowhere
	CauseForbidden               // AWS does not let the caller open a session to it, or the agent does not forward to it
	CauseNoTask                  // there is no task, no agent or no session to go through
	CauseFull                    // as many destinations are open as may be, and all are in use
	CauseLate                    // it took too long until there was a session, which says nothing of the destination
	CauseClosing                 // the tunnel ends
	CauseEnded                   // the destination ended the connection before it had answered
	CauseDenied                  // the rules refuse it, see Rules
	CauseLocal                   // it is loopback or link-local: nothing behind the task
	CauseOwn                     // it is culvert itself: the listener
	CauseMalformed               // what the client asked for cannot be understood
)

// CauseOf asks an error, or what it wraps, for the cause that its method Cause tells. Of an error without one it knows what the
// standard library says: a name that was not found, a connection that was refused, a time that is over.
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

// refused reports whether a destination has answered the system that it takes no connection.
func refused(err error) bool {
	const windowsRefused, windowsReset = syscall.Errno(10061), syscall.Errno(10054) // WSAECONNREFUSED, WSAECONNRESET
	number, ok := errors.AsType[syscall.Errno](err)
	return ok && (number == syscall.ECONNREFUSED || number == syscall.ECONNRESET || number == windowsRefused || number == windowsReset)
}
