package headless

import (
	"slices"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
)

// Detail is one tunnel of the run as it is now; false when the run has no tunnel of that id.
func (b *Board) Detail(id tunnel.ID) (control.Detail, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.of(id)
	if p == nil {
		return control.Detail{ID: int(id)}, false
	}
	d := control.Detail{ID: int(id), Hosts: p.busiest(), Steps: steps(p.tunnel.History()), Destinations: destinations(p.tunnel)}
	d.Connections, d.Omitted = connections(p.tunnel.Connections())
	return d, true
}

// destination is the connections to one destination of a tunnel; name is the destination's name in Detail.
func (b *Board) destination(id tunnel.ID, name string) (control.Detail, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.of(id)
	if p == nil {
		return control.Detail{ID: int(id)}, false
	}
	d := control.Detail{ID: int(id)}
	for _, to := range p.tunnel.Destinations() {
		if toldName(to.Endpoint) == name {
			d.Connections, d.Omitted = connections(p.tunnel.DestinationConnections(to.Endpoint))
		}
	}
	return d, true
}

// endDestination ends a destination of a tunnel, which is named as its Detail names it, and reports whether it was open and
// whether the run has that tunnel.
func (b *Board) endDestination(id tunnel.ID, name string) (ended, found bool) {
	b.mu.Lock()
	p := b.of(id)
	b.mu.Unlock()
	if p == nil {
		return false, false
	}
	for _, to := range p.tunnel.Destinations() {
		if toldName(to.Endpoint) == name && p.tunnel.EndDestination(to.Endpoint) {
			ended = true
		}
	}
	return ended, true
}

// of is the tunnel of an id; nil when there is none. b.mu is held.
func (b *Board) of(id tunnel.ID) *posted {
	i := slices.IndexFunc(b.posted, func(p *posted) bool { return p.tunnel.ID() == id })
	if i < 0 {
		return nil
	}
	return b.posted[i]
}

// connections are a tunnel's connections as package control tells other processes: all that have ended, and the youngest of the
// open ones, which may be thousands. omitted is how many open ones are left out.
func connections(all []tunnel.Connection) (told []control.Connection, omitted int) {
	ended := 0
	for _, c := range all {
		if !c.Ended.IsZero() {
			ended++
		}
	}
	omitted = max(0, len(all)-control.MaxConnections)
	told = make([]control.Connection, 0, len(all)-omitted)
	for i, c := range all {
		if i >= ended && i < ended+omitted { // the ended ones come first
			continue
		}
		shown := control.Connection{
			ID: c.ID, Started: c.Started, Ended: c.Ended, Protocol: string(c.Protocol), Host: say.Line(c.Host), Hosts: len(c.Hosts),
			Received: c.Received, Sent: c.Sent, Requests: c.Requests, Status: c.Status, Refused: c.Refused,
		}
		shown.Error, shown.Remedy = words(c.Err)
		told = append(told, shown)
	}
	return told, omitted
}

// steps are changes of a tunnel's state as package control tells other processes.
func steps(history []tunnel.Event) []control.Step {
	told := make([]control.Step, 0, len(history))
	for _, e := range history {
		s := control.Step{At: e.At, State: e.State.String(), Task: e.Link.Target.Task, Session: e.Link.Session, Agent: say.Line(e.Link.Agent)}
		s.Error, s.Remedy = words(e.Err)
		told = append(told, s)
	}
	return told
}
