package front

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// directTimeout bounds a connection from this machine, the look-up of the name included.
const directTimeout = 30 * time.Second

// Direct is the Dialer of this machine's own network. Also a name that leads to what is loopback or link-local gets nobody there:
// whoever owns a name could make it one of this machine.
type Direct struct {
	Resolver *net.Resolver // nil is the system's
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

// directError is a connection from this machine that did not come about.
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
	switch CauseOf(e.err) { //nolint:exhaustive // the rest says itself
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

// Remedy names the way that was not taken.
func (e *directError) Remedy() string {
	if r, ok := e.err.(interface{ Remedy() string }); ok {
		return r.Remedy()
	}
	return "if it is a private host, let it go through the task: --via " + e.host
}
