package screen

import (
	"context"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
)

// Kept is a tunnel that is to go on when the screen has ended.
type Kept struct {
	Tunnel *tunnel.Tunnel
	Engine *tunnel.Engine
	Local  string   // where the tunnel listens, as it is shown
	Probe  string   // how the tunnel is proved, as --probe takes it
	User   string   // the user for the proxy at its far end; empty for none
	Flags  []string // the flags with which culvert up opens the tunnel anew
	// Profile and Region are shown with the tunnel, where they are not what the flags and the environment say.
	Profile, Region string
	Hosts           []control.Host // the totals by host of connections that have ended
	Others          control.Host   // the total of connections that are not in Hosts
	Counted         []uint64       // ids of the last connections in these totals
	// End stops what was started only for the tunnel; nil when nothing was. It is not called where the tunnel is opened anew.
	End func(ctx context.Context, tell func(string)) error
}

// keeper has tunnels go on in the background.
type keeper struct {
	tunnels         *tunnels
	keep            func(ctx context.Context, kept []Kept) (name string, err error)
	reopens, demo   bool
	profile, region string // those of the flags and the environment
}

// wish has the open tunnels go on in the background, and ends the program.
func (k *keeper) wish() wish {
	var kept []Kept
	var going []*tunnel.Engine
	var goingOn []*errand
	for _, r := range k.tunnels.rows {
		if r.holder != nil || r.State.Final() {
			continue
		}
		kept = append(kept, k.of(r))
		if !k.reopens {
			going, goingOn = append(going, r.place.engine), append(goingOn, r.errand)
		}
	}
	return all(tell("keeping "+plural(len(kept), "tunnel")+" in the background"), beside(func() tea.Msg {
		name, err := k.keep(k.tunnels.accounts.ctx, kept)
		return then(func() wish {
			if err != nil {
				return fail(err)
			}
			k.tunnels.dispatched(goingOn...) // the process that goes on with the tunnel ends the errand
			return goOn(name, going)
		})
	}))
}

// of returns what another process has to know to go on with a tunnel.
func (k *keeper) of(r *row) Kept {
	kept := Kept{
		Tunnel: r.tunnel, Engine: r.place.engine, Local: r.local(), Probe: r.probe, User: r.user,
		Profile: r.place.profile, Region: r.place.region, Counted: slices.Clone(r.hosts.counted),
	}
	if kept.Profile == k.profile && kept.Region == k.region {
		kept.Profile, kept.Region = "", ""
	}
	if r.errand != nil {
		kept.End = r.errand.End
	}
	for _, h := range r.hosts.hosts {
		if h.Host == otherHosts {
			kept.Others = h.told()
			continue
		}
		kept.Hosts = append(kept.Hosts, h.told())
	}
	again := recipe{
		demo: k.demo, exact: true, target: r.Spec.Target, probe: kept.Probe, keepAlive: r.Spec.KeepAlive,
		forward: forwardOf(r.Spec, r.Local.Port()),
	}
	again.target = lasting(r.Spec) // like a tunnel that follows its service or family
	if r.order != nil {
		again.order, again.target = &r.order.Order, r.order.target()
	}
	if again.target.AnyContainer {
		again.target.Container = ""
	}
	if !k.demo {
		in := r.Spec.Client.Shell()
		again.profile, again.region, again.endpoint, again.role, again.document, again.stream = in.Profile, in.Region, in.Endpoint, in.Role, in.Document, in.Stream
	}
	kept.Flags = again.flags()
	return kept
}

// told is a total as holders tell it, with a protocol's name without parentheses.
func (h *hostTotal) told() control.Host {
	t := control.Host{
		Host: say.Line(strings.TrimSuffix(strings.TrimPrefix(h.Host, "("), ")")), Connections: h.Connections,
		Requests: h.Requests, Failed: h.Failed, Sent: h.Sent, Received: h.Received,
	}
	if h.Why != nil {
		t.Error = say.Line(h.Why.Error())
	}
	return t
}
