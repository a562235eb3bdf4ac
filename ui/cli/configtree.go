package cli

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"culvert/tunnel/front"
	"culvert/ui/screen"
)

// configTree is a config file that is being changed, with the lines of the entries that change.
type configTree struct {
	doc   yaml.Node
	spans []span
	loose []string // comments below entries that were taken out, with no entry above to keep them; they are about something else
}

// span is the lines of an entry in the old file, counted from 1, and the entry that replaces them; none when value is nil.
type span struct {
	name       string // the name of the entry in the old file
	from, to   int
	key, value *yaml.Node
}

// grow reads a config file as a tree, and makes changes in it.
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
	switch { // the comment below the entry is kept
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

// entryAt is the index of the key of an entry in the content of a mapping; -1 when there is no entry with the name.
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

// word makes a node for a text, in a style.
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

// rename changes the text of a node, but not its style or comments.
func rename(n *yaml.Node, to string) {
	if n.Value != to {
		n.Value, n.Tag = to, "!!str"
		n.Style &^= yaml.LiteralStyle | yaml.FoldedStyle
	}
}

// entryKey is one key of an entry that the interface knows. With a nil value the entry does not have the key.
type entryKey struct {
	key   string
	value *yaml.Node
}

// entryKeys are the keys of an entry. The values of forms that YAML would take for something else are quoted.
func entryKeys(t screen.SavedTunnel) []entryKey {
	plain := func(s string) *yaml.Node { return wordUnlessEmpty(s, 0) }
	quoted := func(s string) *yaml.Node { return wordUnlessEmpty(s, yaml.DoubleQuotedStyle) }
	keys := []entryKey{{"target", plain(t.Target.String())}, {"to", nil}}
	form := quoted(t.Forward.String())
	if t.Forward.To != "" {
		keys[1].value, form = form, nil
	}
	if d := t.Forward.Dynamic; d != nil {
		keys = append(keys, entryKey{"forward", nil}, entryKey{"dynamic", number(t.Forward.String())},
			entryKey{"via", listOfForms(d.Via, front.Pattern.String)}, entryKey{"deny", listOfForms(d.Deny, front.Pattern.String)}, entryKey{"destinations", nil}, entryKey{"warm", listOfForms(d.Warm, hostPort)})
		if d.Destinations > 0 {
			keys[len(keys)-2].value = number(strconv.Itoa(d.Destinations))
		}
	} else {
		keys = append(keys, entryKey{"forward", form}, entryKey{"dynamic", nil},
			entryKey{"via", nil}, entryKey{"deny", nil}, entryKey{"destinations", nil}, entryKey{"warm", nil})
	}
	return append(keys, entryKey{"probe", quoted(t.Probe)},
		entryKey{"profile", plain(t.Entry.Profile)}, entryKey{"region", plain(t.Entry.Region)}, entryKey{"role-arn", quoted(t.Entry.Role)})
}

func wordUnlessEmpty(s string, style yaml.Style) *yaml.Node {
	if s == "" {
		return nil
	}
	return word(s, style)
}

// number makes a node for a text that is not quoted if it is a number.
func number(s string) *yaml.Node {
	if strings.Trim(s, "0123456789") != "" {
		return word(s, yaml.DoubleQuotedStyle)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: s}
}

// listOfForms makes a node for a list; nil when the list is empty.
func listOfForms[T any](of []T, form func(T) string) *yaml.Node {
	if len(of) == 0 {
		return nil
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, one := range of {
		n.Content = append(n.Content, word(form(one), yaml.DoubleQuotedStyle))
	}
	return n
}

// entry makes the node of a saved tunnel's entry.
func entry(t screen.SavedTunnel) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, k := range entryKeys(t) {
		if k.value != nil {
			n.Content = append(n.Content, word(k.key, 0), k.value)
		}
	}
	return n
}

// amend changes the keys of an entry that differ between was and is. Keys that the interface does not know stay.
func amend(n *yaml.Node, was, is screen.SavedTunnel) {
	before := entryKeys(was)
	for i, k := range entryKeys(is) {
		at := entryAt(n, k.key)
		switch {
		case alike(k.value, before[i].value):
		case k.value == nil:
			remove(n, k.key)
		case at < 0:
			n.Content = append(n.Content, word(k.key, 0), k.value)
		case k.value.Kind != yaml.ScalarNode, n.Content[at+1].Kind != yaml.ScalarNode, k.value.Tag != before[i].value.Tag, k.value.Tag == "!!int":
			n.Content[at+1] = replaced(n.Content[at+1], k.value)
		default:
			rename(n.Content[at+1], k.value.Value)
		}
	}
}

// alike reports whether two nodes have the same value.
func alike(a, b *yaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Kind == b.Kind && a.Value == b.Value && slices.EqualFunc(a.Content, b.Content, alike)
}

// replaced returns the new value with the comments of the old one.
func replaced(was, is *yaml.Node) *yaml.Node {
	if was.Kind != yaml.AliasNode {
		is.HeadComment, is.LineComment, is.FootComment = was.HeadComment, was.LineComment, was.FootComment
	}
	return is
}
