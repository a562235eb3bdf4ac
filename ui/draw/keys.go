package draw

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// Binding is some keys with what they do: the name of that in the config file, and the words for it in the help.
type Binding struct {
	key.Binding

	Name string
}

// Bind makes a binding; words are what the bottom line and the help call it.
func Bind(name, words string, keys ...string) Binding {
	return Binding{key.NewBinding(key.WithKeys(keys...), key.WithHelp(strings.Join(keys, "/"), words)), name}
}

// Pressed reports whether a key press is for b.
func (b Binding) Pressed(k tea.KeyPressMsg) bool { return key.Matches(k, b.Binding) }

// As is a binding with other words for the bottom line.
func (b Binding) As(words string) Binding {
	b.SetHelp(b.Help().Key, words)
	return b
}

// Shortest is the first key of a binding, for the bottom line.
func (b Binding) Shortest() string { return b.Keys()[0] }

// TableKeys are the keys that a table takes. Back takes the marks away, and when there are none, the filter.
type TableKeys struct {
	Up, Down, Top, Bottom, PageUp, PageDown Binding
	Filter, Sort, Reverse, Mark, Back       Binding
}
