package cli

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"culvert/ui/screen"
)

// keys reads the remapped keys of the interface: an action with a key, or with a list of them.
func (c checker) keys(n *yaml.Node) (map[string][]string, error) {
	remapped := map[string][]string{}
	err := c.mapping(n, "keys", nil, func(action string, value *yaml.Node) error {
		nodes := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			nodes = value.Content
		}
		remapped[action] = nil
		for _, node := range nodes {
			text, err := c.scalar(node, action)
			if err != nil {
				return err
			}
			remapped[action] = append(remapped[action], text)
		}
		if err := screen.CheckKeys(remapped); err != nil {
			return c.problem(value.Line, advice(err, "give every action keys of its own"), "%s", err)
		}
		return nil
	})
	return remapped, err
}

// yesOrNo reads a switch. It also takes "yes" and "no", which are booleans for people, but only words in YAML 1.2.
func (c checker) yesOrNo(n *yaml.Node, key string) (*bool, error) {
	text, err := c.scalar(n, key)
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(text) {
	case "yes", "true", "on":
		return new(true), nil
	case "no", "false", "off":
		return new(false), nil
	}
	return nil, c.problem(n.Line, "write "+key+": yes or "+key+": no", "%s is %q", key, text)
}

// bell reads for what the terminal's bell rings.
func (c checker) bell(n *yaml.Node) (*screen.Bell, error) {
	text, err := c.scalar(n, "bell")
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(text) {
	case "lost":
		return new(screen.BellLost), nil
	case "all", "yes", "true", "on":
		return new(screen.BellAll), nil
	case "no", "false", "off":
		return new(screen.BellNever), nil
	}
	return nil, c.problem(n.Line, "write bell: lost (when a tunnel is lost), bell: all (and when it is back) or bell: no", "bell is %q", text)
}
