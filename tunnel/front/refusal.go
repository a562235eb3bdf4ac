package front

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"culvert/internal/say"
)

// RefusalError means that a client asked for a host to which culvert connects nobody, or that its request cannot be understood.
type RefusalError struct {
	Host   string
	Port   uint16
	Why    Cause
	Detail string // with CauseDenied the pattern, with CauseLocal loopback or link-local, with CauseMalformed what is wrong
}

// Cause is e.Why.
func (e *RefusalError) Cause() Cause { return e.Why }

func (e *RefusalError) at() string {
	return net.JoinHostPort(say.Brief(e.Host), strconv.Itoa(int(e.Port)))
}

func (e *RefusalError) Error() string {
	switch e.Why { //nolint:exhaustive // other causes are of a Dialer's errors
	case CauseDenied:
		return fmt.Sprintf("%s is refused: --deny %s", e.at(), e.Detail)
	case CauseLocal:
		if e.Detail == loopback {
			return fmt.Sprintf("%s is loopback: that is whoever connects to it, and no host behind the task", e.at())
		}
		return fmt.Sprintf("%s is link-local: the metadata and the credentials of machines and tasks are at such addresses, no host behind the task", e.at())
	case CauseOwn:
		return fmt.Sprintf("%s is this proxy itself", e.at())
	}
	return say.Brief(e.Detail)
}

// Remedy says what to do instead.
func (e *RefusalError) Remedy() string {
	switch e.Why { //nolint:exhaustive // as above
	case CauseDenied:
		return "ask whoever set --deny, or leave that pattern out"
	case CauseLocal:
		if e.Detail == loopback {
			return "let the program connect to it without a proxy (NO_PROXY=localhost,127.0.0.1,::1); for a port of the task's container forward it: -L PORT"
		}
		return "name another host; the program that asks for it wants no proxy there (NO_PROXY=169.254.169.254,169.254.170.2)"
	case CauseOwn:
		return "ask it for another host"
	}
	return "write HOST:PORT, as in example.internal:443"
}

var errNoPort = errors.New("there is no port from 1 to 65535")
