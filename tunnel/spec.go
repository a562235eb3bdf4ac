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
	// ID is a number that Engine.Reserve has returned; with 0 Open gives the tunnel the next number.
	ID ID
	// Client calls AWS in the account that Target is in; nil is the engine's client.
	Client *aws.Client
	// Pinned keeps every session on Target's own task, and the tunnel fails when that task is gone. It is for a task that a user
	// has named because the answers of no other task are wanted. Without it the tunnel follows the service from task to task.
	Pinned bool
	// Remote is the far end; an empty Host is the target container itself. It is zero for a dynamic tunnel.
	Remote Endpoint
	// To is the name by which Remote was looked up; empty where Remote was written by the user. It is for people: an engine does
	// not read it.
	To string
	// Relay says where the target's tasks have a relay; nil when they have none, or it is not to be used. Only a tunnel whose
	// Remote has no Host uses it.
	Relay *Relay
	// Unrelayed is why SeekRelay has found no relay; nil where it has found one, and for a tunnel that no relay can serve. It is
	// for people: an engine does not read it.
	Unrelayed error
	// Dynamic makes the tunnel one to any host; nil is a tunnel to Remote.
	Dynamic *Dynamic
	// Local is where to listen. No address means 127.0.0.1 and ::1. Port 0 means the number of the remote port if that port is
	// free, else any free port.
	Local netip.AddrPort
	// AnyPort says that the user has asked for any free port, so that nobody counts on the remote port's number, see
	// Tunnel.Replaced.
	AnyPort bool
	// Socket is the path of a unix socket to listen on instead of Local; it is made with mode 0600.
	Socket string
	// Unlistened opens no listener: connections come from Tunnel.Dial alone.
	Unlistened bool
	// Lanes is how many sessions the tunnel has; 0 is Options.Lanes.
	Lanes int
	// OneTask keeps the sessions on one task, as Options.OneTask does for all tunnels.
	OneTask bool
	// KeepAlive is how often the tunnel sends a few bytes of stream data, so that the account's idle timeout does not end its
	// sessions; 0 is never.
	KeepAlive time.Duration
}

// Listenable returns the error that Open would return for the local end of s now; nil when it can be listened on. It removes a
// stale unix socket, as Open does.
func (s Spec) Listenable() error {
	local, err := listen(s)
	if err != nil {
		return err
	}
	local.close()
	return nil
}

// FarEnd is the tunnel's far end as people and events name it: the remote end, "any host" for a dynamic tunnel, or the name of a
// remote end that is not found yet.
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
