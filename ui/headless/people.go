package headless

import (
	"fmt"
	"strings"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// people writes lines for somebody who watches them on a terminal: the time of the wall clock, ids no longer than is needed to
// tell them apart, amounts with units, and only what is new about a tunnel. Lines that programs read, or that are read later,
// have every fact each time.
type people struct {
	alone bool                     // there is only one tunnel, so its number says nothing
	zone  *time.Location           // of the wall clock
	told  map[tunnel.ID]stateEvent // the last event of each tunnel
}

func newPeople(alone bool) *people {
	return &people{alone: alone, zone: time.Local, told: map[tunnel.ID]stateEvent{}}
}

// begin is the beginning of a line: the time, and the tunnel unless there is only one.
func (p *people) begin(at string, id tunnel.ID) string {
	if t, err := time.Parse(timeForm, at); err == nil {
		at = t.In(p.zone).Format(time.TimeOnly)
	}
	if p.alone {
		return at + "  "
	}
	return fmt.Sprintf("%s  tunnel %d  ", at, id)
}

// state is what an event says that is new about its tunnel.
func (p *people) state(e stateEvent) string {
	if e.Destination != "" {
		return e.step("task "+shortID(e.Task), shortSession(e.Session))
	}
	last, known := p.told[e.Tunnel]
	p.told[e.Tunnel] = e
	var news []string
	if !known || last.Local != e.Local || last.Service != e.Service || last.Family != e.Family {
		news = append(news, e.route(aws.Target{Cluster: e.Cluster, Service: e.Service, Family: e.Family}))
	}
	for _, part := range []struct{ name, now, before string }{
		{"task", shortID(e.Task), shortID(last.Task)},
		{"container", e.Container, last.Container},
		{"session", shortSession(e.Session), shortSession(last.Session)},
		{"agent", e.AgentVersion, last.AgentVersion},
	} {
		if part.now != "" && part.now != part.before {
			news = append(news, part.name+" "+part.now)
		}
	}
	if relay := e.relay(); relay != last.relay() && relay != "" {
		news = append(news, relay)
	}
	return strings.Join(news, ", ")
}

// ShortestID is how many characters of an id people are shown. Every flag takes that beginning of a task's id instead of the
// whole.
const ShortestID = 8

func shortID(id string) string { return id[:min(len(id), ShortestID)] }

// shortSession is the part of a session's id that differs from session to session, or its beginning.
func shortSession(id string) string { return shortID(id[strings.LastIndex(id, "-")+1:]) }

// moved writes how many bytes went each way.
func (p *printer) moved(sent, received uint64) string {
	if p.people != nil {
		return say.Bytes(sent) + " sent, " + say.Bytes(received) + " received"
	}
	return fmt.Sprintf("%d bytes sent, %d received", sent, received)
}

// span writes milliseconds.
func (p *printer) span(ms int64) string {
	if p.people != nil && ms >= 1000 {
		return say.Trip(time.Duration(ms) * time.Millisecond)
	}
	return fmt.Sprintf("%d ms", ms)
}
