package tunnel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"culvert/aws"
	"culvert/internal/address"
	"culvert/internal/say"
	"culvert/tunnel/front"
)

// DestinationError is why a client of a dynamic tunnel did not get the connection that it asked for.
type DestinationError struct {
	Destination Endpoint
	Err         error
}

func (e *DestinationError) Error() string { return e.Err.Error() }
func (e *DestinationError) Unwrap() error { return e.Err }

// Remedy is the remedy of the reason.
func (e *DestinationError) Remedy() string { return say.Remedy(e.Err) }

// Cause is the kind of the reason, by which the proxy chooses its answer to the client.
func (e *DestinationError) Cause() front.Cause {
	err := e.Err
	if closed, ok := errors.AsType[*ClosedError](err); ok {
		switch {
		case closed.Unresolved():
			return front.CauseUnresolved
		case closed.Forbidden():
			return front.CauseForbidden
		case closed.Refused():
			return front.CauseRefused
		}
		return front.CauseNoTask
	}
	switch {
	case is[*RefusedError](err):
		return front.CauseRefused
	case is[*UnansweredError](err):
		return front.CauseSwallowed
	case is[*aws.DeniedError](err):
		return front.CauseForbidden
	case is[*CapError](err):
		return front.CauseFull
	case is[*LinkLocalError](err), is[*LoopbackError](err):
		return front.CauseLocal
	case is[*OwnError](err):
		return front.CauseOwn
	case is[*FormError](err):
		return front.CauseMalformed
	case errors.Is(err, errStopped), errors.Is(err, net.ErrClosed):
		return front.CauseClosing
	case is[*LateError](err), errors.Is(err, errNoSession):
		return front.CauseLate
	}
	return front.CauseNoTask
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// CapError means that a dynamic tunnel had no free seat for another host: all its destinations are in use.
type CapError struct {
	Most, Each int           // how many sessions the tunnel may have, and how many of them on one task
	Waited     time.Duration // how long the client waited for a seat
}

func (e *CapError) Error() string {
	return fmt.Sprintf("no place for another host within %s: the tunnel has as many sessions as it may have (%d, and %d on a task), and all are in use", e.Waited, e.Most, e.Each)
}

// Remedy says how to get a seat.
func (e *CapError) Remedy() string {
	return fmt.Sprintf("close connections to other hosts, run more tasks of the service, or pass --destinations N with more than %d (each costs its task 10 MB)", e.Most)
}

// Temporary is true: a seat is free as soon as a destination is idle.
func (e *CapError) Temporary() bool { return true }

// LateError means that no session to a host was open in time, for no reason that is known.
type LateError struct{ Waited time.Duration }

func (e *LateError) Error() string { return fmt.Sprintf("no session within %s", e.Waited) }

// Remedy says what takes so long.
func (e *LateError) Remedy() string {
	return "try again: an agent starts about three sessions a second, one after the other; more tasks of the service start more at a time"
}

// Temporary is true: another try may find the session open.
func (e *LateError) Temporary() bool { return true }

// LoopbackError means that a client of a dynamic tunnel asked for a loopback address, which would be the task's own.
type LoopbackError struct{ Host string }

func (e *LoopbackError) Error() string {
	return fmt.Sprintf("%s is loopback: behind the tunnel that would be the task, not this machine", say.Brief(e.Host))
}

// Remedy says how to reach this machine, and how the task.
func (e *LoopbackError) Remedy() string {
	return "for this machine's own services exempt the host from the proxy (NO_PROXY); a port of the task is forwarded by -L LOCAL:PORT"
}

// OwnError means that a client of a dynamic tunnel asked for a host that culvert itself needs to carry the tunnel, or for the
// tunnel's own listener.
type OwnError struct{ Destination Endpoint }

func (e *OwnError) Error() string {
	return fmt.Sprintf("%s carries this tunnel, or is it: it is not reached through it", e.Destination)
}

// Remedy says what to do instead.
func (e *OwnError) Remedy() string {
	return "exempt it from the proxy: add " + e.Destination.Host + " to NO_PROXY"
}

// ownFault reports whether an error is about one destination alone: other destinations are not affected, and another session
// would not help.
func ownFault(err error) bool {
	if closed, ok := errors.AsType[*ClosedError](err); ok {
		return closed.Unresolved() || closed.Forbidden() || closed.Refused()
	}
	return isVerdict(err)
}

// loopback reports whether the host is the machine that resolves it, however it is spelled.
func (e Endpoint) loopback() bool {
	addr, ok := address.Parse(e.Host)
	return ok && address.Loopback(addr) || address.LoopbackName(e.Host)
}

// normal returns the endpoint in the spelling by which destinations are told apart: lower case, without a final dot or brackets.
func (e Endpoint) normal() Endpoint {
	e.Host = strings.ToLower(strings.TrimSuffix(e.Host, "."))
	if addr, err := netip.ParseAddr(strings.Trim(e.Host, "[]")); err == nil {
		e.Host = addr.String()
	}
	return e
}

// unusable returns why no client may connect to an endpoint through the pool's tasks, whatever the rules say; nil when clients
// may.
func (p *pool) unusable(e Endpoint) error {
	client := p.tunnel.spec.Client
	switch {
	case e.Host == "" || len(e.Host) > maxHost || e.Port == 0 || strings.ContainsFunc(e.Host, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return &FormError{Form: say.Brief(e.String()), Problem: "it names no host and port"}
	case e.loopback():
		return &LoopbackError{Host: e.Host}
	case e.LinkLocal() && !p.tunnel.engine.options.AllowLinkLocal:
		return &LinkLocalError{Host: e.Host}
	case client.Serves(e.Host), p.engine().listensAt(e):
		return &OwnError{Destination: e}
	}
	return nil
}

// listensAt reports whether one of the engine's tunnels listens at an endpoint now. Its host is not resolved, so only an address
// matches.
func (e *Engine) listensAt(at Endpoint) bool {
	addr, err := netip.ParseAddr(at.Host)
	if err != nil {
		return false
	}
	e.mu.Lock()
	all := e.listening()
	e.mu.Unlock()
	return slices.ContainsFunc(all, func(own netip.AddrPort) bool {
		return own.Port() == at.Port && (own.Addr() == addr || own.Addr().IsUnspecified() && thisMachine(addr))
	})
}

// thisMachine reports whether an address is one of this machine's.
func thisMachine(addr netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == addr.Unmap() {
			return true
		}
	}
	return false
}
