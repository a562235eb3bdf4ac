package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Faults are the limits and the defects of the account's sessions and API. They hold from the moment they are set,
// for living sessions as well unless a field says otherwise. Faithful has the values that AWS is known to have.
type Faults struct {
	Seed uint64 // of everything random below; the same seed makes the same story

	// The relay between client and agent.
	Delay      time.Duration // each way; a message waits, those behind it wait along with it
	Up         Path          // what happens to messages from the client to the agent
	Down       Path          // and from the agent to the client
	ClientLeg  Closing       // closes the client's socket by itself: the service does so about every 60 minutes
	AgentLeg   Closing       // the same for the agent's
	Idle       time.Duration // of no stream data either way, then the session ends; 0 is never
	Longest    time.Duration // a session may last; 0 is for ever
	ResumeWith Resuming
	// PauseAgent and PauseClient have the service tell the one side with pause_publication that the other is away. An agent
	// that hears nothing goes on sending, and what it sends is lost.
	PauseAgent, PauseClient bool
	// Largest is the most payload that the service takes in a message of a client; 0 is any. It closes the socket over a larger
	// one with 1009 (message too big), or drops it without a word.
	Largest     int
	DropLarger  bool
	FirstSocket bool // of a client stays its only one while it stands: a second one is taken and gets nothing

	// The opening of a data channel.
	AllowUnsigned bool          // takes upgrades without a signature, as the service did before plugin 1.2.764
	Presigned     bool          // hands out stream URLs that carry their signature
	StreamHost    string        // stands in the stream URL instead of the account's own host:port
	TokenLife     time.Duration // from StartSession or ResumeSession to the opening message

	// The agent.
	AgentVersion     string        // up to 3.0.196.0 it has no mux, up to 3.1.1511.0 its keepalive is on
	AgentStart       time.Duration // its worker needs this long before it asks for the handshake
	LateComplete     time.Duration // after HandshakeComplete: stream data is still acknowledged and thrown away
	PortStart        time.Duration // after that: stream data is dropped unacknowledged
	TerminalStart    time.Duration // what a command prints is looked at only after this
	TellExit         bool          // agents keep stderr apart and tell exit codes, as in NonInteractiveCommands; those of ECS Exec do not
	Pacing           time.Duration // rest after each message of at most 1024 bytes; 0 sends as fast as it can
	WorkersLimit     int           // sessions of one container at a time; one more gets no handshake until another ends
	StartStep        time.Duration // a start that finds the queue of one place full tries again after this
	HandshakeTimeout time.Duration // for the client's answer
	KMS              bool          // asks for encryption with KMSKey
	Around           int           // odd messages put before and behind HandshakeComplete
	Unregistered     bool          // agents have lost their control channel: StartSession answers TargetNotConnected
	NoDocuments      []string      // names of documents that the region does not have
	OwnDocuments     []string      // names of the account's own documents for ports, with the parameters of AWS's for remote hosts
	RefuseLoopback   bool          // newer agents refuse to forward to localhost by the remote-host document
	AgentAway        time.Duration // how much longer than it must an agent that lost its socket takes to get another one
	TakesTwice       bool          // a cut of its socket while it takes a message in leaves that one uncounted: it takes the resend in too
	NoReconnect      bool          // an agent that lost its socket gives up silently, as after its six tries
	SilentStop       bool          // a task that stops says nothing to the client: no channel_closed
	Swallow          []uint16      // destination ports that swallow SYNs: a dial neither works nor fails
	Refuse           []uint16      // destination ports on which nothing listens, in tasks that are started later as well
	Stalled          []uint16      // destination ports that stop reading, on living connections too

	RoleLife time.Duration // of the keys of a role, from STS and from SSO; 0 is what the caller asks for, else an hour

	Starts   []StartFault  // the first that fits decides
	RunTakes time.Duration // RunTask has begun its tasks this long before it answers

	Rates bool       // keeps to the published rates of ECS's API and throttles what goes beyond
	API   []APIFault // the first that fits decides
}

// Path is one direction of the relay. Acknowledges go their own way: losing them is what stalls weaker clients.
type Path struct{ Data, Acks Loss }

// Loss says what happens to messages of one kind in one direction. The chances go from 0 to 1 and are drawn apart.
type Loss struct {
	Drop, Duplicate, Reorder, Delay, Mangle float64

	DropNth  []uint64      // counted from 1, in each session by itself
	DropNext int           // the next so many, over all sessions
	DelayBy  time.Duration // of a delayed message; those behind it overtake
	MangleAs Mangling
	// MangleNext mangles the next so many, over all sessions.
	MangleNext int
}

// Mangling is a way to spoil a frame.
type Mangling int

// The ways to spoil a frame.
const (
	BadDigest   Mangling = iota // a bit of the payload differs
	ShortFrame                  // cut off within the header
	WrongHeader                 // the header length points past the end
	Oversized                   // longer than any message is
)

// Closing says how the service closes a socket by itself.
type Closing struct {
	Every time.Duration // of its life; 0 is never
	Cut   bool          // resets TCP instead of a close 1000 "Bye"
}

// Resuming is how ResumeSession answers.
type Resuming int

// The ways ResumeSession can answer.
const (
	ResumeWorks        Resuming = iota
	ResumeDenied                // AccessDeniedException
	ResumeUnknown               // DoesNotExistException
	ResumeWithoutToken          // an answer that means the session is over
)

// APIFault is what happens to calls instead of their work.
type APIFault struct {
	Action   string // "ssm:StartSession", "ssm:*" or "*"; "ssmmessages:OpenDataChannel" is the websocket's upgrade
	Resource string // ARN, or its beginning followed by "*"; empty is any
	Kind     APIFaultKind
	Times    int       // then it is gone; 0 stays
	Until    time.Time // by the account's clock; zero has no end
}

// APIFaultKind is what an API fault does.
type APIFaultKind int

// The kinds of API faults.
const (
	Deny         APIFaultKind = iota // no policy allows it
	DenyByPolicy                     // a policy forbids it
	Throttle
	ServerError
	Unreachable // the connection is cut without an answer
)

// Faithful is how AWS and its agent behave, as far as protocol.md knows.
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

// Fault changes the faults while sessions live: change gets the present ones.
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

// knobs returns a copy of the present faults; its slices are shared and read only.
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

// admit says whether a call may be made: nil, an *apiError in the words of AWS, or unreachableError.
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

// denied is AWS's sentence for what IAM refuses.
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

// apiFault finds the fault for a call and counts its use.
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
			// A copy, because others may be reading the present list.
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
