package cli

import (
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"culvert/ui/screen"
)

// patch replaces lines of a file, counted from 1 and including the last. If to is less than from, it inserts text before line
// from.
type patch struct {
	from, to int
	text     string
}

// splice replaces only the lines of the entries that change, so that no other byte changes. It works for entries that are written
// one below the other; the caller has to check the result.
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
			continue // the span is in the other section
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

// rendered returns an entry as lines of a file, without the comments above and below it, which stay where they are.
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
