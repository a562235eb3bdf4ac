package screen

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
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

// How often the processes that hold tunnels in the background (holders) are asked, and how long one may take to end.
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

	profile, region string // those that the tunnel's entry in the config file names
	proof           string // by what the far end was proved, as the holder says
}

// heldError is an error of a tunnel as its holder has told it: text and remedy.
type heldError struct{ text, cure string }

func (e *heldError) Error() string  { return e.text }
func (e *heldError) Remedy() string { return e.cure }

// askHeld asks the holders for their tunnels, when it is time to.
func (ts *tunnels) askHeld() wish {
	dir := ts.up
	if dir.Runtime == "" || ts.asking || ts.look.now.Before(ts.askNext) {
		return nil
	}
	ts.asking = true
	return beside(func() tea.Msg {
		ctx, cancel := context.WithTimeout(ts.accounts.ctx, askedWithin)
		defer cancel()
		sets, err := dir.Sets(ctx)
		return then(func() wish {
			ts.asking, ts.askNext = false, ts.look.now.Add(askHolders)
			if err == nil { // of a holder that cannot be asked now, the last answer stays
				return ts.hold(sets)
			}
			return nil
		})
	})
}

// hold brings the rows of tunnels that other processes hold up to date.
func (ts *tunnels) hold(sets []control.Set) wish {
	var wishes []wish
	before := ts.rows
	ts.rows = slices.DeleteFunc(slices.Clone(ts.rows), func(r *row) bool { return r.holder != nil })
	for _, s := range sets {
		if !s.Alive() {
			continue
		}
		for _, t := range s.Tunnels {
			of := holder{name: s.Name, pid: s.PID, tunnels: len(s.Tunnels), profile: t.Profile, region: t.Region}
			of.proof = provedOf(t)
			i := slices.IndexFunc(before, func(r *row) bool { return r.holder != nil && r.holder.pid == of.pid && r.ID == tunnel.ID(t.ID) })
			if i < 0 {
				r := &row{reading: heldReading(s, t), place: ts.accounts.here, holder: &of}
				r.Since, r.hosts, r.worked = r.Opened, heldHosts(t.Hosts), r.State == tunnel.Open
				ts.add(r)
				continue
			}
			r := before[i]
			since, state := r.Since, r.State
			r.reading, r.holder, r.hosts = heldReading(s, t), &of, heldHosts(t.Hosts)
			if r.Since = since; r.State != state {
				r.Since = ts.look.now
				wishes = append(wishes, ts.turned(r, r.Since))
			}
			ts.rows = append(ts.rows, r)
		}
	}
	slices.SortFunc(ts.rows, func(a, b *row) int { return a.number - b.number })
	ts.changed()
	return all(wishes...)
}

// provedOf says by what a far end was proved, as the holder tells it, in the words of the ready event. The URL of a proxy tells
// more than that.
func provedOf(t control.Tunnel) string {
	switch {
	case !t.Ready:
		return ""
	case strings.HasPrefix(t.ProxyURL, "socks5h:"):
		return string(tunnel.ProtocolSOCKS)
	case t.ProxyURL != "":
		return "http-proxy"
	}
	return t.Proof
}

// heldReading returns the reading of a tunnel from what its holder tells.
func heldReading(s control.Set, t control.Tunnel) reading {
	target := aws.Target{Cluster: t.Cluster, Service: t.Service, Family: t.Family, Task: t.Task, Container: t.Container}
	r := reading{
		ID:     tunnel.ID(t.ID),
		Spec:   tunnel.Spec{Target: target, Remote: endpoint(t.Remote), To: t.To},
		State:  stateOf(t.State),
		Link:   tunnel.Link{Target: target, Session: t.Session, Agent: t.AgentVersion, Relay: tunnel.Relaying{On: t.Relay == "on", Why: say.Line(t.RelayWhy)}},
		Opened: s.Since,
		Stats: tunnel.Stats{
			Sent: t.Sent, Received: t.Received, Connections: t.Connections, Accepted: t.Accepted,
			Retries: t.Retries, RoundTrip: time.Duration(t.RoundTripMS) * time.Millisecond, MessageSize: t.MessageSize, Strands: max(t.Strands, 0),
		},
	}
	if t.Dynamic != nil {
		r.Spec.Remote, r.Spec.Dynamic = tunnel.Endpoint{}, heldDynamic(*t.Dynamic)
		lead(&r, heldDestinations(t.Destinations))
	}
	if proxy, err := url.Parse(t.ProxyURL); err == nil && proxy.User != nil {
		r.User = proxy.User.Username()
	}
	if local, err := netip.ParseAddrPort(t.Local); err == nil {
		r.Local = local
		r.Spec.Local = netip.AddrPortFrom(netip.Addr{}, local.Port())
	} else {
		r.Spec.Socket = t.Local
	}
	r.Err = heldProblem(t.Error, t.Remedy)
	return r
}

// heldDynamic returns with what a tunnel to any host was opened, as its holder tells.
func heldDynamic(d control.Dynamic) *tunnel.Dynamic {
	of := &tunnel.Dynamic{Destinations: max(d.Destinations, 0)}
	of.Via, _ = patterns(d.Via) // a newer culvert may have forms that this one cannot read
	of.Deny, _ = patterns(d.Deny)
	of.Warm, _ = endpoints(d.Warm)
	return of
}

// heldDestinations returns the destinations of a tunnel from what its holder tells.
func heldDestinations(of []control.Destination) []tunnel.Destination {
	of = of[:min(len(of), control.MaxDestinations)]
	all := make([]tunnel.Destination, len(of))
	for i, d := range of {
		e := endpoint(d.Destination)
		e.Host = strings.Trim(e.Host, "[]")
		all[i] = tunnel.Destination{
			Endpoint: e, Direct: d.Direct, Warm: d.Warm, State: stateOf(d.State), Err: heldProblem(d.Error, d.Remedy),
			Link:   tunnel.Link{Target: aws.Target{Task: d.Task}, Session: d.Session, Agent: d.Agent},
			Stats:  tunnel.Stats{Sent: d.Sent, Received: d.Received, Connections: d.Connections, Accepted: d.Accepted},
			Opened: d.Opened, Used: d.Used,
		}
	}
	return all
}

// endpoint reads what Endpoint.String has written; any other text is taken for a host.
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

// stateOf reads the word for a state; an unknown word is taken for Starting.
func stateOf(word string) tunnel.State {
	for s := tunnel.Starting; s <= tunnel.Failed; s++ {
		if s.String() == word {
			return s
		}
	}
	return tunnel.Starting
}

// heldBy names the process that holds a row's tunnel; empty when it is this one.
func (r *row) heldBy() string {
	if r.holder == nil {
		return ""
	}
	return say.Line("up " + r.holder.name)
}

// heldHosts returns the totals by host from what a holder tells.
func heldHosts(hosts []control.Host) tally {
	t := tally{hosts: map[string]hostTotal{}}
	for _, h := range hosts {
		t.hosts[h.Host] = heldHost(h)
	}
	return t
}

// stopHeld ends the set to which a row belongs, after a question: all its tunnels end together.
func (ts *tunnels) stopHeld(r *row) wish {
	if ts.readOnly {
		return fail(&ReadOnlyError{})
	}
	name := r.holder.name
	return confirm("stop", "stop", func() wish { return ts.endSet(name) },
		r.local()+" is held in the background by culvert up "+say.Line(name)+".", "Stopping ends "+plural(r.holder.tunnels, "tunnel")+".")
}

// endSet ends the culvert up that holds a set.
func (ts *tunnels) endSet(name string) wish {
	return all(tell("stopping culvert up "+name), beside(func() tea.Msg {
		ctx, cancel := context.WithTimeout(ts.accounts.ctx, endsWithin)
		defer cancel()
		last, err := ts.up.Down(ctx, name)
		return then(func() wish {
			if err != nil && !errors.Is(err, context.Canceled) {
				return fail(err)
			}
			ts.askNext = time.Time{} // ask the holders again at once
			done := []wish{tell("stopped culvert up " + name)}
			for _, u := range last.Left {
				done = append(done, fail(&heldError{text: u.Error, cure: u.Remedy}))
			}
			return all(done...)
		})
	}))
}
