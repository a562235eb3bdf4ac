package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Faults are the limits and the defects of the account's sessions and API. They apply from the moment they are set, to open
// sessions as well unless a comment says otherwise. Faithful has the values that are known of AWS.
type Faults struct {
	Seed uint64 // for everything random below; the same seed gives the same events

	// The relay between client and agent.
	Delay      time.Duration // each way; later messages wait behind earlier ones
	Up         Path          // what happens to messages from the client to the agent
	Down       Path          // what happens to messages from the agent to the client
	ClientLeg  Closing       // when the service closes the client's socket by itself; AWS does about every 60 minutes
	AgentLeg   Closing       // the same for the agent's socket
	Idle       time.Duration // how long no stream data may pass, either way, before the session ends; 0 is for ever
	Longest    time.Duration // how long a session may last; 0 is for ever
	ResumeWith Resuming
	// PauseAgent and PauseClient have the service tell one side, with pause_publication, that the other side is away. An agent
	// that is not told goes on sending, and what it sends is lost.
	PauseAgent, PauseClient bool
	// Largest is how many bytes of payload the service takes in a client's message; 0 is any number. When a message is larger
	// it closes the socket with 1009 (message too big) or, with DropLarger, drops the message.
	Largest     int
	DropLarger  bool
	FirstSocket bool // while a client has a socket, another one is accepted, but gets nothing

	// The opening of a data channel.
	AllowUnsigned bool          // accepts upgrades without a signature, as the service did before plugin 1.2.764
	Presigned     bool          // stream URLs have their signature in the query
	StreamHost    string        // in stream URLs, in place of the account's own host:port
	TokenLife     time.Duration // how long a token is valid from StartSession or ResumeSession on

	// The agent.
	AgentVersion     string        // agents up to 3.0.196.0 have no mux, agents up to 3.1.1511.0 send mux keepalives
	AgentStart       time.Duration // how long the agent needs to start the process of a session, which asks for the handshake
	LateComplete     time.Duration // how long, after HandshakeComplete, stream data is still acknowledged and dropped
	PortStart        time.Duration // how long, after that, stream data is dropped without an acknowledge
	TerminalStart    time.Duration // how long after its start what a command prints is not looked at
	TellExit         bool          // agents send stderr apart from stdout, and exit codes, as in NonInteractiveCommands; those of ECS Exec do not
	Pacing           time.Duration // pause after each message of at most 1024 bytes; 0 for none
	WorkersLimit     int           // how many sessions a container has at a time; the next gets no handshake until one of them ends
	StartStep        time.Duration // how long a start waits before it tries again when the queue, which holds one start, is full
	HandshakeTimeout time.Duration // for the client's answer
	KMS              bool          // the agent asks for encryption with KMSKey
	Around           int           // how many rounds of odd messages are sent before HandshakeComplete, and after it
	Unregistered     bool          // agents have lost their control channel: StartSession answers TargetNotConnected
	NoDocuments      []string      // names of AWS's documents that the region does not have
	OwnDocuments     []string      // names of the account's own documents for port sessions, with the parameters of AWS's for remote hosts
	RefuseLoopback   bool          // agents refuse to forward to localhost by the document for remote hosts, as newer ones do
	AgentAway        time.Duration // added to the time that an agent takes to replace a socket that it has lost
	TakesTwice       bool          // an agent does not count a message that it was handling when its socket was cut: it handles the resent one as well
	NoReconnect      bool          // an agent that has lost its socket gives up silently, as after its six attempts
	SilentStop       bool          // when a task stops, the client is not told by channel_closed
	Swallow          []uint16      // destination ports that do not answer: a dial neither succeeds nor fails
	Refuse           []uint16      // destination ports on which nothing listens, also in tasks that are started later
	Stalled          []uint16      // destination ports that stop reading, also on open connections

	RoleLife time.Duration // of a role's keys, from STS and from SSO; 0 is as long as the caller asks for, else an hour

	Starts   []StartFault  // the first one that fits decides
	RunTakes time.Duration // how long RunTask delays its answer once it has started the tasks

	Rates bool       // the account keeps to the published rates of ECS's API, and throttles calls beyond them
	API   []APIFault // the first one that fits decides
}

// Path is one direction of the relay. Acknowledges have losses of their own, as losing those is what stalls weaker clients.
type Path struct{ Data, Acks Loss }

// Loss says what happens to messages of one kind in one direction. Chances are from 0 to 1 and are drawn independently.
type Loss struct {
	Drop, Duplicate, Reorder, Delay, Mangle float64

	DropNth  []uint64      // counted from 1, in each session separately
	DropNext int           // how many messages are dropped from now on, over all sessions
	DelayBy  time.Duration // how long a delayed message takes; later ones overtake it
	MangleAs Mangling
	// MangleNext is how many messages are mangled from now on, over all sessions.
	MangleNext int
}

// Mangling is a way to damage a frame.
type Mangling int

// The ways to damage a frame.
const (
	BadDigest   Mangling = iota // a bit of the payload is changed
	ShortFrame                  // the frame ends within its header
	WrongHeader                 // the header length points beyond the end
	Oversized                   // the frame is longer than any message
)

// Closing says when and how the service closes a socket by itself.
type Closing struct {
	Every time.Duration // how long a socket lives; 0 is for ever
	Cut   bool          // TCP is reset, in place of a close frame 1000 "Bye"
}

// Resuming says how ResumeSession answers.
type Resuming int

// The ways ResumeSession can answer.
const (
	ResumeWorks        Resuming = iota
	ResumeDenied                // AccessDeniedException
	ResumeUnknown               // DoesNotExistException
	ResumeWithoutToken          // an answer without a token, which means that the session is over
)

// APIFault is what happens to calls in place of their effect.
type APIFault struct {
	Action   string // "ssm:StartSession", "ssm:*" or "*"; "ssmmessages:OpenDataChannel" is the upgrade to a websocket
	Resource string // ARN, or the beginning of one followed by "*"; empty for any
	Kind     APIFaultKind
	Times    int       // for how many calls; 0 for all
	Until    time.Time // by the account's clock; zero for no end
}

// APIFaultKind is what happens to a call.
type APIFaultKind int

// The kinds of API faults.
const (
	Deny         APIFaultKind = iota // no policy allows the call
	DenyByPolicy                     // a policy forbids the call
	Throttle
	ServerError
	Unreachable // the connection is cut without an answer
)

// Faithful has the behaviour of AWS and of its agent, as far as protocol.md knows it.
func Faithful() Faults {
	return Faults{
		Seed:             1,
		Delay:            time.Millisecond,
		ClientLeg:        Closing{Every: time.Hour},
		AgentLeg:         Closing{Every: time.Hour},
		Idle:             20 * time.Minute,
		PauseClient:      true,
		TokenLife:        time.Minute,
		AgentVersion:     "3.3.0.0",
		AgentStart:       30 * time.Millisecond,
		PortStart:        2 * time.Millisecond,
		TerminalStart:    time.Second,
		Pacing:           time.Millisecond,
		WorkersLimit:     1000,
		StartStep:        time.Second,
		TakesTwice:       true,
		HandshakeTimeout: 15 * time.Second,
	}
}

func (f Faults) clone() Faults {
	for _, l := range []*Loss{&f.Up.Data, &f.Up.Acks, &f.Down.Data, &f.Down.Acks} {
		l.DropNth = slices.Clone(l.DropNth)
	}
	f.Swallow, f.Refuse, f.Stalled, f.API = slices.Clone(f.Swallow), slices.Clone(f.Refuse), slices.Clone(f.Stalled), slices.Clone(f.API)
	f.NoDocuments = slices.Clone(f.NoDocuments)
	f.OwnDocuments = slices.Clone(f.OwnDocuments)
	f.Starts = slices.Clone(f.Starts)
	return f
}

// Fault changes the faults while sessions are open: change gets a copy of the present ones.
func (e *Emulator) Fault(change func(*Faults)) {
	d := &e.data
	d.mu.Lock()
	defer d.mu.Unlock()
	next := d.faults.clone()
	change(&next)
	d.faults = next.clone()
	close(d.changed)
	d.changed = make(chan struct{})
}

// Faults returns a copy of the present faults.
func (e *Emulator) Faults() Faults { return e.data.knobs() }

// knobs returns the present faults. Its slices are shared: they may only be read.
func (d *dataPath) knobs() Faults {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults
}

// watch returns the present faults and a channel that is closed when they change.
func (d *dataPath) watch() (Faults, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults, d.changed
}

// admit returns nil when a call may be made, else an *apiError with AWS's text, or an unreachableError.
func (d *dataPath) admit(r *request, service, action, resource string) error {
	name := service + ":" + action
	kind, found := d.apiFault(name, resource)
	if !found && d.knobs().Rates && !d.emulator.rates.take(name, d.now()) {
		kind, found = Throttle, true
	}
	if !found {
		return d.emulator.authorize(r, service, name, resource)
	}
	switch kind {
	case Unreachable:
		return unreachableError{}
	case ServerError:
		code := "InternalServerError"
		switch service {
		case "ecs":
			code = "ServerException"
		case "kms":
			code = "KMSInternalException"
		case "sts":
			code = "ServiceUnavailable"
		}
		return &apiError{Code: code, Message: "The service is unable to handle the request at this time.", Status: http.StatusInternalServerError}
	case Throttle:
		if service == "sts" {
			return &apiError{Code: "Throttling", Message: "Rate exceeded"}
		}
		return &apiError{Code: "ThrottlingException", Message: "Rate exceeded"}
	case DenyByPolicy:
		return denied(r.Caller.ARN, service, name, resource, "with an explicit deny in an identity-based policy")
	case Deny:
		return denied(r.Caller.ARN, service, name, resource, "because no identity-based policy allows the "+name+" action")
	}
	return nil
}

// denied is AWS's text for what IAM refuses.
func denied(who, service, action, resource, reason string) *apiError {
	e := &apiError{
		Code:    accessDenied,
		Message: fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s %s", who, action, resource, reason),
	}
	if service == "sts" {
		e.Code, e.Status = "AccessDenied", http.StatusForbidden
	}
	return e
}

// apiFault finds the fault for a call, and counts a use of it.
func (d *dataPath) apiFault(name, resource string) (APIFaultKind, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, f := range d.faults.API {
		if !fits(f.Action, name) || (f.Resource != "" && !fits(f.Resource, resource)) {
			continue
		}
		if !f.Until.IsZero() && !d.now().Before(f.Until) {
			continue
		}
		if f.Times > 0 {
			// The list is copied, as others may be reading the present one.
			list := slices.Clone(d.faults.API)
			if list[i].Times--; list[i].Times == 0 {
				list = slices.Delete(list, i, i+1)
			}
			d.faults.API = list
		}
		return f.Kind, true
	}
	return 0, false
}

// fits reports whether a name is the pattern, or begins with it when the pattern ends in "*".
func fits(pattern, name string) bool {
	if stem, wild := strings.CutSuffix(pattern, "*"); wild {
		return strings.HasPrefix(name, stem)
	}
	return pattern == name
}
