package cli

import (
	"bytes"
	"errors"
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
			continue // the other way of writing may succeed
		}
		after, err := parseConfig(path, body, known)
		if err == nil && sameSettings(before, after) && sameSaved(after.saved, want) && keptComments(old, body, changes) {
			return body, nil
		}
	}
	return nil, errors.New("the file has a form that culvert cannot change: change it by hand")
}

// keptComments reports whether a changed file has exactly the comments that it is to have.
func keptComments(old, body []byte, changes []screen.Change) bool {
	want, err := grow(old, changes)
	var got yaml.Node
	if err != nil || yaml.Unmarshal(body, &got) != nil {
		return false
	}
	return slices.Equal(slices.Sorted(slices.Values(comments(&want.doc, want.loose...))), slices.Sorted(slices.Values(comments(&got))))
}

// comments returns the lines of the comments in a tree, and those of more texts.
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

// encode writes the whole file anew. It works for every form of a file, and keeps comments, but may drop blank lines.
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
