package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"culvert/ui/screen"
)

// SaveError is a config file that saved tunnels cannot be written to.
type SaveError struct {
	File string
	Err  error
}

func (e *SaveError) Error() string { return fmt.Sprintf("save to %s: %v", e.File, cause(e.Err)) }
func (e *SaveError) Unwrap() error { return e.Err }

// Remedy says how to get around it.
func (e *SaveError) Remedy() string {
	return advice(e.Err, "make the file writable, or name another one with --config")
}

// savedForScreen hands the saved tunnels and groups to the interface.
func (s *shared) forScreen() screen.Saved {
	var out screen.Saved
	for _, t := range s.saved.tunnels {
		probe := ""
		if t.probe != (probeValue{}) {
			probe = t.probe.String()
		}
		fromProject := ""
		if t.project {
			fromProject = t.file
		}
		shown := screen.SavedTunnel{Name: t.name, Target: t.target, Forward: t.forward, Probe: probe, Project: fromProject}
		named := t.named(s.accountOf(&t))
		shown.Profile, shown.Region, shown.Role = named.Profile, named.Region, named.Role
		out.Tunnels = append(out.Tunnels, shown)
	}
	for _, g := range s.saved.groups {
		out.Groups = append(out.Groups, screen.SavedGroup{Name: g.name, Tunnels: g.tunnels})
	}
	return out
}

// save adds tunnels to the file of --config, else to the user's own, and returns its path. Those of the demo account
// live no longer than it does, unless a file was named for them.
func (s *shared) save(fresh []screen.SavedTunnel) (string, error) {
	path := s.config
	switch {
	case path == "" && s.demo:
		return "this demo alone", nil
	case path == "":
		path = findPaths().Config
	}
	if err := addToConfig(path, fresh, s.names()); err != nil {
		return path, &SaveError{File: path, Err: err}
	}
	return path, nil
}

// addToConfig adds tunnels to a config file and leaves everything else in it as it is. The file is replaced at once or
// not at all; what a symbolic link leads to is replaced, not the link.
func addToConfig(path string, fresh []screen.SavedTunnel, known []string) error {
	if leads, err := filepath.EvalSymlinks(path); err == nil {
		path = leads
	}
	old, err := os.ReadFile(path) //nolint:gosec // the user's own choice of file
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	before, err := parseConfig(path, old, known)
	if err != nil {
		return err
	}
	body, err := withTunnels(old, fresh)
	if err != nil {
		return err
	}
	after, err := parseConfig(path, body, known)
	if err != nil || !adds(before, after, fresh) {
		if body, err = withTunnelNodes(old, fresh); err != nil {
			return err
		}
		if after, err = parseConfig(path, body, known); err != nil {
			return err
		}
		if !adds(before, after, fresh) {
			return errors.New("the file has a form that culvert cannot add to: add the tunnels by hand")
		}
	}
	return replace(path, body)
}

// adds reports whether a file has what it had, and then the fresh tunnels.
func adds(before, after configFile, fresh []screen.SavedTunnel) bool {
	for name, set := range before.settings {
		if after.settings[name].value != set.value {
			return false
		}
	}
	was, is := before.saved.tunnels, after.saved.tunnels
	n := len(was)
	if len(is) != n+len(fresh) || n > 0 && !reflect.DeepEqual(was, slices.Clip(is[:n])) ||
		len(after.settings) != len(before.settings) || !reflect.DeepEqual(before.saved.groups, after.saved.groups) ||
		!reflect.DeepEqual(before.keys, after.keys) || !reflect.DeepEqual(before.mouse, after.mouse) || !reflect.DeepEqual(before.bell, after.bell) {
		return false
	}
	for i, t := range is[n:] {
		if f := fresh[i]; t.name != f.Name || t.target != f.Target || t.forward != f.Forward {
			return false
		}
	}
	return true
}

// entry is a saved tunnel as it stands in the file.
func entry(t screen.SavedTunnel) *yaml.Node {
	word := func(s string, style yaml.Style) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: style}
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	n.Content = append(n.Content, word("target", 0), word(t.Target.String(), 0), word("forward", 0), word(t.Forward.String(), yaml.DoubleQuotedStyle))
	if t.Probe != "" {
		n.Content = append(n.Content, word("probe", 0), word(t.Probe, yaml.DoubleQuotedStyle))
	}
	return n
}

// withTunnels adds lines to the text of a file, so that not a byte of the rest changes. It is right for tunnels written
// one below the other; the caller checks what it has got.
func withTunnels(old []byte, fresh []screen.SavedTunnel) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(old, &doc); err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(old), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	at, indent := len(lines), "  "
	tunnels := section(&doc, "tunnels")
	if tunnels == nil {
		lines = append(lines, "tunnels:\n")
		at++
	} else if n := len(tunnels.Content); n > 0 {
		at = min(lastLine(tunnels), len(lines))
		indent = strings.Repeat(" ", max(tunnels.Content[0].Column-1, 0))
	}
	for _, t := range fresh {
		text, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: t.Name}, entry(t)}})
		if err != nil {
			return nil, err
		}
		lines = slices.Insert(lines, at, indent+strings.TrimSpace(string(text))+"\n")
		at++
	}
	return []byte(strings.Join(lines, "")), nil
}

// withTunnelNodes adds tunnels whatever the form of the file. Comments stay, blank lines may not.
func withTunnelNodes(old []byte, fresh []screen.SavedTunnel) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(old, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	tunnels := section(&doc, "tunnels")
	if tunnels == nil {
		tunnels = &yaml.Node{Kind: yaml.MappingNode}
		file := doc.Content[0]
		file.Content = append(file.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "tunnels"}, tunnels)
	}
	for _, t := range fresh {
		tunnels.Content = append(tunnels.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t.Name}, entry(t))
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(&doc), e.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// section is the value of a key of the file, nil when there is none.
func section(doc *yaml.Node, key string) *yaml.Node {
	if len(doc.Content) == 0 {
		return nil
	}
	content := doc.Content[0].Content
	for i := 0; i+1 < len(content); i += 2 {
		if content[i].Value == key {
			return content[i+1]
		}
	}
	return nil
}

// lastLine is the last line on which a part of n begins, counted from 1.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, part := range n.Content {
		last = max(last, lastLine(part))
	}
	return last
}

// replace writes a file that only its owner can read, in one step.
func replace(path string, body []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
