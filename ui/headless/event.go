package headless

import (
	"fmt"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
)

// The events of the output; their JSON form is the contract of the command line. Fields may be added, never renamed.

// head begins every event.
type head struct {
	Time   string    `json:"time"` // RFC 3339 in UTC with milliseconds
	Event  string    `json:"event"`
	Tunnel tunnel.ID `json:"tunnel"`
}

const timeForm = "2006-01-02T15:04:05.000Z"

func newHead(at time.Time, event string, id tunnel.ID) head {
	return head{Time: at.UTC().Format(timeForm), Event: event, Tunnel: id}
}

// words are an error's text and remedy as they are printed; empty for nil.
func words(err error) (text, remedy string) {
	if err == nil {
		return "", ""
	}
	return say.Line(err.Error()), say.Line(say.Remedy(err))
}

type stateEvent struct {
	head

	State        string `json:"state"`
	Profile      string `json:"profile,omitempty"` // this and Region only where the saved tunnel names them
	Region       string `json:"region,omitempty"`
	Cluster      string `json:"cluster"`
	Service      string `json:"service,omitempty"`
	Family       string `json:"family,omitempty"` // of a task that no service started
	Task         string `json:"task,omitempty"`
	Container    string `json:"container,omitempty"`
	Session      string `json:"session,omitempty"`
	Local        string `json:"local"`
	Remote       string `json:"remote"`
	To           string `json:"to,omitempty"`          // the name by which Remote was found
	Destination  string `json:"destination,omitempty"` // of a tunnel to any host: the destination that has changed
	AgentVersion string `json:"agent_version,omitempty"`
	Relay        string `json:"relay,omitempty"` // "on", or "off" where one was tried; RelayWhy then says why
	RelayWhy     string `json:"relay_why,omitempty"`
	Error        string `json:"error,omitempty"`
	Remedy       string `json:"remedy,omitempty"`
}

// relaying says whether connections go through a relay, and why not; empty when the far end is not known to have one.
func relaying(r tunnel.Relaying) (word, why string) {
	switch {
	case r.On:
		return "on", ""
	case r.Why != "":
		return "off", say.Line(r.Why)
	}
	return "", ""
}

// relay is the same in words for people.
func (e stateEvent) relay() string {
	switch {
	case e.RelayWhy != "":
		return "relay " + e.Relay + " (" + e.RelayWhy + ")"
	case e.Relay != "":
		return "relay " + e.Relay
	}
	return ""
}

func newStateEvent(e tunnel.Event, t *tracked) stateEvent {
	target := t.target
	if e.Destination != nil {
		target.Task = "" // each destination has a session of its own, and so a task
	}
	if e.Link.Target.Task != "" {
		target = e.Link.Target
	}
	s := stateEvent{
		head:    newHead(e.At, "state", e.Tunnel),
		State:   e.State.String(),
		Profile: t.forward.Profile, Region: t.forward.Region,
		Cluster: target.Cluster, Service: target.Service, Family: target.Family, Task: target.Task, Container: target.Container,
		Session: e.Link.Session,
		Local:   t.local(),
		Remote:  t.Spec().FarEnd(), To: t.Spec().To,
	}
	if e.Destination != nil {
		s.Destination = say.Line(hostPort(*e.Destination))
	}
	s.Error, s.Remedy = words(e.Err)
	s.AgentVersion = e.Link.Agent
	s.Relay, s.RelayWhy = relaying(e.Link.Relay)
	return s
}

// absentEvents are all events of a tunnel that could not be opened.
func absentEvents(a absent) []any {
	now, shown := time.Now(), a.shown()
	state := stateEvent{
		head: newHead(now, "state", a.id), State: shown.State, Profile: shown.Profile, Region: shown.Region,
		Cluster: shown.Cluster, Service: shown.Service, Family: shown.Family, Task: shown.Task, Container: shown.Container,
		Local: shown.Local, Remote: shown.Remote, To: shown.To, Error: shown.Error, Remedy: shown.Remedy,
	}
	return []any{state, closedEvent{head: newHead(now, "closed", a.id), Reason: "lost", Error: shown.Error, Remedy: shown.Remedy}}
}

type readyEvent struct {
	head

	Local    string `json:"local"`
	To       string `json:"to,omitempty"`
	ProxyURL string `json:"proxy_url,omitempty"`
	Took     int64  `json:"took_ms"`
	evidence
}

// evidence is what was proved, and how long that took.
type evidence struct {
	Proof   string `json:"proof"`
	Connect *int64 `json:"connect_ms,omitempty"` // nil where nothing was connected
	Answer  *int64 `json:"answer_ms,omitempty"`  // nil where no protocol was asked for an answer
}

func newReadyEvent(at time.Time, t *tracked, p proof, took time.Duration) readyEvent {
	return readyEvent{head: newHead(at, "ready", t.ID()), Local: t.local(), To: t.Spec().To, Took: took.Milliseconds(), evidence: newEvidence(p)}
}

func newEvidence(p proof) evidence {
	e := evidence{Proof: p.by}
	milliseconds := func(d time.Duration) *int64 {
		n := d.Milliseconds()
		return &n
	}
	if p.by != provedNone && !p.session {
		e.Connect = milliseconds(p.connect)
	}
	if p.answered > 0 {
		e.Answer = milliseconds(p.answered)
	}
	return e
}

// how says in words what was proved.
func (e evidence) how() string {
	switch {
	case e.Proof == provedSession:
		return "a session was opened"
	case e.Connect == nil && e.Answer != nil:
		return fmt.Sprintf("%s answered in %d ms", e.Proof, *e.Answer)
	case e.Connect == nil:
		return "not proved"
	case e.Answer == nil:
		return fmt.Sprintf("accepted in %d ms", *e.Connect)
	}
	return fmt.Sprintf("%s answered in %d ms", e.Proof, *e.Answer)
}

// proofEvent is the outcome of a proof that follows on the first one, behind another task or session.
type proofEvent struct {
	head

	Proved bool `json:"proved"`
	evidence

	Error  string `json:"error,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

func newProofEvent(at time.Time, t *tracked, p probed) proofEvent {
	e := proofEvent{head: newHead(at, "proof", t.ID()), Proved: p.err == nil}
	if e.Proved {
		e.evidence = newEvidence(p.proof)
	} else {
		e.Proof = provedNone
	}
	e.Error, e.Remedy = words(p.err)
	return e
}

// warningEvent is something that is likely to go wrong behind a tunnel that is ready.
type warningEvent struct {
	head

	Warning string `json:"warning"`
	Remedy  string `json:"remedy,omitempty"`
}

type connectionEvent struct {
	head

	ID       uint64  `json:"id"`
	Protocol string  `json:"protocol"`
	Host     string  `json:"host,omitempty"`
	Sent     uint64  `json:"sent"`
	Received uint64  `json:"received"`
	Took     int64   `json:"took_ms"`
	Status   int     `json:"status,omitempty"`
	Requests uint64  `json:"requests,omitempty"`
	Hosts    []share `json:"hosts,omitempty"` // when there is more than one
	Error    string  `json:"error,omitempty"`
	Remedy   string  `json:"remedy,omitempty"`
}

// share is the part that one host has in a connection that was used for several hosts.
type share struct {
	Host     string `json:"host"`
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed,omitempty"`
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
	Error    string `json:"error,omitempty"`
}

func newConnectionEvent(e tunnel.Ending) connectionEvent {
	c := e.Connection
	line := connectionEvent{
		head: newHead(e.Connection.Ended, "connection", e.Tunnel),
		ID:   c.ID, Protocol: string(c.Protocol), Host: c.Host,
		Sent: c.Sent, Received: c.Received,
		Took: c.Ended.Sub(c.Started).Milliseconds(), Status: c.Status, Requests: c.Requests,
	}
	if len(c.Hosts) > 0 {
		for _, s := range c.Split() {
			problem, _ := words(s.Err)
			line.Hosts = append(line.Hosts, share{s.Host, s.Requests, s.Failed, s.Sent, s.Received, problem})
		}
	}
	line.Error, line.Remedy = words(c.Err)
	return line
}

type trafficEvent struct {
	head

	Sent        uint64 `json:"sent"`
	Received    uint64 `json:"received"`
	Connections int    `json:"connections"`
}

type closedEvent struct {
	head

	Reason string `json:"reason"`
	Error  string `json:"error,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}
