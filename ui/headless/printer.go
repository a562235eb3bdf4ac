package headless

import (
	"fmt"
	"strconv"
	"strings"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
)

// printer makes one line of each event and hands it to the outbox. It is used by one goroutine.
type printer struct {
	*outbox

	json   bool
	color  bool
	people *people   // nil unless the lines are for people, see people.go
	before tunnel.ID // added to the ids of tunnels in lines of text, see Board
}

// The SGR codes of the words that are coloured on a terminal.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
)

func (p *printer) event(event any) {
	if e, ok := event.(stateEvent); ok && p.people != nil && e.onItsWay() {
		return
	}
	line := p.text(event) + "\n"
	if p.json {
		var err error
		if line, err = say.JSON(event, ""); err != nil {
			line = strconv.Quote(err.Error()) + "\n" // events are of plain types: this does not happen
		}
	}
	p.put([]byte(line), isMinor(event))
}

// isMinor reports whether an event is one of which there may be any number, so that it may be left out.
func isMinor(event any) bool {
	switch e := event.(type) {
	case trafficEvent, connectionEvent:
		return true
	case stateEvent:
		return e.Destination != ""
	}
	return false
}

func (p *printer) text(event any) string {
	switch e := event.(type) {
	case stateEvent:
		facts := e.long()
		if p.people != nil {
			facts = p.people.state(e)
		}
		return p.line(e.head, e.State, facts, e.Error, e.Remedy)
	case readyEvent:
		at := e.ProxyURL
		if at == "" {
			at = e.Local
		}
		return p.line(e.head, "ready", fmt.Sprintf("%s after %d ms, %s", at, e.Took, e.how()), "", "")
	case proofEvent:
		if !e.Proved {
			return p.line(e.head, "unproved", "the far end is not reached any more", e.Error, e.Remedy)
		}
		return p.line(e.head, "proved", e.how(), "", "")
	case warningEvent:
		return p.line(e.head, "warning", e.Warning, "", e.Remedy)
	case connectionEvent:
		what := strings.Join(nonEmpty("#"+strconv.FormatUint(e.ID, 10), e.Protocol, e.Host), " ")
		if n := len(e.Hosts); n > 0 {
			what += fmt.Sprintf(" and %d more", n-1)
		}
		if e.Requests > 1 {
			what += fmt.Sprintf(", %d requests", e.Requests)
		}
		if e.Status > 0 {
			what += fmt.Sprintf(", status %d", e.Status)
		}
		return p.line(e.head, "connection", fmt.Sprintf("%s, %s, %s", what, p.moved(e.Sent, e.Received), p.span(e.Took)), e.Error, e.Remedy)
	case trafficEvent:
		return p.line(e.head, "traffic", fmt.Sprintf("%s, %d open connections", p.moved(e.Sent, e.Received), e.Connections), "", "")
	case closedEvent:
		return p.line(e.head, "ended", e.Reason, e.Error, e.Remedy)
	}
	return ""
}

// line lays an event out as text: time, tunnel, word, facts, trouble, remedy.
func (p *printer) line(h head, word, facts, trouble, remedy string) string {
	padded := word
	if facts+trouble != "" {
		padded = fmt.Sprintf("%-11s", word)
	}
	if code := colorOf(word); p.color && code != "" {
		padded = "\x1b[" + code + "m" + padded + "\x1b[0m"
	}
	line := fmt.Sprintf("%s  tunnel %d  %s", h.Time, h.Tunnel+p.before, padded)
	if p.people != nil {
		line = p.people.begin(h.Time, h.Tunnel+p.before) + padded
	}
	if facts != "" {
		line += "  " + say.Line(facts)
	}
	switch {
	case trouble != "" && facts == "":
		line += "  " + trouble
	case trouble != "":
		line += ": " + trouble
	}
	if remedy != "" {
		line += "; remedy: " + remedy
	}
	return line
}

// long is where a tunnel leads and through what, with all facts.
func (e stateEvent) long() string {
	through := aws.Target{Cluster: e.Cluster, Service: e.Service, Family: e.Family, Task: e.Task, Container: e.Container}
	if e.Destination != "" {
		return e.step(through.String(), e.Session)
	}
	line := e.route(through)
	if e.Session != "" {
		line += ", session " + e.Session
	}
	if e.AgentVersion != "" {
		line += ", agent " + e.AgentVersion
	}
	if relay := e.relay(); relay != "" {
		line += ", " + relay
	}
	return line
}

// route is where a tunnel leads, through a target.
func (e stateEvent) route(through aws.Target) string {
	line := fmt.Sprintf("-> %s port %s", through, e.Remote)
	if strings.Trim(e.Remote, "0123456789") != "" {
		line = fmt.Sprintf("-> %s to %s", through, control.Tunnel{Remote: e.Remote, To: e.To}.FarEnd())
	}
	if e.Local != "" {
		line = e.Local + " " + line
	}
	if e.Profile != "" {
		line += ", profile " + e.Profile
	}
	if e.Region != "" {
		line += ", region " + e.Region
	}
	return line
}

func colorOf(word string) string {
	switch word {
	case "open", "ready", "proved":
		return green
	case "resuming", "reopening", "asleep", "warning":
		return yellow
	case "failed", "unproved":
		return red
	}
	return ""
}

func nonEmpty(parts ...string) []string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}
