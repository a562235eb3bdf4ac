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
	target  aws.Target // without a RuntimeID; it may be zero when the forward is to a destination by its name
	forward tunnel.Forward
	probe   probeValue
	lanes   lanesValue // how many sessions; 0 for the value of --lanes
	spread  string     // "no" keeps the tunnel on one task; else --spread decides
	file    string
	project bool // file is a project file

	profile, region, role string // the account of the tunnel; empty for what the flags say
	proxyUser             string // the user for the proxy at its far end; empty for what the flags say
}

// savedGroup is a named list of saved tunnels, all of the same config file.
type savedGroup struct {
	name    string
	tunnels []string
	project string // the project file of the group; empty for the user's own file
}

// saved are the tunnels and groups of the config files, in the order of the files.
type saved struct {
	tunnels []savedTunnel
	groups  []savedGroup
	hidden  []savedTunnel // the tunnels that are not used, as a file with precedence has the same name
}

// merge adds the tunnels and groups of another file whose names are still free. The file with precedence is merged first, so that
// its names keep their meaning; a name is taken by a tunnel or a group alike.
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

// names are the names of the tunnels and groups.
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

// whole refuses an entry that does not say where the tunnel leads, or says so twice, or has keys that do not go together.
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

// tunnelKeys are the keys that the entry of a tunnel may have. A project may not say which role is assumed, and for which user
// the password of the environment is sent.
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

// anyHostValue reads the value of a key that is for a tunnel to any host.
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

// lanesOf returns how many sessions the entry of a saved tunnel asks for (0 for what the flags say), and whether they stay on one
// task. Flags of the command line have precedence over the entry.
func (s *shared) lanesOf(t *savedTunnel) (lanes int, oneTask bool) {
	if !s.set.Lookup("lanes").Changed {
		lanes = int(t.lanes)
	}
	return lanes, t.spread == "no" && !s.set.Lookup("spread").Changed
}

// groups reads the groups. Each may only name saved tunnels of the same file.
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
