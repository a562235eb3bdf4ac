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
	Asleep                   // closed by the account's idle timeout; the next local connection wakes it
	Closed                   // stopped because it was told to
	Failed                   // lost for good
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

// Event is one change in the life of a tunnel: of its state, of the reason for that, or of its session.
type Event struct {
	Tunnel ID
	At     time.Time
	State  State
	Err    error // why, for Resuming, Reopening, Asleep, Closed and Failed; nil when nothing went wrong
	// Link is what carries the tunnel now; zero before the first session.
	Link Link
	// Destination is set where it is not the tunnel that has changed but one of a dynamic tunnel's destinations. State, Err and
	// Link are those of the destination then. A reader that follows tunnels alone passes over such events.
	Destination *Endpoint
}

// Link is the session that carries a tunnel.
type Link struct {
	Target  aws.Target
	Session string // session id
	Agent   string // version; empty until the agent has named it
	Relay   Relaying
}

// Stats are the totals of a tunnel since it was opened, over all its sessions.
type Stats struct {
	Received, Sent uint64 // bytes of the connections; Received are those from the far end to the clients
	Connections    int    // that are open now
	Accepted       uint64 // connections since the tunnel was opened
	Resent         uint64 // messages to the agents that were sent again
	RoundTrip      time.Duration
	Lanes          int    // sessions, those to a relay included
	Strands        int    // of these, what carries connections through a relay
	Retries        uint64 // resumes and new sessions
	MessageSize    int    // payload bytes of a message up, the largest of the sessions that are open; 0 without any
}

// Connection is a copy of what is known about one local connection.
type Connection struct {
	ID             uint64
	Started, Ended time.Time // Ended is zero while it is open
	Protocol       Protocol
	Host           string // host[:port] of the first request where the protocol names one
	Received, Sent uint64
	Requests       uint64  // of HTTP/1, as far as they could be read; a CONNECT is one
	Status         int     // of HTTP/1: the proxy's first refusal, else the last answer; 0 when there was none
	Refused        uint64  // requests that the proxy itself answered with 400 or above, and a refused login or handshake
	Hosts          []Share // of all its hosts where its requests named more than one
	// Err is how it ended: nil when both sides were done and nothing was refused, an *AnswerError when something was.
	Err error
}

// Protocol is what the first bytes of a connection look like.
type Protocol string

// The protocols that are told apart. The words are those of the headless output.
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
	ProtocolGRPC        Protocol = "grpc" // on h2c
	ProtocolAMQP        Protocol = "amqp"
	ProtocolMongoDB     Protocol = "mongodb"
	ProtocolMSSQL       Protocol = "mssql"
	ProtocolSMTP        Protocol = "smtp"
	ProtocolKafka       Protocol = "kafka"
	ProtocolLDAP        Protocol = "ldap"
	ProtocolRDP         Protocol = "rdp"
	ProtocolSOCKS       Protocol = "socks5"
	ProtocolSOCKS4      Protocol = "socks4" // and 4a, spoken with a dynamic tunnel
)
