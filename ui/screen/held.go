package screen

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
)

// How often the processes that hold tunnels in the background are asked, and how long they may take to end.
const (
	askHolders  = 2 * time.Second
	endsWithin  = 15 * time.Second
	askedWithin = 5 * time.Second
)

// holder is the set of `culvert up` that a row belongs to.
type holder struct {
	name    string
	pid     int
	tunnels int

	profile, region string // that the tunnel's entry names
}

// heldError is what a holder says is wrong with a tunnel of its.
type heldError struct{ text, cure string }

func (e *heldError) Error() string  { return e.text }
func (e *heldError) Remedy() string { return e.cure }

// askHeld asks the holders for their tunnels, when it is time to.
func (p *tunnelsPane) askHeld() tea.Cmd {
	dir := p.app.o.Up
	if dir.Runtime == "" || p.asking || p.app.now.Before(p.askNext) {
		return nil
	}
	p.asking = true
	running := p.app.ctx
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(running, askedWithin)
		defer cancel()
		sets, err := dir.Sets(ctx)
		return then(func() tea.Cmd {
			p.asking, p.askNext = false, p.app.now.Add(askHolders)
			if err == nil { // one that cannot be asked now keeps what it said last
				p.hold(sets)
			}
			return nil
		})
	}
}

// hold brings the rows of held tunnels up to date.
func (p *tunnelsPane) hold(sets []control.Set) {
	before := p.rows
	p.rows = slices.DeleteFunc(slices.Clone(p.rows), func(r *row) bool { return r.holder != nil })
	for _, s := range sets {
		if !s.Alive() {
			continue
		}
		for _, t := range s.Tunnels {
			of := holder{name: s.Name, pid: s.PID, tunnels: len(s.Tunnels), profile: t.Profile, region: t.Region}
			i := slices.IndexFunc(before, func(r *row) bool { return r.holder != nil && r.holder.pid == of.pid && r.ID == tunnel.ID(t.ID) })
			if i < 0 {
				r := &row{reading: heldReading(s, t), place: p.app.here, holder: &of}
				r.Since, r.hosts = r.Opened, heldHosts(t.Hosts)
				p.add(r)
				continue
			}
			r := before[i]
			since, state := r.Since, r.State
			r.reading, r.holder, r.hosts = heldReading(s, t), &of, heldHosts(t.Hosts)
			if r.Since = since; r.State != state {
				r.Since = p.app.now
			}
			p.rows = append(p.rows, r)
		}
	}
	slices.SortFunc(p.rows, func(a, b *row) int { return a.number - b.number })
	p.arrange()
}

// heldReading is what a holder tells of a tunnel.
func heldReading(s control.Set, t control.Tunnel) reading {
	target := aws.Target{Cluster: t.Cluster, Service: t.Service, Task: t.Task, Container: t.Container}
	r := reading{
		ID:     tunnel.ID(t.ID),
		Spec:   tunnel.Spec{Target: target, Remote: endpoint(t.Remote)},
		State:  stateOf(t.State),
		Link:   tunnel.Link{Target: target, Session: t.Session, Agent: t.AgentVersion},
		Opened: s.Since,
		Stats: tunnel.Stats{
			Sent: t.Sent, Received: t.Received, Connections: t.Connections, Accepted: t.Accepted,
			Retries: t.Retries, RoundTrip: time.Duration(t.RoundTripMS) * time.Millisecond,
		},
	}
	if local, err := netip.ParseAddrPort(t.Local); err == nil {
		r.Local = local
		r.Spec.Local = netip.AddrPortFrom(netip.Addr{}, local.Port())
	} else {
		r.Spec.Socket = t.Local
	}
	if t.Error != "" {
		r.Err = &heldError{text: t.Error, cure: t.Remedy}
	}
	return r
}

// endpoint reads what Endpoint.String wrote; what it did not write is a host.
func endpoint(text string) tunnel.Endpoint {
	host, port := "", text
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		host, port = text[:i], text[i+1:]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return tunnel.Endpoint{Host: text}
	}
	return tunnel.Endpoint{Host: host, Port: uint16(n)}
}

// stateOf reads the word of a state; one that is not known has yet to begin.
func stateOf(word string) tunnel.State {
	for s := tunnel.Starting; s <= tunnel.Failed; s++ {
		if s.String() == word {
			return s
		}
	}
	return tunnel.Starting
}

// heldBy is the word on who holds a row's tunnel; empty when it is this process.
func (r *row) heldBy() string {
	if r.holder == nil {
		return ""
	}
	return say.Line("up " + r.holder.name)
}

// heldHosts are the totals that a holder tells of.
func heldHosts(hosts []control.Host) tally {
	t := tally{hosts: map[string]hostTotal{}}
	for _, h := range hosts {
		t.hosts[h.Host] = hostTotal{Host: h.Host, Connections: h.Connections, Sent: h.Sent, Received: h.Received}
	}
	return t
}

// stopHeld ends the set that a row belongs to, after a question: its tunnels end together.
func (p *tunnelsPane) stopHeld(r *row) tea.Cmd {
	if p.app.o.ReadOnly {
		p.app.fail(&ReadOnlyError{})
		return nil
	}
	name, running := r.holder.name, p.app.ctx
	p.app.confirm("stop", "stop", func() tea.Cmd {
		p.app.say("stopping culvert up " + name)
		return func() tea.Msg {
			ctx, cancel := context.WithTimeout(running, endsWithin)
			defer cancel()
			last, err := p.app.o.Up.Down(ctx, name)
			return then(func() tea.Cmd {
				if err != nil && !errors.Is(err, context.Canceled) {
					p.app.fail(err)
					return nil
				}
				p.app.say("stopped culvert up " + name)
				for _, u := range last.Left {
					p.app.fail(&heldError{text: u.Error, cure: u.Remedy})
				}
				p.askNext = time.Time{} // at once
				return nil
			})
		}
	}, r.local()+" is held in the background by culvert up "+say.Line(name)+".", "Stopping ends "+plural(r.holder.tunnels, "tunnel")+".")
	return nil
}
