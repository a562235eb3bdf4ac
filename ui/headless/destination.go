package headless

import (
	"cmp"
	"net"
	"slices"
	"strconv"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
)

// destinations are the destinations of a tunnel to any host, as package control tells other processes; nil for any other
// tunnel.
func destinations(t *tunnel.Tunnel) []control.Destination {
	all := t.Destinations()
	all = all[max(0, len(all)-control.MaxDestinations):]
	var told []control.Destination
	for _, d := range all {
		one := control.Destination{
			Destination: toldName(d.Endpoint), Direct: d.Direct, Warm: d.Warm, State: d.State.String(),
			Task: d.Link.Target.Task, Session: d.Link.Session, Agent: say.Line(d.Link.Agent),
			Sent: d.Stats.Sent, Received: d.Stats.Received, Connections: d.Stats.Connections, Accepted: d.Stats.Accepted,
			Opened: d.Opened, Used: d.Used,
		}
		one.Error, one.Remedy = words(d.Err)
		told = append(told, one)
	}
	return told
}

// carrier is the session of a tunnel and the target that the session leads to. A tunnel to any host has no session of its own,
// as the one that proved it has ended: it is shown with the session of the destination that has been open the longest. As long
// as no destination is open it leads to no task in particular, unless the user named one.
func carrier(t *tunnel.Tunnel) (tunnel.Link, aws.Target) {
	link, spec := t.Link(), t.Spec()
	if spec.Dynamic != nil {
		link = tunnel.Link{}
		all := t.Destinations()
		if i := slices.IndexFunc(all, func(d tunnel.Destination) bool { return d.State == tunnel.Open && d.Link.Session != "" }); i >= 0 {
			link = all[i].Link
		}
		if !spec.Pinned {
			spec.Target.Task, spec.Target.RuntimeID = "", ""
		}
	}
	if link.Target.Task != "" {
		return link, link.Target
	}
	return link, spec.Target
}

// toldName is the name of a destination that other processes are told, and by which they may ask for it.
func toldName(e tunnel.Endpoint) string { return say.Line(hostPort(e)) }

// hostPort is an endpoint with an IPv6 address in brackets.
func hostPort(e tunnel.Endpoint) string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) }

// dynamic is what a tunnel to any host was opened with, as package control tells other processes; nil for any other tunnel.
func dynamic(d *tunnel.Dynamic) *control.Dynamic {
	if d == nil {
		return nil
	}
	told := &control.Dynamic{Destinations: cmp.Or(d.Destinations, tunnel.DefaultDestinations)}
	for _, p := range d.Via {
		told.Via = append(told.Via, say.Line(p.String()))
	}
	for _, p := range d.Deny {
		told.Deny = append(told.Deny, say.Line(p.String()))
	}
	for _, e := range d.Warm {
		told.Warm = append(told.Warm, hostPort(e))
	}
	return told
}

// remember keeps the last state of the destinations, which are gone once the tunnel is closed.
func (p *posted) remember() {
	if now := destinations(p.tunnel); len(now) > 0 {
		p.last = now
	}
}

// step describes an event of one destination of a tunnel: the destination, and the task and session that carry it.
func (e stateEvent) step(through, session string) string {
	if e.Session == "" {
		return e.Destination
	}
	return e.Destination + " through " + through + ", session " + session
}

// onItsWay reports whether an event says only that a destination is being opened, which takes a moment.
func (e stateEvent) onItsWay() bool {
	return e.Destination != "" && e.Error == "" && (e.State == tunnel.Starting.String() || e.State == tunnel.Handshaking.String())
}
