package screen

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"culvert/ui/draw"
)

// keyMap holds every key of the screen: the handling of keys, the bottom line and the help all read it.
type keyMap struct {
	up, down, top, bottom, pageUp, pageDown draw.Binding
	in, back, nextPane, zoom                draw.Binding
	left, right                             draw.Binding
	filter, sort, reverse                   draw.Binding
	jump, all, hosts                        draw.Binding
	details, console                        draw.Binding
	forward, any, mark                      draw.Binding
	tunnels, stop, reconnect                draw.Binding
	undo, edit, remove, why                 draw.Binding
	saved, save                             draw.Binding
	copy, log, view, doctor                 draw.Binding
	profile, region, refresh, signIn        draw.Binding
	help, quit                              draw.Binding
	number                                  draw.Binding // cannot be changed: one key for each view of a tunnel, in their order
	suspend, interrupt                      draw.Binding // cannot be changed: all users of terminals know them
}

// table returns the keys that every table has.
func (k *keyMap) table() *draw.TableKeys {
	return &draw.TableKeys{
		Up: k.up, Down: k.down, Top: k.top, Bottom: k.bottom, PageUp: k.pageUp, PageDown: k.pageDown,
		Filter: k.filter, Sort: k.sort, Reverse: k.reverse, Mark: k.mark, Back: k.back,
	}
}

func defaultKeys() *keyMap {
	return &keyMap{
		up:        draw.Bind("up", "up", "up", "k"),
		down:      draw.Bind("down", "down", "down", "j"),
		top:       draw.Bind("top", "first row", "g", "home"),
		bottom:    draw.Bind("bottom", "last row", "G", "end"),
		pageUp:    draw.Bind("page-up", "a page up", "ctrl+b", "pgup"),
		pageDown:  draw.Bind("page-down", "a page down", "ctrl+f", "pgdown"),
		in:        draw.Bind("in", "in", "enter"),
		back:      draw.Bind("back", "back", "esc"),
		nextPane:  draw.Bind("next-pane", "other pane", "tab", "shift+tab"),
		zoom:      draw.Bind("zoom", "this pane alone, both", "+"),
		left:      draw.Bind("left", "back, view before", "h", "left"),
		right:     draw.Bind("right", "in, view after", "l", "right"),
		filter:    draw.Bind("filter", "filter", "/"),
		sort:      draw.Bind("sort", "sort, next column", "o"),
		reverse:   draw.Bind("reverse", "sort, other way", "O"),
		jump:      draw.Bind("jump", "jump to anything", ":", "ctrl+p"),
		all:       draw.Bind("all", "all services", "0"),
		hosts:     draw.Bind("hosts", "private hosts", "H"),
		details:   draw.Bind("details", "details", "i"),
		console:   draw.Bind("console", "page in AWS's console", "b"),
		forward:   draw.Bind("forward", "forward", "F"),
		any:       draw.Bind("any", "to any host", "D"),
		mark:      draw.Bind("mark", "mark", "space"),
		tunnels:   draw.Bind("tunnels", "tunnels", "t", "f"),
		stop:      draw.Bind("stop", "stop", "x"),
		reconnect: draw.Bind("reconnect", "reconnect", "R"),
		undo:      draw.Bind("undo", "undo", "u"),
		edit:      draw.Bind("edit", "edit, try again", "e"),
		remove:    draw.Bind("delete", "delete", "ctrl+d", "delete"),
		why:       draw.Bind("why", "what failed, whole", "!"),
		saved:     draw.Bind("saved", "saved tunnels", "S"),
		save:      draw.Bind("save", "save, or a shell", "s"),
		copy:      draw.Bind("copy", "copy", "y"),
		log:       draw.Bind("log", "log", "L"),
		doctor:    draw.Bind("doctor", "doctor", "d"),
		view:      draw.Bind("view", "next view", "v"),
		profile:   draw.Bind("profile", "profile", "p"),
		region:    draw.Bind("region", "region", "r"),
		refresh:   draw.Bind("refresh", "look again", "ctrl+r"),
		signIn:    draw.Bind("sign-in", "sign in again", "a"),
		help:      draw.Bind("help", "help", "?"),
		quit:      draw.Bind("quit", "quit", "q"),
		number:    draw.Bind("", "a view", "1", "2", "3", "4"),
		suspend:   draw.Bind("", "suspend", "ctrl+z"),
		interrupt: draw.Bind("", "quit at once", "ctrl+c"),
	}
}

// remappable returns the bindings that the config file may change.
func (k *keyMap) remappable() []*draw.Binding {
	return []*draw.Binding{
		&k.up, &k.down, &k.top, &k.bottom, &k.pageUp, &k.pageDown, &k.in, &k.back, &k.nextPane, &k.zoom, &k.left, &k.right,
		&k.filter, &k.sort, &k.reverse,
		&k.jump, &k.all, &k.hosts, &k.details, &k.console, &k.forward, &k.any, &k.mark, &k.tunnels, &k.stop, &k.undo, &k.reconnect, &k.edit,
		&k.remove, &k.why, &k.saved, &k.save, &k.copy, &k.log, &k.view, &k.doctor, &k.profile, &k.region, &k.refresh, &k.signIn,
		&k.help, &k.quit,
	}
}

// KeyError means that a remapping of keys in the config file is not possible.
type KeyError struct {
	Name    string // the action, as in the config file
	Problem string
	Known   []string // all actions, when Name is none of them
}

func (e *KeyError) Error() string { return fmt.Sprintf("keys: %s: %s", e.Name, e.Problem) }

// Remedy lists the actions, or says what to write.
func (e *KeyError) Remedy() string {
	if len(e.Known) > 0 {
		return "name one of: " + strings.Join(e.Known, ", ")
	}
	return `give every action keys of its own, as in: keys: {stop: [X, ctrl+x]}`
}

// CheckKeys returns the first *KeyError of a remapping, by the alphabetical order of actions; nil when there is none.
func CheckKeys(remapped map[string][]string) error {
	_, err := remap(remapped)
	return err
}

// remap returns the default keys with some changed. A key can be for one action only; esc, ctrl+c and ctrl+z stay what they
// are, so that there is always a way out.
func remap(remapped map[string][]string) (*keyMap, error) {
	k := defaultKeys()
	byName := map[string]*draw.Binding{}
	for _, b := range k.remappable() {
		byName[b.Name] = b
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
		*b = draw.Bind(name, b.Help().Desc, keys...)
	}
	owner := map[string]string{"ctrl+c": "quitting at once", "ctrl+z": "suspending"}
	for _, n := range k.number.Keys() {
		owner[n] = "a view"
	}
	for _, b := range k.remappable() {
		for _, pressed := range b.Keys() {
			if first, taken := owner[pressed]; taken {
				name := b.Name
				if _, changed := remapped[name]; !changed {
					name, first = first, name
				}
				return nil, &KeyError{Name: name, Problem: fmt.Sprintf("key %s is already for %s", pressed, first)}
			}
			owner[pressed] = b.Name
		}
	}
	return k, nil
}
