package headless

import (
	"strings"
	"testing"
	"time"

	"culvert/tunnel"
)

// peopleLines prints events as for a terminal in Kathmandu, whose clock is 5:45 ahead.
func peopleLines(alone bool, events ...any) string {
	p := &printer{people: newPeople(alone)}
	p.people.zone = time.FixedZone("+0545", 5*3600+45*60)
	var lines []string
	for _, e := range events {
		lines = append(lines, p.text(e))
	}
	return strings.Join(lines, "\n")
}

func TestPeopleAreToldWhatIsNew(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 20, 40, 3, 120e6, time.UTC)
	state := func(id tunnel.ID, state string, change func(*stateEvent)) stateEvent {
		e := stateEvent{head: newHead(at, "state", id), State: state, Cluster: "automation", Service: "squid", Local: "127.0.0.1:3128", Remote: "3128"}
		if change != nil {
			change(&e)
		}
		return e
	}
	task := func(id, session string) func(*stateEvent) {
		return func(e *stateEvent) {
			e.Task, e.Container, e.Session, e.AgentVersion = id, "squid", session, "3.3.987.0"
		}
	}
	first, second := "3f2a9b1c00000000000000000000aaaa", "77777777000000000000000000000000"
	lost := state(1, "resuming", task(first, "culvert-42-1-0a1b2c3d4e5f"))
	lost.Error, lost.Remedy = "the socket was closed", "none is needed"
	got := peopleLines(true,
		state(1, "starting", nil),
		state(1, "open", task(first, "culvert-42-1-0a1b2c3d4e5f")),
		lost,
		state(1, "open", task(first, "culvert-42-1-0a1b2c3d4e5f")),
		state(1, "open", task(second, "culvert-42-1-99999999")),
		connectionEvent{head: newHead(at, "connection", 1), ID: 7, Protocol: "http", Host: "a.internal", Sent: 1290, Received: 48211, Took: 1340},
		trafficEvent{head: newHead(at, "traffic", 1), Sent: 812, Received: 5e6, Connections: 2},
	)
	want := `02:25:03  starting     127.0.0.1:3128 -> automation/squid port 3128
02:25:03  open         task 3f2a9b1c, container squid, session 0a1b2c3d, agent 3.3.987.0
02:25:03  resuming     the socket was closed; remedy: none is needed
02:25:03  open
02:25:03  open         task 77777777, session 99999999
02:25:03  connection   #7 http a.internal, 1.3 kB sent, 48 kB received, 1.3 s
02:25:03  traffic      812 B sent, 5.0 MB received, 2 open connections`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	host := func(name, id, session string) func(*stateEvent) {
		return func(e *stateEvent) {
			e.Remote, e.Destination, e.Task, e.Session = "any host", name, id, session
		}
	}
	hosts := peopleLines(true,
		state(1, "starting", func(e *stateEvent) { e.Remote = "any host" }),
		state(1, "open", host("a.internal:80", first, "culvert-42-1-0a1b2c3d4e5f")),
		state(1, "closed", host("b.internal:80", "", "")),
		state(1, "open", func(e *stateEvent) { e.Remote, e.Task = "any host", first }),
	)
	want = `02:25:03  starting     127.0.0.1:3128 -> automation/squid to any host
02:25:03  open         a.internal:80 through task 3f2a9b1c, session 0a1b2c3d
02:25:03  closed       b.internal:80
02:25:03  open         task 3f2a9b1c`
	if hosts != want {
		t.Errorf("got\n%s\nwant\n%s", hosts, want)
	}

	several := peopleLines(false, state(1, "starting", nil), state(2, "starting", func(e *stateEvent) { e.Remote, e.Profile = "db:5432", "staging" }))
	want = `02:25:03  tunnel 1  starting     127.0.0.1:3128 -> automation/squid port 3128
02:25:03  tunnel 2  starting     127.0.0.1:3128 -> automation/squid to db:5432, profile staging`
	if several != want {
		t.Errorf("got\n%s\nwant\n%s", several, want)
	}
}

func TestIdsAreToldByTheirBeginnings(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{"": "", "abc": "abc", "culvert-1-0123456789": "01234567", "0123456789": "01234567", "ends-": ""} {
		if got := shortSession(id); got != want {
			t.Errorf("session %q is told as %q, want %q", id, got, want)
		}
	}
}
