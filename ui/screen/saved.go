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

	Dynamic *tunnel.Dynamic // what one to any host is opened with, where the user has set more for all; nil: as Forward says

	Lanes   int  // sessions; 0 is what the user has set for all
	OneTask bool // they stay on one task, whatever the user has set for all

	Profile, Region, Role string // of its account; empty is what the user looks at
	ProxyUser             string // whom the proxy at its far end is asked as; empty is nobody

	Entry Account // what the config file says of that, where flags may say something else
}

// Account is how a config file names one; empty is whatever the user looks at.
type Account struct{ Profile, Region, Role string }

// Change is one change of the tunnels and groups in the user's own file. What has no name is not there: a tunnel that was
// not is new, one that is not is deleted. Another process may have changed the file since; then Was says something else than
// the file does, and nothing is changed.
type Change struct {
	Was, Is           SavedTunnel
	Groups            []string // that Is belongs to; nil leaves them as they are
	WasGroup, IsGroup SavedGroup
}

// Written is what the files say after a change, made or not.
type Written struct {
	Path  string // of the file that was to be changed
	Saved Saved
	Undo  func() (Written, error) // takes the change back, unless the file was changed again
}

// account is what the tunnel says of its account.
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

// named returns the saved tunnel of a name.
func (s *Saved) named(name string) (SavedTunnel, bool) {
	i := slices.IndexFunc(s.Tunnels, func(t SavedTunnel) bool { return t.Name == name })
	if i < 0 {
		return SavedTunnel{}, false
	}
	return s.Tunnels[i], true
}

// runs reports whether an open tunnel is the saved one, whoever opened it.
func (s SavedTunnel) runs(r *row) bool {
	spec, local := r.Spec, s.Forward.Local
	if s.Forward.To != "" && spec.To == s.Forward.To { // what the name means was found for that one
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
		local.Port() == 0 && spec.Local.Port() != 0 && (spec.Dynamic != nil || r.Local.Port() != spec.Remote.Port), // asked for elsewhere
		local.Addr().IsValid() && local.Addr() != spec.Local.Addr():
		return false
	}
	return true
}

// in reports whether an open tunnel is in the account that the saved one names; one that names none may be anywhere.
func (s SavedTunnel) in(r *row) bool {
	if s.Profile == "" && s.Region == "" {
		return true
	}
	profile, region := r.account()
	return (s.Profile == "" || s.Profile == profile) && (s.Region == "" || s.Region == region)
}

// elsewhere reports whether the target was written as an ARN of another account or region than a place that is known.
func (s SavedTunnel) elsewhere(p *place) bool {
	home := s.Target.Home
	if p == nil || home == (aws.Home{}) {
		return false
	}
	return home.Region != p.regionName() || p.identity.Account != "" && home.Account != p.identity.Account
}

// userOf is whom the proxy at the far end of a tunnel of before is asked as: what the saved tunnel says that it was, else what
// is said for all.
func (ts *tunnels) userOf(s SavedTunnel) string {
	for _, known := range ts.saved.Tunnels {
		port := known.Forward.Local.Port()
		if known.Target == s.Target && sameFar(known.opens(), s.Forward) && known.Forward.Socket == s.Forward.Socket && (port == 0 || port == s.Forward.Local.Port()) {
			return known.ProxyUser
		}
	}
	return ts.proxyUser
}

// opens is what the saved tunnel forwards.
func (s SavedTunnel) opens() tunnel.Forward {
	f := s.Forward
	if f.Dynamic != nil && s.Dynamic != nil {
		f.Dynamic = s.Dynamic
	}
	return f
}

// exposed reports whether others than this machine could use the tunnel.
func (s SavedTunnel) exposed() bool {
	at := s.Forward.Local.Addr()
	return at.IsValid() && !at.IsLoopback()
}

// query is how a container for the tunnel is looked up.
func (s SavedTunnel) query() aws.Query {
	q := s.Target.Query()
	if s.Forward.Remote.Host == "" {
		q.Port = s.Forward.Remote.Port
	}
	return q
}

// saving is an open tunnel as it would be saved; false when its target has no name that lasts.
func saving(r *row, taken func(string) bool) (SavedTunnel, bool) {
	target := aws.Target{Cluster: r.Spec.Target.Cluster, Service: r.Spec.Target.Service, Family: r.Spec.Target.Family}
	if r.unknown() || target.Service == "" && target.Family == "" {
		return SavedTunnel{}, false // that task comes once, or that name was not found
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

// plainName is a name that needs no quotes in YAML nor in a shell.
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
