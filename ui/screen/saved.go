package screen

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// Saved are the tunnels and groups of the config files, in their order.
type Saved struct {
	Tunnels []SavedTunnel
	Groups  []SavedGroup
}

// SavedTunnel is a tunnel with a name. Its target has no RuntimeID: what runs is looked up when it is started.
type SavedTunnel struct {
	Name    string
	Target  aws.Target
	Forward tunnel.Forward
	Probe   string // how the tunnel is proved, as --probe takes it; empty chooses by the port
	Project string // the project file that it comes from; empty for the user's own

	Dynamic *tunnel.Dynamic // with what a tunnel to any host is opened, where the user has set more for all such tunnels; nil: as Forward says

	Lanes   int  // how many sessions it has; 0 is what the user has set for all tunnels
	OneTask bool // its sessions stay on one task, whatever the user has set for all tunnels

	Profile, Region, Role string // its account; empty names are those of the account that the user looks at
	ProxyUser             string // the user for the proxy at its far end; empty for none

	Entry Account // the account as the config file names it, while flags may have changed the fields above
}

// Account is an account as a config file names it; empty names are those of the account that the user looks at.
type Account struct{ Profile, Region, Role string }

// Change is one change of a tunnel or group in the user's own config file. A field without a Name stands for nothing: with Was
// empty the tunnel is new, with Is empty it is deleted. Was has to be what the file says: if another process has changed that
// since, the change fails.
type Change struct {
	Was, Is           SavedTunnel
	Groups            []string // the groups to which Is belongs; nil leaves them as they are
	WasGroup, IsGroup SavedGroup
}

// Written is what the config files say after a change, be it made or failed.
type Written struct {
	Path  string // the file that was to be changed
	Saved Saved
	Undo  func() (Written, error) // takes the change back, unless the file was changed again
}

// account writes the account of the tunnel, as far as the tunnel names one.
func (s SavedTunnel) account() string {
	var parts []string
	for _, part := range [][2]string{{"profile ", s.Profile}, {"region ", s.Region}, {"role ", s.Role}} {
		if part[1] != "" {
			parts = append(parts, part[0]+say.Line(part[1]))
		}
	}
	return strings.Join(parts, ", ")
}

// SavedGroup names saved tunnels.
type SavedGroup struct {
	Name    string
	Tunnels []string
	Project string // the project file that it comes from; empty for the user's own
}

// named returns the saved tunnel with a name.
func (s *Saved) named(name string) (SavedTunnel, bool) {
	i := slices.IndexFunc(s.Tunnels, func(t SavedTunnel) bool { return t.Name == name })
	if i < 0 {
		return SavedTunnel{}, false
	}
	return s.Tunnels[i], true
}

// runs reports whether an open tunnel is the saved one, however it was opened.
func (s SavedTunnel) runs(r *row) bool {
	spec, local := r.Spec, s.Forward.Local
	if s.Forward.To != "" && spec.To == s.Forward.To { // the open tunnel's far end was found by the same name
		s.Forward.Remote = spec.Remote
		if s.Target == (aws.Target{}) {
			s.Target = aws.Target{Cluster: spec.Target.Cluster, Service: spec.Target.Service, Family: spec.Target.Family}
		}
	}
	switch {
	case r.State.Final(), s.elsewhere(r.place), !s.in(r),
		spec.Target.Cluster != s.Target.Cluster || spec.Target.Service != s.Target.Service || s.Target.Family != "" && spec.Target.Family != s.Target.Family,
		s.Target.Task != "" && spec.Target.Task != s.Target.Task,
		s.Target.Container != "" && spec.Target.Container != s.Target.Container,
		!sameFar(forwardOf(spec, 0), s.opens()) || spec.Socket != s.Forward.Socket,
		local.Port() != 0 && local.Port() != r.Local.Port(),
		local.Port() == 0 && spec.Local.Port() != 0 && (spec.Dynamic != nil || r.Local.Port() != spec.Remote.Port), // another local port was asked for
		local.Addr().IsValid() && local.Addr() != spec.Local.Addr():
		return false
	}
	return true
}

// in reports whether an open tunnel is in the account that the saved one names; a saved tunnel that names none may be in any.
func (s SavedTunnel) in(r *row) bool {
	if s.Profile == "" && s.Region == "" {
		return true
	}
	profile, region := r.account()
	return (s.Profile == "" || s.Profile == profile) && (s.Region == "" || s.Region == region)
}

// elsewhere reports whether the target was written as an ARN of another account or region than that of a place.
func (s SavedTunnel) elsewhere(p *place) bool {
	home := s.Target.Home
	if p == nil || home == (aws.Home{}) {
		return false
	}
	return home.Region != p.regionName() || p.identity.Account != "" && home.Account != p.identity.Account
}

// userOf is the user for the proxy at the far end of a tunnel that was used before: the one of the same saved tunnel, else the
// one for all tunnels.
func (ts *tunnels) userOf(s SavedTunnel) string {
	for _, known := range ts.saved.Tunnels {
		port := known.Forward.Local.Port()
		if known.Target == s.Target && sameFar(known.opens(), s.Forward) && known.Forward.Socket == s.Forward.Socket && (port == 0 || port == s.Forward.Local.Port()) {
			return known.ProxyUser
		}
	}
	return ts.proxyUser
}

// opens returns the forward with which the saved tunnel is opened.
func (s SavedTunnel) opens() tunnel.Forward {
	f := s.Forward
	if f.Dynamic != nil && s.Dynamic != nil {
		f.Dynamic = s.Dynamic
	}
	return f
}

// exposed reports whether other machines could use the tunnel.
func (s SavedTunnel) exposed() bool {
	at := s.Forward.Local.Addr()
	return at.IsValid() && !at.IsLoopback()
}

// query returns the query for a container for the tunnel.
func (s SavedTunnel) query() aws.Query {
	q := s.Target.Query()
	if s.Forward.Remote.Host == "" {
		q.Port = s.Forward.Remote.Port
	}
	return q
}

// saving returns an open tunnel as it would be saved; false when its target has no name that lasts.
func saving(r *row, taken func(string) bool) (SavedTunnel, bool) {
	target := aws.Target{Cluster: r.Spec.Target.Cluster, Service: r.Spec.Target.Service, Family: r.Spec.Target.Family}
	if r.unknown() || target.Service == "" && target.Family == "" {
		return SavedTunnel{}, false // a task of its own does not come again, and a name that was not found leads nowhere
	}
	forward := tunnel.Forward{Remote: r.Spec.Remote, Socket: r.Spec.Socket, Dynamic: r.Spec.Dynamic}
	if forward.Socket == "" && (forward.Dynamic != nil || r.Spec.Local.Addr().IsValid() || forward.Remote.Host != "" || r.Local.Port() != forward.Remote.Port) {
		forward.Local = netip.AddrPortFrom(r.Spec.Local.Addr(), r.Local.Port())
	}
	base := cmp.Or(target.Service, target.Family)
	if forward.Dynamic != nil {
		base += "-any"
	}
	if host := r.Spec.Remote.Host; host != "" {
		base = host
		if _, err := netip.ParseAddr(host); err != nil {
			base, _, _ = strings.Cut(host, ".")
		}
	}
	in := r.place.account()
	return SavedTunnel{
		Name: freeName(plainName(base), taken), Target: target, Forward: forward,
		Profile: in.Profile, Region: in.Region, Role: in.Role, Entry: in,
	}, true
}

// plainName makes a name that needs quotes neither in YAML nor in a shell.
func plainName(s string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '-'
	}, s)
	if name = strings.Trim(name, "-"); name == "" || (name[0] >= '0' && name[0] <= '9') {
		return "tunnel-" + name
	}
	return name
}

func freeName(base string, taken func(string) bool) string {
	name := base
	for n := 2; taken(name); n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	return name
}
