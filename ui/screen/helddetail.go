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

// told is what a holder has told about a tunnel, in the types in which the page reads a tunnel of this process.
type told struct {
	connections []tunnel.Connection
	omitted     int // how many older connections were left out for lack of room
	hosts       []hostTotal
	history     []tunnel.Event

	any    bool  // the holder has answered
	err    error // why the holder did not answer the last time
	asking bool
	next   time.Time // when to ask again
}

// ask asks the holder of a row's tunnel, when it is time to, and has the page show the answer.
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
			if t.err = err; err == nil { // when the holder cannot be asked now, the last answer stays
				t.hear(answer)
				show(answer)
			}
			return nil
		})
	})
}

// hear keeps the connections in a holder's answer.
func (t *told) hear(answer control.Detail) {
	t.any, t.omitted, t.connections = true, max(answer.Omitted, 0), nil
	for _, c := range answer.Connections {
		t.connections = append(t.connections, heldConnection(c))
	}
}

// ask asks the holder of the page's tunnel.
func (d *detail) ask() wish { return d.told.ask(d.tunnels, d.row, d.tunnels.up.Detail, d.hear) }

// hear shows a holder's answer.
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
	d.connections.Set(d.paced(d.told.connections)) // with each answer: the rates are of what has come since the last one
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

// nothing says why there are no connections to see.
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

// untold says why there is nothing to see of a tunnel that another process holds.
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

// heldConnection returns a connection from what a holder tells.
func heldConnection(c control.Connection) tunnel.Connection {
	read := tunnel.Connection{
		ID: c.ID, Started: c.Started, Ended: c.Ended, Protocol: tunnel.Protocol(say.Line(c.Protocol)), Host: c.Host,
		Received: c.Received, Sent: c.Sent, Requests: c.Requests, Status: c.Status, Refused: c.Refused,
		Err: heldProblem(c.Error, c.Remedy),
	}
	if c.Hosts > 1 {
		read.Hosts = make([]tunnel.Share, min(c.Hosts, keepHosts)) // only their number is shown
	}
	return read
}

// heldHost returns the total of a host from what a holder tells.
func heldHost(h control.Host) hostTotal {
	return hostTotal{
		Host: h.Host, Connections: h.Connections, Open: h.Open, Requests: h.Requests, Failed: h.Failed,
		Sent: h.Sent, Received: h.Received, Why: heldProblem(h.Error, ""),
	}
}

// heldStep returns a change of state from what a holder tells.
func heldStep(s control.Step) tunnel.Event {
	return tunnel.Event{
		At: s.At, State: stateOf(s.State), Err: heldProblem(s.Error, s.Remedy),
		Link: tunnel.Link{Target: aws.Target{Task: s.Task}, Session: s.Session, Agent: s.Agent},
	}
}

// heldProblem returns the error that a holder tells; nil when the text is empty.
func heldProblem(text, cure string) error {
	if text == "" {
		return nil
	}
	return &heldError{text: text, cure: cure}
}
