package screen

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
)

// askDetail is how often a holder is asked for what the page about one of its tunnels shows.
const askDetail = time.Second

// told is what a holder has told of a tunnel, as the page would read it from one of its own.
type told struct {
	connections []tunnel.Connection
	omitted     int // older ones, for which there was no room
	hosts       []hostTotal
	history     []tunnel.Event

	any    bool  // it has answered
	err    error // why it has not, the last time
	asking bool
	next   time.Time // ask again
}

// ask asks the holder of a row's tunnel, when it is time to, and has the page show what it answers.
func (t *told) ask(ts *tunnels, r *row, question func(ctx context.Context, holder string, id int) (control.Detail, error), show func(control.Detail)) wish {
	of := r.holder
	if of == nil || ts.up.Runtime == "" || t.asking || ts.look.now.Before(t.next) {
		return nil
	}
	t.asking = true
	running, name, id := ts.accounts.ctx, of.name, int(r.ID)
	return beside(func() tea.Msg {
		ctx, cancel := context.WithTimeout(running, askedWithin)
		defer cancel()
		answer, err := question(ctx, name, id)
		return then(func() wish {
			t.asking, t.next = false, ts.look.now.Add(askDetail)
			if t.err = err; err == nil { // one that cannot be asked now keeps what it said last
				t.hear(answer)
				show(answer)
			}
			return nil
		})
	})
}

// hear keeps the connections that a holder has told of.
func (t *told) hear(answer control.Detail) {
	t.any, t.omitted, t.connections = true, max(answer.Omitted, 0), nil
	for _, c := range answer.Connections {
		t.connections = append(t.connections, heldConnection(c))
	}
}

// ask asks the holder of the page's tunnel.
func (d *detail) ask() wish { return d.told.ask(d.tunnels, d.row, d.tunnels.up.Detail, d.hear) }

// hear shows what a holder has answered.
func (d *detail) hear(answer control.Detail) {
	d.told.hosts, d.told.history = nil, nil
	for _, h := range answer.Hosts {
		d.told.hosts = append(d.told.hosts, heldHost(h))
	}
	for _, s := range answer.Steps {
		d.told.history = append(d.told.history, heldStep(s))
	}
	if d.row.Spec.Dynamic != nil {
		lead(&d.row.reading, heldDestinations(answer.Destinations))
	}
	d.connections.Set(d.paced(d.told.connections)) // as often as it is asked: rates are of what has come meanwhile
	d.tick()
}

// ask asks the holder of the page's tunnel for the connections to its destination.
func (p *destinationPage) ask() wish {
	question := func(ctx context.Context, holder string, id int) (control.Detail, error) {
		return p.tunnels.up.DestinationDetail(ctx, holder, id, hostPort(p.at.Endpoint))
	}
	return p.told.ask(p.tunnels, p.row, question, func(control.Detail) {
		p.connections.Set(p.paces.rows(p.told.connections, p.now.Add(-rateWindow), p.now))
	})
}

// nothing is why there are no connections to see.
func (p *destinationPage) nothing() string {
	by := "culvert " + p.row.heldBy()
	switch _, old := errors.AsType[*control.OldHolderError](p.told.err); {
	case p.row.holder == nil || p.told.any:
		return "no connection has gone there yet"
	case old:
		return by + " is held by an older culvert, which does not tell which connections go there"
	case p.told.err != nil:
		return by + " does not tell which connections go there just now: " + say.Line(p.told.err.Error())
	}
	return "asking " + by
}

// untold is why there is nothing to see of a held tunnel.
func (d *detail) untold() string {
	by := "culvert " + d.row.heldBy()
	switch _, old := errors.AsType[*control.OldHolderError](d.told.err); {
	case old:
		return by + " is held by an older culvert, which tells totals alone"
	case d.told.err != nil:
		return by + " tells its totals alone just now: " + say.Line(d.told.err.Error())
	}
	return "asking " + by
}

// heldConnection is a connection as its holder tells it.
func heldConnection(c control.Connection) tunnel.Connection {
	read := tunnel.Connection{
		ID: c.ID, Started: c.Started, Ended: c.Ended, Protocol: tunnel.Protocol(say.Line(c.Protocol)), Host: c.Host,
		Received: c.Received, Sent: c.Sent, Requests: c.Requests, Status: c.Status, Refused: c.Refused,
		Err: heldProblem(c.Error, c.Remedy),
	}
	if c.Hosts > 1 {
		read.Hosts = make([]tunnel.Share, min(c.Hosts, keepHosts)) // their number is what is shown of them
	}
	return read
}

// heldHost is a total as its holder tells it.
func heldHost(h control.Host) hostTotal {
	return hostTotal{
		Host: h.Host, Connections: h.Connections, Open: h.Open, Requests: h.Requests, Failed: h.Failed,
		Sent: h.Sent, Received: h.Received, Why: heldProblem(h.Error, ""),
	}
}

// heldStep is a change of state as its holder tells it.
func heldStep(s control.Step) tunnel.Event {
	return tunnel.Event{
		At: s.At, State: stateOf(s.State), Err: heldProblem(s.Error, s.Remedy),
		Link: tunnel.Link{Target: aws.Target{Task: s.Task}, Session: s.Session, Agent: s.Agent},
	}
}

// heldProblem is what a holder says is wrong; nil when nothing is.
func heldProblem(text, cure string) error {
	if text == "" {
		return nil
	}
	return &heldError{text: text, cure: cure}
}
