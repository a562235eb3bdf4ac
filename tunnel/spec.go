package tunnel

import (
	"net/netip"
	"strconv"
	"time"

	"culvert/aws"
)

// Spec says what a tunnel connects: a local listener and a port that the target reaches.
type Spec struct {
	// Target is a container, or with an empty Task any ready task of its service.
	Target aws.Target
	// ID is what Engine.Reserve has returned; 0 is the next one.
	ID ID
	// Client is of the account that Target is in; nil is the engine's.
	Client *aws.Client
	// Pinned keeps every session on Target's own task, and the tunnel fails when that is gone: for a task that somebody named,
	// whose answers are wanted and no other's. Else a service is followed from task to task.
	Pinned bool
	// Remote is the far end; an empty Host is the target container itself. It is zero for a dynamic tunnel.
	Remote Endpoint
	// To is by which name Remote was found; empty where it was written down. It is for people: an engine does not read it.
	To string
	// Relay is that of the target's tasks; nil: they have none, or it is not to be used. It serves a Remote without a Host.
	Relay *Relay
	// Unrelayed is why SeekRelay has found no Relay; nil where there is one, and where none could serve. It is for people: an
	// engine does not read it.
	Unrelayed error
	// Dynamic makes it a tunnel to any host; nil is one to Remote.
	Dynamic *Dynamic
	// Local is where to listen. Without an address: 127.0.0.1 and ::1. Port 0: the remote port's number if it is free,
	// else any free port.
	Local netip.AddrPort
	// AnyPort says that port 0 was meant: nobody counts on the remote port's number, see Tunnel.Replaced.
	AnyPort bool
	// Socket is the path of a unix socket to listen on instead of Local; it is made with mode 0600.
	Socket string
	// Unlistened opens no listener: connections come from Tunnel.Dial alone.
	Unlistened bool
	// Lanes is how many sessions the tunnel has; 0 is what Options says.
	Lanes int
	// OneTask keeps the sessions on one task, as Options.OneTask does.
	OneTask bool
	// KeepAlive sends a byte of stream data this often, which overrides the account's idle timeout. 0 is off.
	KeepAlive time.Duration
}

// Listenable reports whether the local end of s can be had now: nil, or what Open would say. Of a unix socket it removes a
// stale one, as Open does.
func (s Spec) Listenable() error {
	local, err := listen(s)
	if err != nil {
		return err
	}
	local.close()
	return nil
}

// FarEnd is what the tunnel leads to as people and events name it: the remote end, or "any host" of a dynamic tunnel; as long as
// the remote end is not found, its name.
func (s Spec) FarEnd() string {
	switch {
	case s.Dynamic != nil:
		return "any host"
	case s.Remote == Endpoint{} && s.To != "":
		return s.To
	}
	return s.Remote.String()
}

// Endpoint is a host and port as the target sees it.
type Endpoint struct {
	Host string
	Port uint16
}

// String returns host:port, or the port alone when the target itself is meant.
func (e Endpoint) String() string {
	if e.Host == "" {
		return strconv.Itoa(int(e.Port))
	}
	return e.Host + ":" + strconv.Itoa(int(e.Port))
}
