package ui

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// keyMap is every key of the screen: what reacts to keys, the bottom line and the help all read it.
type keyMap struct {
	up, down, top, bottom, pageUp, pageDown binding
	in, back, nextPane                      binding
	filter, sort, reverse                   binding
	forward, tunnels, stop, reconnect       binding
	saved, save                             binding
	copy, log, view, doctor                 binding
	profile, region, refresh                binding
	help, quit                              binding
	suspend, interrupt                      binding // fixed: every terminal user's fingers know them
}

// binding is what keys are for: the name that the config file uses, and the words of the help.
type binding struct {
	key.Binding

	name string
}

func bind(name, words string, keys ...string) binding {
	return binding{key.NewBinding(key.WithKeys(keys...), key.WithHelp(label(keys), words)), name}
}

// label shows keys as a user reads them.
func label(keys []string) string {
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = k
		if k == "space" {
			words[i] = "space"
		}
	}
	return strings.Join(words, "/")
}

func defaultKeys() *keyMap {
	return &keyMap{
		up:        bind("up", "up", "up", "k"),
		down:      bind("down", "down", "down", "j"),
		top:       bind("top", "first row", "g", "home"),
		bottom:    bind("bottom", "last row", "G", "end"),
		pageUp:    bind("page-up", "a page up", "ctrl+b", "pgup"),
		pageDown:  bind("page-down", "a page down", "ctrl+f", "pgdown"),
		in:        bind("in", "in", "enter"),
		back:      bind("back", "back", "esc"),
		nextPane:  bind("next-pane", "other pane", "tab"),
		filter:    bind("filter", "filter", "/"),
		sort:      bind("sort", "sort, next column", "o"),
		reverse:   bind("reverse", "sort, other way", "O"),
		forward:   bind("forward", "forward", "F"),
		tunnels:   bind("tunnels", "tunnels", "t", "f"),
		stop:      bind("stop", "stop", "x"),
		reconnect: bind("reconnect", "reconnect", "R"),
		saved:     bind("saved", "saved tunnels", "S"),
		save:      bind("save", "save", "s"),
		copy:      bind("copy", "copy", "y"),
		log:       bind("log", "log", "L"),
		doctor:    bind("doctor", "doctor", "d"),
		view:      bind("view", "next view", "v"),
		profile:   bind("profile", "profile", "p"),
		region:    bind("region", "region", "r"),
		refresh:   bind("refresh", "look again", "ctrl+r"),
		help:      bind("help", "help", "?"),
		quit:      bind("quit", "quit", "q"),
		suspend:   bind("", "suspend", "ctrl+z"),
		interrupt: bind("", "quit at once", "ctrl+c"),
	}
}

// remappable are the bindings that the config file may change.
func (k *keyMap) remappable() []*binding {
	return []*binding{
		&k.up, &k.down, &k.top, &k.bottom, &k.pageUp, &k.pageDown, &k.in, &k.back, &k.nextPane, &k.filter, &k.sort, &k.reverse,
		&k.forward, &k.tunnels, &k.stop, &k.reconnect, &k.saved, &k.save, &k.copy, &k.log, &k.view, &k.doctor, &k.profile, &k.region, &k.refresh,
		&k.help, &k.quit,
	}
}

// KeyError is a remapping that cannot be.
type KeyError struct {
	Name    string // of the action, as in the config file
	Problem string
	Known   []string // the actions there are, when Name is none of them
}

func (e *KeyError) Error() string { return fmt.Sprintf("keys: %s: %s", e.Name, e.Problem) }

// Remedy lists the actions, or says what to write.
func (e *KeyError) Remedy() string {
	if len(e.Known) > 0 {
		return "name one of: " + strings.Join(e.Known, ", ")
	}
	return `give every action keys of its own, as in: keys: {stop: [X, ctrl+x]}`
}

// CheckKeys returns the first *KeyError of a remapping, actions in the order of the alphabet; nil when all is well.
func CheckKeys(remapped map[string][]string) error {
	_, err := remap(remapped)
	return err
}

// remap is the default keys with some changed. A key can be for one thing alone; esc, ctrl+c and ctrl+z stay what they
// are, so that there is always a way out.
func remap(remapped map[string][]string) (*keyMap, error) {
	k := defaultKeys()
	byName := map[string]*binding{}
	for _, b := range k.remappable() {
		byName[b.name] = b
	}
	for _, name := range slices.Sorted(maps.Keys(remapped)) {
		b, keys := byName[name], remapped[name]
		switch {
		case b == nil:
			return nil, &KeyError{Name: name, Problem: "no such action", Known: slices.Sorted(maps.Keys(byName))}
		case len(keys) == 0 || slices.Contains(keys, ""):
			return nil, &KeyError{Name: name, Problem: "no key"}
		case name == "back" && !slices.Contains(keys, "esc"):
			keys = append(slices.Clone(keys), "esc")
		}
		*b = bind(name, b.Help().Desc, keys...)
	}
	owner := map[string]string{"ctrl+c": "quitting at once", "ctrl+z": "suspending"}
	for _, b := range k.remappable() {
		for _, pressed := range b.Keys() {
			if first, taken := owner[pressed]; taken {
				name := b.name
				if _, changed := remapped[name]; !changed {
					name, first = first, name
				}
				return nil, &KeyError{Name: name, Problem: fmt.Sprintf("key %s is already for %s", pressed, first)}
			}
			owner[pressed] = b.name
		}
	}
	return k, nil
}

// is reports whether a key press is for b.
func is(k tea.KeyPressMsg, b binding) bool { return key.Matches(k, b.Binding) }

// as is a binding with other words for the bottom line.
func (b binding) as(words string) binding {
	b.SetHelp(b.Help().Key, words)
	return b
}

// shortest is the first key of a binding, for the bottom line.
func (b binding) shortest() string { return b.Keys()[0] }
