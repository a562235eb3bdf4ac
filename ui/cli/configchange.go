package cli

import (
	"reflect"
	"slices"

	"culvert/tunnel"
	"culvert/ui/screen"
)

// with returns the tunnels and groups as they are after changes. It returns a *ChangedError for a change that does not fit to
// what the file says now.
func (s *saved) with(changes []screen.Change) (saved, error) {
	out := saved{tunnels: slices.Clone(s.tunnels)}
	for _, g := range s.groups {
		g.tunnels = slices.Clone(g.tunnels)
		out.groups = append(out.groups, g)
	}
	for _, c := range changes {
		if err := out.change(c); err != nil {
			return saved{}, err
		}
		if err := out.changeGroup(c); err != nil {
			return saved{}, err
		}
	}
	return out, nil
}

func (s *saved) change(c screen.Change) error {
	if c.Was.Name == "" && c.Is.Name == "" {
		return nil
	}
	find := func(name string) int {
		return slices.IndexFunc(s.tunnels, func(t savedTunnel) bool { return t.name == name })
	}
	at := find(c.Was.Name)
	if other := find(c.Is.Name); c.Is.Name != "" && other >= 0 && other != at || c.Is.Name != c.Was.Name && s.group(c.Is.Name) >= 0 {
		return &ChangedError{What: "the name " + c.Is.Name + " is taken: what has it"}
	}
	if c.Was.Name != "" && (at < 0 || !sameEntry(s.tunnels[at].shown(), c.Was)) {
		return &ChangedError{What: "the tunnel " + c.Was.Name}
	}
	is := savedTunnel{name: c.Is.Name, target: c.Is.Target, forward: c.Is.Forward, profile: c.Is.Entry.Profile, region: c.Is.Entry.Region, role: c.Is.Entry.Role}
	if d := is.forward.Dynamic; d != nil { // only with what a file can say: it has no timeouts
		is.forward.Dynamic = &tunnel.Dynamic{Via: d.Via, Deny: d.Deny, Destinations: d.Destinations, Warm: d.Warm}
	}
	if c.Is.Probe != "" {
		if err := is.probe.Set(c.Is.Probe); err != nil {
			return err
		}
	}
	switch {
	case c.Was.Name == "":
		s.tunnels = append(s.tunnels, is)
	case c.Is.Name == "":
		s.tunnels = slices.Delete(s.tunnels, at, at+1)
	default:
		is.lanes, is.spread = s.tunnels[at].lanes, s.tunnels[at].spread
		s.tunnels[at] = is
	}
	var empty []string // groups that had no tunnels before the change
	for i := range s.groups {
		g := &s.groups[i]
		if len(g.tunnels) == 0 {
			empty = append(empty, g.name)
		}
		at := slices.Index(g.tunnels, c.Was.Name)
		switch {
		case c.Was.Name == "" || at < 0:
		case c.Is.Name == "":
			g.tunnels = slices.Delete(g.tunnels, at, at+1)
		default:
			g.tunnels[at] = c.Is.Name
		}
	}
	if c.Groups != nil && c.Is.Name != "" {
		s.join(c.Is.Name, c.Groups)
	}
	s.groups = slices.DeleteFunc(s.groups, func(g savedGroup) bool { return len(g.tunnels) == 0 && !slices.Contains(empty, g.name) })
	return nil
}

// join puts a tunnel into the groups named, new ones if need be, and takes it out of the others.
func (s *saved) join(name string, groups []string) {
	for i := range s.groups {
		g := &s.groups[i]
		at, wanted := slices.Index(g.tunnels, name), slices.Contains(groups, g.name)
		switch {
		case at < 0 && wanted:
			g.tunnels = append(g.tunnels, name)
		case at >= 0 && !wanted:
			g.tunnels = slices.Delete(g.tunnels, at, at+1)
		}
	}
	for _, group := range groups {
		if s.group(group) < 0 {
			s.groups = append(s.groups, savedGroup{name: group, tunnels: []string{name}})
		}
	}
}

func (s *saved) group(name string) int {
	return slices.IndexFunc(s.groups, func(g savedGroup) bool { return g.name == name })
}

func (s *saved) changeGroup(c screen.Change) error {
	was, is := c.WasGroup, c.IsGroup
	if was.Name == "" && is.Name == "" {
		return nil
	}
	at := s.group(was.Name)
	if was.Name != "" && (at < 0 || !slices.Equal(s.groups[at].tunnels, was.Tunnels)) {
		return &ChangedError{What: "the group " + was.Name}
	}
	if slices.Contains(s.names(), is.Name) && is.Name != was.Name {
		return &ChangedError{What: "the name " + is.Name + " is taken: what has it"}
	}
	switch {
	case was.Name == "":
		s.groups = append(s.groups, savedGroup{name: is.Name, tunnels: is.Tunnels})
	case is.Name == "":
		s.groups = slices.Delete(s.groups, at, at+1)
	default:
		s.groups[at].name, s.groups[at].tunnels = is.Name, slices.Clone(is.Tunnels)
	}
	return nil
}

// sameEntry reports whether two tunnels have the same entry in a config file.
func sameEntry(a, b screen.SavedTunnel) bool {
	return a.Target == b.Target && a.Forward.Same(b.Forward) && a.Probe == b.Probe && a.Entry == b.Entry
}

func sameSettings(a, b configFile) bool {
	if len(a.settings) != len(b.settings) || !reflect.DeepEqual(a.keys, b.keys) || !reflect.DeepEqual(a.mouse, b.mouse) || !reflect.DeepEqual(a.bell, b.bell) {
		return false
	}
	for name, set := range a.settings {
		if b.settings[name].value != set.value {
			return false
		}
	}
	return true
}

func sameSaved(a, b saved) bool {
	return slices.EqualFunc(a.tunnels, b.tunnels, func(a, b savedTunnel) bool {
		return a.name == b.name && a.lanes == b.lanes && a.spread == b.spread && sameEntry(a.shown(), b.shown())
	}) && slices.EqualFunc(a.groups, b.groups, func(a, b savedGroup) bool {
		return a.name == b.name && slices.Equal(a.tunnels, b.tunnels)
	})
}
