package tunnel

import (
	"time"

	"culvert/tunnel/front"
)

// DefaultDestinations is how many destinations a dynamic tunnel has open at a time, unless its Spec says otherwise: each costs
// its task a session's 10 MB.
const DefaultDestinations = 48

// Dynamic makes a tunnel one to any host: its listener is a proxy for HTTP and SOCKS (package front), and every host and port
// that a client asks for (a destination) gets sessions of its own, through the tasks of the tunnel's target.
//
// The State of such a tunnel is what holds for all its destinations. It becomes Open with the first session to any of them: the
// permission, the document, the task and its agent are right then, which says nothing of any host. One destination that fails
// does not change the tunnel's state; only that no session can be opened at all does.
//
// A client is told that it is connected when the destination is known to accept connections. For the first connection a proof
// shows that, as in Prove. Later connections are told at once, as a proof would cost each of them another round trip to the
// agent. So a later connection may be refused after all: then it is reset, and the next one waits for a proof again.
type Dynamic struct {
	Via, Deny    []front.Pattern // which hosts are reached through a task, and which are refused; see front.NewRules
	Destinations int             // how many sessions there may be at a time, so how many destinations; 0 is DefaultDestinations
	Wait         time.Duration   // how long a new host waits for a seat; 0 is 2 minutes
	Warm         []Endpoint      // destinations that are opened at the start and kept open
}

// Destination is one host and port of a dynamic tunnel, as it stands.
type Destination struct {
	Endpoint Endpoint
	Direct   bool // reached from this machine, not through a task: it has no session
	Warm     bool // kept open (Dynamic.Warm)
	State    State
	Err      error // why it has no session, or of a direct one why the last attempt failed; nil when nothing went wrong
	Link     Link  // the session and task that carry it
	Stats    Stats
	Opened   time.Time
	Used     time.Time // when it last had a connection
}

// Destinations returns the open destinations of a dynamic tunnel, in the order in which they were opened; nil for any other
// tunnel. The call costs a lock, and for each destination what Stats costs.
func (t *Tunnel) Destinations() []Destination {
	if t.pool == nil {
		return nil
	}
	return t.pool.list()
}

// DestinationConnections returns the connections of a dynamic tunnel to one destination, the last ended ones included, oldest
// first. They are the connections that the destination sees: for one connection of an HTTP client, as Connections lists them,
// there may be several of these. Their Protocol is the one spoken with the destination.
func (t *Tunnel) DestinationConnections(e Endpoint) []Connection {
	if t.pool == nil {
		return nil
	}
	return t.pool.connections(e.normal())
}

// EndDestination ends the sessions of one destination and resets its connections. The next client that asks for the destination
// opens it anew; a warm one is opened anew by the tunnel itself. It reports whether the destination was open.
func (t *Tunnel) EndDestination(e Endpoint) bool {
	return t.pool != nil && t.pool.endOne(e.normal())
}
