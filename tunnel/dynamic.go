package tunnel

import (
	"time"

	"culvert/tunnel/front"
)

// DefaultDestinations is how many destinations a dynamic tunnel has open at a time, unless its Spec says otherwise: each costs
// its task a session's 10 MB.
const DefaultDestinations = 48

// Dynamic makes a tunnel one to any host: its listener is a proxy for HTTP and SOCKS (package front), and every host and port
// that a client asks for gets sessions of its own, through the tasks of the tunnel's target.
//
// Its State is what holds for all of them. It is Open once a session has been: the permission, the document, the task and its
// agent are right then, which says nothing of any host. A destination that fails is not the tunnel's trouble; that no session
// can be opened at all is.
//
// A client is told that it is connected when the destination is known to accept: by a proof on the first connection, as in Prove,
// and at once on later ones, as one that waited for the agent each time would cost every connection a round trip more. What a
// later one may therefore still learn is that it was refused after all: it is reset then, and the next one is proved again.
type Dynamic struct {
	Via, Deny    []front.Pattern
	Destinations int           // at most, at a time, and sessions to them; 0 is DefaultDestinations
	Wait         time.Duration // a new host waits for a seat this long; 0 is 2m
	Warm         []Endpoint    // opened at the start, and kept
}

// Destination is one host and port of a dynamic tunnel, as it stands.
type Destination struct {
	Endpoint Endpoint
	Direct   bool // from this machine, not through a task: it has no session
	Warm     bool
	State    State
	Err      error
	Link     Link // its session and task
	Stats    Stats
	Opened   time.Time
	Used     time.Time // when it had a connection last
}

// Destinations are those of a dynamic tunnel that are open, in the order in which they were opened; nil of any other tunnel. It
// costs a lock and what Stats costs for each.
func (t *Tunnel) Destinations() []Destination {
	if t.pool == nil {
		return nil
	}
	return t.pool.list()
}

// DestinationConnections are the connections to one of its destinations, the last ended ones included, oldest first. They are
// what the destination sees: a client of HTTP may use several with one of its own, see Connections. Their protocol is the one
// spoken with the destination.
func (t *Tunnel) DestinationConnections(e Endpoint) []Connection {
	if t.pool == nil {
		return nil
	}
	return t.pool.connections(e.normal())
}

// EndDestination ends the sessions of one destination and resets its connections; the next client that asks for it opens it
// anew, and so does the tunnel a warm one. It reports whether there was one.
func (t *Tunnel) EndDestination(e Endpoint) bool {
	return t.pool != nil && t.pool.endOne(e.normal())
}
