package cli

import (
	"bytes"
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"culvert/ui/screen"
)

// changed is a config file with changes made, and everything else in it as it was: not a byte of the rest changes where
// tunnels are written one below the other, else comments and the order stay. What the file says is checked before and
// afterwards. A change of something that is not what the caller believes it to be is a *ChangedError.
func changed(path string, old []byte, changes []screen.Change, known []string) ([]byte, error) {
	before, err := parseConfig(path, old, known)
	if err != nil {
		return nil, err
	}
	want, err := before.saved.with(changes)
	if err != nil {
		return nil, err
	}
	for _, write := range []func([]byte, []screen.Change) ([]byte, error){splice, encode} {
		body, err := write(old, changes)
		if err != nil {
			continue // the other may do
		}
		after, err := parseConfig(path, body, known)
		if err == nil && sameSettings(before, after) && sameSaved(after.saved, want) && keptComments(old, body, changes) {
			return body, nil
		}
	}
	return nil, errors.New("the file has a form that culvert cannot change: change it by hand")
}

// with is what the file is to say afterwards.
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
		is.lanes = s.tunnels[at].lanes
		s.tunnels[at] = is
	}
	var empty []string // already
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

// sameEntry reports whether two tunnels are written alike.
func sameEntry(a, b screen.SavedTunnel) bool {
	return a.Target == b.Target && a.Forward == b.Forward && a.Probe == b.Probe && a.Entry == b.Entry
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
		return a.name == b.name && a.lanes == b.lanes && sameEntry(a.shown(), b.shown())
	}) && slices.EqualFunc(a.groups, b.groups, func(a, b savedGroup) bool {
		return a.name == b.name && slices.Equal(a.tunnels, b.tunnels)
	})
}

// keptComments reports whether a file has each comment that it is to have, once.
func keptComments(old, body []byte, changes []screen.Change) bool {
	want, err := grow(old, changes)
	var got yaml.Node
	if err != nil || yaml.Unmarshal(body, &got) != nil {
		return false
	}
	return slices.Equal(slices.Sorted(slices.Values(comments(&want.doc, want.loose...))), slices.Sorted(slices.Values(comments(&got))))
}

// comments are the lines of comments in a tree, and of more texts.
func comments(n *yaml.Node, more ...string) []string {
	var lines []string
	for _, text := range append(more, n.HeadComment, n.LineComment, n.FootComment) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	for _, part := range n.Content {
		lines = append(lines, comments(part)...)
	}
	return lines
}

// configTree is a config file that is being changed, with the lines of what is touched.
type configTree struct {
	doc   yaml.Node
	spans []span
	loose []string // comments below what was taken out, which are about something else
}

// span are lines of the file, counted from 1, and what stands there afterwards: an entry, or nothing.
type span struct {
	name       string // of the entry, as it was
	from, to   int
	key, value *yaml.Node
}

// grow makes the changes in a tree.
func grow(old []byte, changes []screen.Change) (*configTree, error) {
	var t configTree
	if err := yaml.Unmarshal(old, &t.doc); err != nil {
		return nil, err
	}
	if len(t.doc.Content) == 0 {
		t.doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	for _, c := range changes {
		t.change(c)
		t.changeGroup(c)
	}
	return &t, nil
}

// touch notes the lines of an entry before it is changed.
func (t *configTree) touch(in *yaml.Node, at int) {
	key, value := in.Content[at], in.Content[at+1]
	if key.Line == 0 || slices.ContainsFunc(t.spans, func(s span) bool { return s.key == key }) {
		return
	}
	t.spans = append(t.spans, span{name: key.Value, from: key.Line, to: max(lastLine(value), key.Line), key: key, value: value})
}

// drop takes an entry out, with the comment above it.
func (t *configTree) drop(in *yaml.Node, at int) {
	t.touch(in, at)
	key := in.Content[at]
	if i := slices.IndexFunc(t.spans, func(s span) bool { return s.key == key }); i >= 0 {
		t.spans[i].value = nil
		if key.HeadComment != "" {
			t.spans[i].from -= strings.Count(key.HeadComment, "\n") + 1
		}
	}
	switch { // what stands below it stays
	case key.FootComment == "":
	case at >= 2:
		above := in.Content[at-2]
		above.FootComment = strings.TrimLeft(above.FootComment+"\n\n"+key.FootComment, "\n")
	default:
		t.loose = append(t.loose, key.FootComment)
	}
	in.Content = slices.Delete(in.Content, at, at+2)
}

func (t *configTree) change(c screen.Change) {
	tunnels := t.section("tunnels", c.Was.Name == "" && c.Is.Name != "")
	switch at := entryAt(tunnels, c.Was.Name); {
	case tunnels == nil:
		return
	case c.Was.Name == "" && c.Is.Name == "":
		return
	case c.Was.Name == "":
		tunnels.Content = append(tunnels.Content, word(c.Is.Name, 0), entry(c.Is))
	case at < 0:
		return
	case c.Is.Name == "":
		t.drop(tunnels, at)
	case c.Is.Name != c.Was.Name || !sameEntry(c.Was, c.Is):
		t.touch(tunnels, at)
		rename(tunnels.Content[at], c.Is.Name)
		amend(tunnels.Content[at+1], c.Was, c.Is)
	}
	groups := t.section("groups", len(c.Groups) > 0)
	if groups == nil {
		return
	}
	for i := len(groups.Content) - 2; i >= 0; i -= 2 {
		name, list := groups.Content[i].Value, groups.Content[i+1]
		at := slices.IndexFunc(list.Content, func(n *yaml.Node) bool { return n.Value == cmp.Or(c.Was.Name, c.Is.Name) })
		wanted := c.Groups == nil && at >= 0 || slices.Contains(c.Groups, name)
		switch {
		case at < 0 && !wanted, at >= 0 && wanted && c.Is.Name == c.Was.Name:
			continue
		case at >= 0 && (c.Is.Name == "" || !wanted):
			if len(list.Content) == 1 {
				t.drop(groups, i)
				continue
			}
			t.touch(groups, i)
			list.Content = slices.Delete(list.Content, at, at+1)
		case at >= 0:
			t.touch(groups, i)
			rename(list.Content[at], c.Is.Name)
		default:
			t.touch(groups, i)
			list.Content = append(list.Content, word(c.Is.Name, 0))
		}
	}
	for _, name := range c.Groups {
		if entryAt(groups, name) < 0 {
			groups.Content = append(groups.Content, word(name, 0), listOf(c.Is.Name))
		}
	}
}

func (t *configTree) changeGroup(c screen.Change) {
	groups := t.section("groups", c.WasGroup.Name == "" && c.IsGroup.Name != "")
	if groups == nil {
		return
	}
	switch at := entryAt(groups, c.WasGroup.Name); {
	case c.WasGroup.Name == "" && c.IsGroup.Name == "":
	case c.WasGroup.Name == "":
		groups.Content = append(groups.Content, word(c.IsGroup.Name, 0), listOf(c.IsGroup.Tunnels...))
	case at < 0:
	case c.IsGroup.Name == "":
		t.drop(groups, at)
	default:
		t.touch(groups, at)
		rename(groups.Content[at], c.IsGroup.Name)
		list := groups.Content[at+1]
		var members []*yaml.Node
		for _, name := range c.IsGroup.Tunnels {
			i := slices.IndexFunc(list.Content, func(n *yaml.Node) bool { return n.Value == name })
			if i < 0 {
				members = append(members, word(name, 0))
			} else {
				members = append(members, list.Content[i])
			}
		}
		list.Content = members
	}
}

// section is the value of a key of the file; nil when there is none and none is needed.
func (t *configTree) section(key string, needed bool) *yaml.Node {
	n := section(&t.doc, key)
	if n == nil && needed {
		n = &yaml.Node{Kind: yaml.MappingNode}
		file := t.doc.Content[0]
		file.Content = append(file.Content, word(key, 0), n)
	}
	return n
}

// entryAt is where an entry of that name begins in a mapping; -1 when there is none.
func entryAt(in *yaml.Node, name string) int {
	if in == nil || name == "" {
		return -1
	}
	for i := 0; i+1 < len(in.Content); i += 2 {
		if in.Content[i].Value == name {
			return i
		}
	}
	return -1
}

// remove takes an entry out of a mapping.
func remove(in *yaml.Node, name string) {
	if at := entryAt(in, name); at >= 0 {
		in.Content = slices.Delete(in.Content, at, at+2)
	}
}

// word is a text of the file.
func word(s string, style yaml.Style) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: style}
}

func listOf(names ...string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, name := range names {
		n.Content = append(n.Content, word(name, 0))
	}
	return n
}

// rename changes a text and nothing about it.
func rename(n *yaml.Node, to string) {
	if n.Value != to {
		n.Value, n.Tag = to, "!!str"
		n.Style &^= yaml.LiteralStyle | yaml.FoldedStyle
	}
}

// entryKeys are the keys of an entry that the interface knows, with what they say. Those of forms that YAML would take for
// something else are quoted.
func entryKeys(t screen.SavedTunnel) []struct {
	key, value string
	style      yaml.Style
} {
	return []struct {
		key, value string
		style      yaml.Style
	}{
		{"target", t.Target.String(), 0}, {"forward", t.Forward.String(), yaml.DoubleQuotedStyle}, {"probe", t.Probe, yaml.DoubleQuotedStyle},
		{"profile", t.Entry.Profile, 0}, {"region", t.Entry.Region, 0}, {"role-arn", t.Entry.Role, yaml.DoubleQuotedStyle},
	}
}

// entry is a saved tunnel as it stands in the file.
func entry(t screen.SavedTunnel) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, k := range entryKeys(t) {
		if k.value != "" {
			n.Content = append(n.Content, word(k.key, 0), word(k.value, k.style))
		}
	}
	return n
}

// amend changes of an entry what differs. Keys that the interface does not know stay.
func amend(n *yaml.Node, was, is screen.SavedTunnel) {
	before := entryKeys(was)
	for i, k := range entryKeys(is) {
		at := entryAt(n, k.key)
		switch {
		case k.value == before[i].value:
		case k.value == "":
			remove(n, k.key)
		case at < 0:
			n.Content = append(n.Content, word(k.key, 0), word(k.value, k.style))
		case n.Content[at+1].Kind == yaml.AliasNode:
			n.Content[at+1] = word(k.value, k.style)
		default:
			rename(n.Content[at+1], k.value)
		}
	}
}

// encode writes a file anew, whatever its form. Comments stay, blank lines may not.
func encode(old []byte, changes []screen.Change) ([]byte, error) {
	t, err := grow(old, changes)
	if err != nil {
		return nil, err
	}
	return encoded(&t.doc)
}

func encoded(n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err := errors.Join(e.Encode(n), e.Close())
	return b.Bytes(), err
}

// patch replaces lines of a file, counted from 1; with to before from it is put before that line.
type patch struct {
	from, to int
	text     string
}

// splice replaces the lines of what is touched, so that not a byte of the rest changes. It is right for entries written one
// below the other; the caller checks what it has got.
func splice(old []byte, changes []screen.Change) ([]byte, error) {
	t, err := grow(old, changes)
	if err != nil {
		return nil, err
	}
	var was yaml.Node
	if err := yaml.Unmarshal(old, &was); err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(old), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	var patches []patch
	for _, key := range []string{"tunnels", "groups"} {
		some, err := t.patches(key, &was, lines)
		if err != nil {
			return nil, err
		}
		patches = append(patches, some...)
	}
	slices.SortStableFunc(patches, func(a, b patch) int { return b.from - a.from })
	for _, p := range patches {
		if p.from < 1 || p.to > len(lines) {
			return nil, errors.New("the lines of an entry are not known")
		}
		lines = slices.Replace(lines, p.from-1, max(p.to, p.from-1), p.text)
	}
	return []byte(strings.Join(lines, "")), nil
}

// patches are those for a section of the file, which was something else before.
func (t *configTree) patches(key string, file *yaml.Node, lines []string) ([]patch, error) {
	is, was := section(&t.doc, key), section(file, key)
	if is == nil {
		return nil, nil
	}
	if was != nil && len(was.Content) > 0 && was.Style&yaml.FlowStyle != 0 {
		return nil, errors.New("its entries do not stand one below the other")
	}
	indent, end := "  ", len(lines)
	if was != nil && len(was.Content) > 0 {
		indent = strings.Repeat(" ", max(was.Content[0].Column-1, 0))
		end = min(lastLine(was), len(lines))
	}
	var all []patch
	var fresh strings.Builder
	for i := 0; i+1 < len(is.Content); i += 2 {
		if is.Content[i].Line != 0 {
			continue
		}
		text, err := rendered(is.Content[i], is.Content[i+1], indent)
		if err != nil {
			return nil, err
		}
		fresh.WriteString(text)
	}
	if fresh.Len() > 0 {
		title := ""
		if was == nil {
			title = key + ":\n"
		}
		all = append(all, patch{from: end + 1, to: end, text: title + fresh.String()})
	}
	for _, s := range t.spans {
		if entryAt(was, s.name) < 0 || was.Content[entryAt(was, s.name)].Line != s.key.Line {
			continue // of the other section
		}
		p := patch{from: s.from, to: s.to}
		if s.value != nil {
			text, err := rendered(s.key, s.value, indent)
			if err != nil {
				return nil, err
			}
			p.text = text
		}
		all = append(all, p)
	}
	if was != nil && len(was.Content) > 0 && len(is.Content) == 0 {
		for i := 0; i+1 < len(file.Content[0].Content); i += 2 {
			if at := file.Content[0].Content[i]; at.Value == key { // nothing is left of the section
				line := strings.Replace(lines[at.Line-1], key+":", key+": {}", 1)
				all = append(all, patch{from: at.Line, to: at.Line, text: line})
			}
		}
	}
	return all, nil
}

// rendered is an entry as lines of a file. What stands above and below it stays where it is.
func rendered(key, value *yaml.Node, indent string) (string, error) {
	name := *key
	name.HeadComment, name.FootComment = "", ""
	body, err := encoded(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{&name, value}})
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for line := range strings.Lines(string(body)) {
		text.WriteString(indent + line)
	}
	return text.String(), nil
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
