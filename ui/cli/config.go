package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"culvert/internal/near"
	"culvert/ui/screen"
)

// maxConfig bounds a config file, in bytes.
const maxConfig = 1 << 20

// ConfigError is something in a config file that culvert cannot use.
type ConfigError struct {
	File    string
	Line    int // 0 when the error is about the whole file
	Problem string
	Advice  string
}

func (e *ConfigError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("config file %s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("config file %s, line %d: %s", e.File, e.Line, e.Problem)
}

// Remedy says which keys or values there are.
func (e *ConfigError) Remedy() string { return e.Advice }

// setting is the value of one key, and the line on which it stands.
type setting struct {
	value string
	line  int
}

// configFile is a config file with every key checked.
type configFile struct {
	path     string
	found    bool               // false: there is no such file
	settings map[string]setting // by flag name
	saved    saved
	keys     map[string][]string // remapped keys of the interface, by action; nil when the file says nothing
	mouse    *bool
	bell     *screen.Bell // for what the terminal's bell rings; nil when the file does not say
}

// otherKeys are the keys of a config file that are no flags.
var otherKeys = []string{"tunnels", "groups", "keys", "mouse", "bell"} //nolint:gochecknoglobals // a constant list

// readConfig reads path; a file that does not exist is an empty one unless required. known are the names of the
// shared flags.
func readConfig(path string, required bool, known []string) (configFile, error) {
	file, err := os.Open(path) //nolint:gosec // the user's own choice of file
	switch {
	case errors.Is(err, fs.ErrNotExist) && !required:
		return configFile{path: path}, nil
	case err != nil:
		return configFile{path: path}, unreadable(path, err)
	}
	defer file.Close() //nolint:errcheck // only read
	body, err := contents(file, path)
	if err != nil {
		return configFile{path: path}, err
	}
	return parseConfig(path, body, known)
}

// contents reads a config file, but at most one byte more than maxConfig, which shows that the file is too large.
func contents(file io.Reader, path string) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	return body, nil
}

func unreadable(path string, err error) error {
	return &ConfigError{File: path, Problem: cause(err), Advice: "name a readable file with --config, or leave it out"}
}

// cause drops the operation and path that an *fs.PathError repeats.
func cause(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// parseConfig checks a config file of the user's and returns what it sets. Every error is a *ConfigError.
func parseConfig(path string, body []byte, known []string) (configFile, error) {
	return checker{file: path}.parse(body, slices.Concat(known, otherKeys))
}

// parse checks a config file that may have the given keys.
func (c checker) parse(body []byte, keys []string) (configFile, error) {
	f := configFile{path: c.file, found: true, settings: map[string]setting{}}
	if len(body) > maxConfig {
		return f, c.problem(0, "put less into it", "it has more than %d bytes", maxConfig)
	}
	var doc, next yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(body))
	err := documents.Decode(&doc)
	if err == nil && !errors.Is(documents.Decode(&next), io.EOF) {
		return f, c.problem(next.Line, "keep one document, without a line ---", "it has a second document")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return f, c.problem(0, "correct the YAML", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return f, nil
	}
	err = c.mapping(doc.Content[0], "the file", keys, func(key string, value *yaml.Node) error {
		var err error
		switch key {
		case "tunnels":
			f.saved.tunnels, err = c.tunnels(value)
			return err
		case "groups":
			f.saved.groups, err = c.groups(value, doc.Content[0])
			return err
		case "keys":
			f.keys, err = c.keys(value)
			return err
		case "mouse":
			f.mouse, err = c.yesOrNo(value, key)
			return err
		case "bell":
			f.bell, err = c.bell(value)
			return err
		}
		text, err := c.value(value, key)
		if err != nil {
			return err
		}
		f.settings[key] = setting{value: text, line: value.Line}
		return nil
	})
	return f, err
}

// checker checks the parts of a config file, and makes errors that say at which line something is wrong.
type checker struct {
	file    string
	project bool // the file is a project file, not the user's own: see project.go
}

func (c checker) problem(line int, advice, format string, args ...any) error {
	return &ConfigError{File: c.file, Line: line, Problem: fmt.Sprintf(format, args...), Advice: advice}
}

// mapping calls each for every key of a mapping, in order, after it has refused unknown and repeated ones. A nil list
// of keys admits all.
func (c checker) mapping(n *yaml.Node, what string, keys []string, each func(key string, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return c.problem(n.Line, "write KEY: VALUE lines", "%s is not a mapping", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			return c.problem(key.Line, "write KEY: VALUE lines", "a key of %s is not a word", what)
		case keys != nil && !slices.Contains(keys, key.Value):
			return c.unknown(key, keys)
		case seen[key.Value]:
			return c.problem(key.Line, "keep one of the two", "key %q appears twice", key.Value)
		}
		seen[key.Value] = true
		if err := each(key.Value, value); err != nil {
			return err
		}
	}
	return nil
}

// unknown is the error for a key that is not among keys.
func (c checker) unknown(key *yaml.Node, keys []string) error {
	if c.project {
		return c.problem(key.Line, "move it there, or pass --config "+quoted(c.file)+" to say yes to this file as a whole; "+unknownKey(key.Value, keys),
			"%q is not for a project file: it belongs into your own, %s", key.Value, findPaths().Config)
	}
	return c.problem(key.Line, unknownKey(key.Value, keys), "unknown key %q", key.Value)
}

func unknownKey(key string, keys []string) string {
	sorted := slices.Sorted(slices.Values(keys))
	if near := near.Name(key, sorted); near != "" {
		return fmt.Sprintf("did you mean %q? Known keys: %s", near, strings.Join(sorted, ", "))
	}
	return "known keys: " + strings.Join(sorted, ", ")
}

// value reads the value of a key as its flag takes it: a list is joined with commas where the key has one.
func (c checker) value(n *yaml.Node, key string) (string, error) {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if n.Kind != yaml.SequenceNode || !isList(key) {
		return c.scalar(n, key)
	}
	var parts []string
	for _, part := range n.Content {
		text, err := c.scalar(part, key)
		if err != nil {
			return "", err
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "", c.problem(n.Line, "leave it out, or write "+key+": [ONE, ANOTHER]", "%s is an empty list", key)
	}
	return strings.Join(parts, ","), nil
}

// scalar reads a single value.
func (c checker) scalar(n *yaml.Node, key string) (string, error) {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", c.problem(n.Line, "write "+key+": VALUE", "%s has no single value", key)
	}
	return n.Value, nil
}
