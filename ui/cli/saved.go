package cli

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"culvert/aws"
	"culvert/tunnel"
)

// savedTunnel is a tunnel of a config file.
type savedTunnel struct {
	name    string
	target  aws.Target // without a RuntimeID; may be zero where the forward is to a name
	forward tunnel.Forward
	probe   probeValue
	lanes   lanesValue // 0 is what --lanes says
	spread  string     // no keeps it on one task; else it is what --spread says
	file    string
	project bool // file is a project file

	profile, region, role string // of the account that the tunnel is in; empty is what the flags say
	proxyUser             string // whom the proxy at its far end wants; empty is what the flags say
}

// savedGroup is a list of saved tunnels with a name, all of one config file.
type savedGroup struct {
	name    string
	tunnels []string
	project string // the project file that it comes from; empty for the user's own
}

// saved are the tunnels and groups of the config files, in the order of the files.
type saved struct {
	tunnels []savedTunnel
	groups  []savedGroup
	hidden  []savedTunnel // of a file that did not win the name
}

// merge adds what another file has under names that are still free, of tunnels and groups alike: the file that wins comes
// first, and its names mean what they mean there.
func (s *saved) merge(other saved) {
	taken := s.names()
	for _, t := range other.tunnels {
		if slices.Contains(taken, t.name) {
			s.hidden = append(s.hidden, t)
			continue
		}
		s.tunnels = append(s.tunnels, t)
	}
	for _, g := range other.groups {
		if !slices.Contains(taken, g.name) {
			s.groups = append(s.groups, g)
		}
	}
}

// names are those of the tunnels and groups.
func (s *saved) names() []string {
	var names []string
	for _, t := range s.tunnels {
		names = append(names, t.name)
	}
	for _, g := range s.groups {
		names = append(names, g.name)
	}
	return names
}

// tunnels reads the saved tunnels, see "Files" in the documentation of the command line.
func (c checker) tunnels(n *yaml.Node) ([]savedTunnel, error) {
	var all []savedTunnel
	err := c.mapping(n, "tunnels", nil, func(name string, value *yaml.Node) error {
		t := savedTunnel{name: name, file: c.file, project: c.project}
		found := map[string]bool{}
		var hosts anyHost
		err := c.mapping(value, "tunnel "+name, c.tunnelKeys(), func(key string, value *yaml.Node) error {
			text, err := c.value(value, key)
			if err != nil {
				return err
			}
			found[key] = true
			if slices.Contains(anyHostKeys(), key) {
				return c.anyHostValue(&hosts, key, text, value.Line)
			}
			return c.tunnelValue(&t, key, text, value.Line)
		})
		if err != nil {
			return err
		}
		if err := c.whole(name, found, value.Line); err != nil {
			return err
		}
		if d := t.forward.Dynamic; d != nil {
			if t.probe.OfOneServer() {
				return c.problem(value.Line, "write a URL there, which is fetched through it, or leave it out", "tunnel %s has probe: %s, which asks one server, and dynamic has none", name, t.probe.String())
			}
			d.Via, d.Deny, d.Destinations, d.Warm = hosts.via, hosts.deny, hosts.destinations, hosts.warm
		}
		all = append(all, t)
		return nil
	})
	return all, err
}

// whole refuses an entry that leads nowhere, or to two things.
func (c checker) whole(name string, found map[string]bool, line int) error {
	example := fmt.Sprintf("write %s: {target: CLUSTER/SERVICE, forward: \"PORT\"}, or dynamic: 1080 in place of the forward, or {to: NAME}", name)
	switch {
	case found["to"] && (found["forward"] || found["dynamic"]):
		return c.problem(line, "keep one of the two: to finds by itself where the tunnel leads", "tunnel %s has to, and forward or dynamic as well", name)
	case !found["target"] && !found["to"]:
		return c.problem(line, example, "tunnel %s has no target", name)
	case found["forward"] && found["dynamic"]:
		return c.problem(line, "keep one of the two: forward leads to one host, dynamic to any", "tunnel %s has both forward and dynamic", name)
	case found["dynamic"]:
		return nil
	case !found["forward"] && !found["to"]:
		return c.problem(line, example, "tunnel %s has no forward", name)
	}
	for _, key := range anyHostKeys() {
		if found[key] {
			return c.problem(line, "leave it out, or write dynamic: PORT in place of the forward", "tunnel %s has %s, which is for dynamic", name, key)
		}
	}
	return nil
}

// tunnelKeys are the keys that a tunnel may have: whose role is assumed, and who gets the password of the environment, is not
// for a project to say.
func (c checker) tunnelKeys() []string {
	keys := append([]string{"target", "forward", "dynamic", "to", "probe", "lanes", "spread", "profile", "region"}, anyHostKeys()...)
	if !c.project {
		keys = append(keys, "role-arn", "proxy-user")
	}
	return keys
}

func (c checker) tunnelValue(t *savedTunnel, key, text string, line int) error {
	var err error
	switch key {
	case "target":
		t.target, err = aws.ParseTarget(text)
	case "forward", "dynamic", "to":
		parse := map[string]func(string) (tunnel.Forward, error){"forward": tunnel.ParseForward, "dynamic": tunnel.ParseDynamic, "to": tunnel.ParseNamed}[key]
		if t.forward, err = parse(text); err == nil && c.project {
			err = checkProjectSocket(c.file, t.forward.Socket)
		}
	case "probe":
		err = t.probe.Set(text)
	case "lanes":
		err = t.lanes.Set(text)
	case "spread":
		err = choiceValue{&t.spread, []string{"yes", "no"}}.Set(text)
	case "profile":
		t.profile = text
	case "region":
		t.region = text
	case "role-arn":
		t.role = text
	case "proxy-user":
		t.proxyUser = text
	}
	if err != nil {
		return c.problem(line, advice(err, "correct the value of "+key), "%s", err)
	}
	return nil
}

// anyHostValue reads what an entry says of its tunnel to any host.
func (c checker) anyHostValue(h *anyHost, key, text string, line int) error {
	var to interface{ Set(text string) error }
	switch key {
	case "via":
		to = &h.via
	case "deny":
		to = &h.deny
	case "warm":
		to = &h.warm
	default:
		to = bytesValue{&h.destinations, 1, maxDestinations, "N"}
	}
	if err := to.Set(text); err != nil {
		return c.problem(line, advice(err, "correct the value of "+key), "%s: %s", key, err)
	}
	return nil
}

// lanesOf are the sessions of a saved tunnel, as far as the flags leave that to its entry: how many (0 is what the flags say),
// and whether they stay on one task.
func (s *shared) lanesOf(t *savedTunnel) (lanes int, oneTask bool) {
	if !s.set.Lookup("lanes").Changed {
		lanes = int(t.lanes)
	}
	return lanes, t.spread == "no" && !s.set.Lookup("spread").Changed
}

// groups reads the groups; each names saved tunnels of the same file.
func (c checker) groups(n, file *yaml.Node) ([]savedGroup, error) {
	var known []string
	for i := 0; i+1 < len(file.Content); i += 2 {
		if tunnels := file.Content[i+1]; file.Content[i].Value == "tunnels" && tunnels.Kind == yaml.MappingNode {
			for j := 0; j < len(tunnels.Content); j += 2 {
				known = append(known, tunnels.Content[j].Value)
			}
		}
	}
	var all []savedGroup
	err := c.mapping(n, "groups", nil, func(name string, value *yaml.Node) error {
		if value.Kind != yaml.SequenceNode {
			return c.problem(value.Line, "write "+name+": [TUNNEL, TUNNEL]", "group %s is not a list", name)
		}
		g := savedGroup{name: name}
		if c.project {
			g.project = c.file
		}
		for _, member := range value.Content {
			if !slices.Contains(known, member.Value) {
				return c.problem(member.Line, unknownKey(member.Value, known), "group %s names an unknown tunnel %q", name, member.Value)
			}
			g.tunnels = append(g.tunnels, member.Value)
		}
		all = append(all, g)
		return nil
	})
	return all, err
}
