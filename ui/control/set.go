// Package control finds, asks and ends the processes that hold tunnels in the background for `culvert up`. Each holds
// one set of tunnels under a name, keeps a record of itself in a file and answers on a unix socket beside it; both are
// for their owner alone.
package control

import (
	"fmt"
	"strings"
	"time"
)

// The states of a set.
const (
	Starting = "starting" // not every tunnel is proved ready yet
	Ready    = "ready"
	Partial  = "partial" // the tunnels of one account are ready, those of another could not be had
	Ending   = "ending"
	Silent   = "unresponsive" // its process lives and does not answer
	Failed   = "failed"       // it ended by itself, Error says why
	Crashed  = "crashed"      // its process is gone without having ended its sessions
	Ended    = "ended"        // it ended by itself as it was asked to, Ended of the set says when and why
)

// Account is how the account of a tunnel is reached, as the flags of those names say it.
type Account struct {
	Profile  string `json:"profile,omitempty"`
	Region   string `json:"region,omitempty"`
	Role     string `json:"role,omitempty"`                   // ARN
	Token    string `json:"web_identity_token_env,omitempty"` // the name of the variable that has it
	Endpoint string `json:"endpoint,omitempty"`
	Named    bool   `json:"named,omitempty"` // Endpoint, by flag or environment: bearer secrets may go there (docs/security.md)
}

// Unended is a session that could not be terminated when its set ended.
type Unended struct {
	Session string `json:"session"`
	Error   string `json:"error"`
	Remedy  string `json:"remedy"`
}

// Set is the tunnels that one process holds, as it is asked or, when it is gone, as its record says. It is the JSON of
// `culvert status -o json`: fields may be added, never renamed.
type Set struct {
	Name    string    `json:"name"`
	State   string    `json:"state"`
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	Took    int64     `json:"took_ms,omitempty"` // until everything was ready
	Log     string    `json:"log"`
	Request []string  `json:"request,omitempty"` // what was asked for, in a form to compare
	Error   string    `json:"error,omitempty"`
	Remedy  string    `json:"remedy,omitempty"`
	Tunnels []Tunnel  `json:"tunnels"`
	Left    []Unended `json:"left,omitempty"`  // once it has ended
	Ended   *End      `json:"ended,omitempty"` // where it did so by itself
}

// End says when a set ended by itself, and why.
type End struct {
	At     time.Time `json:"time"`
	Reason string    `json:"reason"`
}

func (e *End) String() string {
	return fmt.Sprintf("ended by itself at %s: %s", e.At.UTC().Format(time.RFC3339), e.Reason)
}

// Tunnel is one tunnel of a set with its numbers at the moment of asking.
type Tunnel struct {
	ID           int           `json:"id"`
	State        string        `json:"state"`
	Ready        bool          `json:"ready"`             // it has been proved
	Refused      bool          `json:"refused,omitempty"` // it was given up because the far end refuses
	Local        string        `json:"local"`
	Host         string        `json:"host,omitempty"` // of Local, where it is no socket
	Port         uint16        `json:"port,omitempty"`
	Taken        string        `json:"taken,omitempty"`        // who has the port that Local stands in for
	ProxyURL     string        `json:"proxy_url,omitempty"`    // without the password of its login
	Proof        string        `json:"proof,omitempty"`        // what it was proved by, as in the ready event
	Server       string        `json:"server,omitempty"`       // what answered calls itself
	LoginWanted  bool          `json:"login_wanted,omitempty"` // the proxy wants a user and password, of which none were given
	Remote       string        `json:"remote"`
	To           string        `json:"to,omitempty"`      // the name by which Remote was found
	Dynamic      *Dynamic      `json:"dynamic,omitempty"` // of a tunnel to any host
	Profile      string        `json:"profile,omitempty"` // and Region: where the saved tunnel names them
	Region       string        `json:"region,omitempty"`
	Cluster      string        `json:"cluster"`
	Service      string        `json:"service,omitempty"`
	Family       string        `json:"family,omitempty"` // of a task that no service started
	Task         string        `json:"task,omitempty"`
	TaskARN      string        `json:"task_arn,omitempty"`
	Container    string        `json:"container,omitempty"`
	Session      string        `json:"session,omitempty"`
	AgentVersion string        `json:"agent_version,omitempty"`
	Relay        string        `json:"relay,omitempty"`     // on, or off where one was tried; empty where there is none
	RelayWhy     string        `json:"relay_why,omitempty"` // it is off
	Strands      int           `json:"strands,omitempty"`   // sessions that it bonds
	Sent         uint64        `json:"sent"`
	Received     uint64        `json:"received"`
	Connections  int           `json:"connections"` // open now
	Accepted     uint64        `json:"accepted"`    // since the start
	Retries      uint64        `json:"retries"`
	RoundTripMS  int64         `json:"round_trip_ms"`
	MessageSize  int           `json:"message_size,omitempty"` // bytes of payload on the way up; 0 without an open session
	Took         int64         `json:"took_ms,omitempty"`      // until it was ready
	Error        string        `json:"error,omitempty"`
	Remedy       string        `json:"remedy,omitempty"`
	Hosts        []Host        `json:"hosts,omitempty"`        // busiest first
	Steps        []Step        `json:"steps,omitempty"`        // since it was ready, the last MaxSteps
	Destinations []Destination `json:"destinations,omitempty"` // of a tunnel to any host, as they were opened
}

// Host is what went to one host through a tunnel.
type Host struct {
	Host        string `json:"host"`
	Connections uint64 `json:"connections"` // one that was used for several hosts counts for each of them
	Open        int    `json:"open,omitempty"`
	Requests    uint64 `json:"requests,omitempty"`
	Failed      uint64 `json:"failed,omitempty"` // refused requests, and connections that failed
	Sent        uint64 `json:"sent"`
	Received    uint64 `json:"received"`
	Error       string `json:"error,omitempty"` // the last of what Failed counts
}

// Alive reports whether a process holds the set.
func (s Set) Alive() bool { return s.State != Failed && s.State != Crashed && s.State != Ended }

// FarEnd is where the tunnel leads, and by which name that was found unless it says so itself.
func (t Tunnel) FarEnd() string {
	if t.To == "" || t.Remote == t.To || strings.HasPrefix(t.Remote, t.To+":") {
		return t.Remote
	}
	return t.Remote + " (" + t.To + ")"
}
