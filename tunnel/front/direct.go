package front

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// directTimeout bounds connecting from this machine, the look-up of the name included.
const directTimeout = 30 * time.Second

// Direct is the Dialer of this machine's own network. It connects to no loopback or link-local address, even when a name leads
// there: the owner of a name could make it lead to this machine.
type Direct struct {
	Resolver *net.Resolver // nil is the system's resolver
}

// Dial tries the addresses of a host as RFC 6555 says.
func (d Direct) Dial(ctx context.Context, name string, port uint16) (net.Conn, error) {
	dialer := net.Dialer{Timeout: directTimeout, Resolver: d.Resolver, ControlContext: func(_ context.Context, _, to string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(to)
		if err != nil {
			return &RefusalError{Host: name, Port: port, Why: CauseUnknown, Detail: err.Error()}
		}
		if kind := hostOf(at.Addr()).local(); kind != "" {
			return &RefusalError{Host: at.Addr().String(), Port: port, Why: CauseLocal, Detail: kind}
		}
		return nil
	}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(name, strconv.Itoa(int(port))))
	if err != nil {
		return nil, &directError{host: name, port: port, err: err}
	}
	return conn, nil
}

// directError means that a connection from this machine could not be made.
type directError struct {
	host string
	port uint16
	err  error
}

func (e *directError) Error() string {
	at := net.JoinHostPort(e.host, strconv.Itoa(int(e.port)))
	return "directly from this machine to " + at + ": " + e.reason()
}

func (e *directError) reason() string {
	switch CauseOf(e.err) { //nolint:exhaustive // the texts of the others are clear enough
	case CauseRefused:
		return "it refuses the connection"
	case CauseSwallowed:
		return "no answer"
	case CauseUnresolved:
		return "the name leads nowhere"
	}
	return e.err.Error()
}

func (e *directError) Unwrap() error { return e.err }

// Remedy is the cause's own, or says how to reach the host through the task.
func (e *directError) Remedy() string {
	if r, ok := e.err.(interface{ Remedy() string }); ok {
		return r.Remedy()
	}
	return "if it is a private host, let it go through the task: --via " + e.host
}
