package front

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"culvert/internal/say"
)

// RefusalError is a host that culvert connects nobody to, or a request that it does not understand.
type RefusalError struct {
	Host   string
	Port   uint16
	Why    Cause
	Detail string // CauseDenied: the pattern. CauseLocal: loopback or link-local. CauseMalformed: what is wrong
}

// Cause is why.
func (e *RefusalError) Cause() Cause { return e.Why }

func (e *RefusalError) at() string {
	return net.JoinHostPort(say.Brief(e.Host), strconv.Itoa(int(e.Port)))
}

func (e *RefusalError) Error() string {
	switch e.Why { //nolint:exhaustive // the others are those of a Dialer
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

// Remedy says how to reach it all the same, where that is wise.
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
