package screen

import (
	"cmp"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
)

// The goals of the jump dialog that are no part of the account that the user looks at.

// goalsOf returns the open tunnels, those that were used before, the saved ones, and the hosts and destinations behind the open
// ones.
func goalsOf(ts *tunnels, m *memory, s *shelf, keepAlive time.Duration) []goal {
	return slices.Concat(openGoals(ts), recentGoals(ts, m, keepAlive), savedGoals(s), hostGoals(ts))
}

func openGoals(ts *tunnels) []goal {
	var goals []goal
	for _, r := range ts.rows {
		if !r.State.Final() {
			goals = append(goals, goal{
				kind: kindTunnel, name: farName(r.Spec.Remote.Host, r.far(), r.inside()), where: ts.look.theme.Glyph.Tunnel + " " + r.local() + " " + say.Line(r.Spec.Target.String()),
				words: r.local() + " " + r.Spec.Target.String(), reach: func() wish { return toTunnel(r) },
			})
		}
	}
	return goals
}

// farName names the far end of a tunnel for people: its host, else its service.
func farName(host, far, inside string) string {
	if host != "" {
		return far
	}
	return inside
}

// recentGoals returns the tunnels that were used before and are not open, the most used first.
func recentGoals(ts *tunnels, m *memory, keepAlive time.Duration) []goal {
	var goals []goal
	for _, t := range m.list {
		s, ok := saved(t)
		if !ok || ts.running(s) != nil {
			continue
		}
		far := farOf(s.Forward)
		goals = append(goals, goal{
			kind: kindRecent, name: farName(s.Forward.Remote.Host, far, cmp.Or(s.Target.Service, s.Target.Family)+":"+far), where: say.Line(s.Target.String()) + " " + s.account(),
			words: s.Target.String() + " " + s.Profile + " " + s.Region, reach: func() wish { return ts.launch(keepAlive, s) },
		})
	}
	return goals
}

func savedGoals(s *shelf) []goal {
	var goals []goal
	for _, g := range s.Groups {
		goals = append(goals, goal{kind: kindGroup, name: g.Name, where: say.Line(strings.Join(g.Tunnels, ", ")), reach: func() wish { return startSaved("group", g.Name) }})
	}
	for _, t := range s.Tunnels {
		goals = append(goals, goal{
			kind: kindSaved, name: t.Name, where: say.Line(t.Target.String() + " " + forwardWords(t.Forward)),
			words: t.Target.String() + " " + forwardWords(t.Forward), reach: func() wish { return startSaved("tunnel", t.Name) },
		})
	}
	return goals
}

// hostGoals returns the open destinations and the hosts that were asked for through the open tunnels; where several tunnels know
// a host, that of the first.
func hostGoals(ts *tunnels) []goal {
	var goals []goal
	seen := map[string]bool{}
	add := func(r *row, name string, reach func() wish) {
		if seen[name] || strings.HasPrefix(name, "(") { // no host, but a sum of several
			return
		}
		seen[name] = true
		goals = append(goals, goal{kind: kindHost, name: name, where: ts.look.theme.Glyph.Tunnel + " " + r.local() + " " + say.Line(r.inside()), reach: reach})
	}
	for _, r := range ts.rows {
		for _, d := range r.Destinations {
			name := hostPort(d.Endpoint)
			add(r, name, func() wish { return destinationOn(r, say.Line(name)) })
			seen[d.Endpoint.Host] = true // plain requests name the host without a port
		}
	}
	for _, r := range ts.rows {
		var open []hostTotal
		if r.tunnel != nil {
			open = r.hosts.totals(r.tunnel.Connections())
		} else {
			open = r.hosts.totals(nil)
		}
		for _, h := range open {
			add(r, h.Host, func() wish { return hostOn(r, h.Host) })
		}
	}
	return goals
}

// privateGoals returns the private destinations of a place that are known.
func privateGoals(p *place) []goal {
	var goals []goal
	seen := map[string]bool{}
	surveys := slices.Clone(p.surveys)
	slices.SortStableFunc(surveys, func(a, b *survey) int { return cmp.Compare(len(a.part.Cluster), len(b.part.Cluster)) }) // the survey of the whole account comes first
	for _, s := range surveys {
		for _, l := range s.rows() {
			if seen[l.id()] || l.secret != "" {
				continue
			}
			seen[l.id()] = true
			where := l.kind() + " " + l.where()
			goals = append(goals, goal{
				kind: kindHost, name: strings.TrimSuffix(l.Name+"/"+l.Role, "/"), where: say.Line(where), words: where + " " + l.Source,
				reach: func() wish { return privateHosts(s, l.id()) },
			})
		}
	}
	return goals
}

// keyGoals returns what the keys do, those that only move left out.
func (k *keyMap) keyGoals() []goal {
	var goals []goal
	for _, chapter := range k.chapters() {
		for _, b := range chapter.keys {
			if chapter.name == "move" || b.Name == "" || b.Name == k.jump.Name || b.Name == k.mark.Name {
				continue
			}
			goals = append(goals, goal{kind: kindKey, name: b.Help().Desc, where: b.Help().Key, reach: func() wish {
				return pressing(tea.KeyPressMsg{Text: b.Shortest()})
			}})
		}
	}
	return goals
}
