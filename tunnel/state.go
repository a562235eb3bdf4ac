package tunnel

import (
	"time"

	"culvert/aws"
)

// State is where a tunnel stands.
type State int

// The states of a tunnel. Closed and Failed are final.
const (
	Starting    State = iota // listening; StartSession is under way
	Handshaking              // the websocket is open, the agent has not agreed yet
	Open                     // connections flow
	Resuming                 // the socket is gone, the session is being resumed; connections wait
	Reopening                // the session is gone, another one is being opened
	Asleep                   // the account's idle timeout has ended the session; the next local connection has another one opened
	Closed                   // the tunnel was told to stop, and has
	Failed                   // the tunnel is lost for good
)

// String returns the word users see.
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Handshaking:
		return "handshaking"
	case Open:
		return "open"
	case Resuming:
		return "resuming"
	case Reopening:
		return "reopening"
	case Asleep:
		return "asleep"
	case Closed:
		return "closed"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// Final reports whether no other state can follow.
func (s State) Final() bool { return s == Closed || s == Failed }

// ID numbers the tunnels of an engine from 1.
type ID int

// Event is one change in the life of a tunnel: of its state, of the reason for the state, or of its session.
type Event struct {
	Tunnel ID
	At     time.Time
	State  State
	Err    error // why, for Resuming, Reopening, Asleep, Closed and Failed; nil when nothing went wrong
	// Link is the session that carries the tunnel, or the last one that did; zero before the first session.
	Link Link
	// Destination is set when it is not the tunnel but one destination of a dynamic tunnel that has changed. State, Err and Link
	// are those of the destination then. A reader that only follows tunnels passes over such events.
	Destination *Endpoint
}

// Link is the session that carries a tunnel.
type Link struct {
	Target  aws.Target
	Session string // session id
	Agent   string // the agent's version; empty until the agent has told it
	Relay   Relaying
}

// Stats are the totals of a tunnel since it was opened, over all its sessions.
type Stats struct {
	Received, Sent uint64        // bytes of the connections; Received are those from the far end to the clients
	Connections    int           // connections that are open now
	Accepted       uint64        // connections since the tunnel was opened
	Resent         uint64        // messages to agents that were sent again
	RoundTrip      time.Duration // the shortest of those to the agents of the open sessions; 0 before it is known
	Lanes          int           // sessions that are open now, those to a relay included
	Strands        int           // those of the lanes that carry connections through a relay
	Retries        uint64        // how often a session was resumed or had to be replaced
	MessageSize    int           // payload bytes of a message to the agent, the most of the open sessions; 0 without any
}

// Connection is a copy of what is known about one local connection.
type Connection struct {
	ID             uint64
	Started, Ended time.Time // Ended is zero while it is open
	Protocol       Protocol
	Host           string // host[:port] of the first request where the protocol names one
	Received, Sent uint64
	Requests       uint64  // requests of HTTP/1, as far as they could be read; a CONNECT is one
	Status         int     // the HTTP/1 status of the proxy's first refusal, else of the last answer; 0 when there was none
	Refused        uint64  // requests that the proxy itself refused, and a refused login or handshake
	Hosts          []Share // what went to each host, where the requests named more than one host; else nil
	// Err is how the connection has ended: nil while it is open, and when both sides were done and nothing was refused; an
	// *AnswerError when something was refused.
	Err error
}

// Protocol is what the first bytes of a connection look like.
type Protocol string

// The protocols that are told apart. These words stand in the headless output.
const (
	ProtocolUnknown     Protocol = "tcp"
	ProtocolHTTPConnect Protocol = "http-connect"
	ProtocolHTTP        Protocol = "http"
	ProtocolTLS         Protocol = "tls"
	ProtocolSSH         Protocol = "ssh"
	ProtocolPostgres    Protocol = "postgres"
	ProtocolMySQL       Protocol = "mysql"
	ProtocolRedis       Protocol = "redis"
	ProtocolH2C         Protocol = "h2c"  // HTTP/2 without TLS; of its requests only the first is looked at
	ProtocolGRPC        Protocol = "grpc" // HTTP/2 without TLS whose first request is one of gRPC
	ProtocolAMQP        Protocol = "amqp"
	ProtocolMongoDB     Protocol = "mongodb"
	ProtocolMSSQL       Protocol = "mssql"
	ProtocolSMTP        Protocol = "smtp"
	ProtocolKafka       Protocol = "kafka"
	ProtocolLDAP        Protocol = "ldap"
	ProtocolRDP         Protocol = "rdp"
	ProtocolSOCKS       Protocol = "socks5"
	ProtocolSOCKS4      Protocol = "socks4" // SOCKS 4 or 4a; as SOCKS 5, only recognized in the connections of a dynamic tunnel
)
