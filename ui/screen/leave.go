package screen

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"culvert/ui/draw"
)

// departure is the dialog for a user who quits while tunnels are open. It names its keys itself, as in the smallest windows there
// is no bottom line.
type departure struct {
	*look

	tunnels          *tunnels
	keeper           *keeper
	keep, quit, stay draw.Binding // keep has no keys where tunnels cannot be kept
}

// newDeparture makes the dialog for the tunnels that are open. Tunnels may end while it is shown.
func newDeparture(l *look, ts *tunnels, k *keeper) *departure {
	them := "them"
	if ts.open() == 1 {
		them = "it"
	}
	d := &departure{
		look: l, tunnels: ts, keeper: k, stay: l.keys.back.As("stay"),
		quit: draw.Bind("", "quit: cuts what goes through", append(slices.Clone(l.keys.quit.Keys()), "enter", "y")...),
	}
	if k != nil {
		words := "keep " + them + " in the background"
		if k.reopens {
			words = "reopen " + them + " in the background: cuts what goes through"
		}
		key := "b"
		if slices.Contains(l.keys.quit.Keys(), key) {
			key = "B"
		}
		d.keep = draw.Bind("", words, key)
	}
	return d
}

func (d *departure) title() string { return d.theme.Strong.Paint("quit") }

func (d *departure) foot() string { return "" }

// text says how many tunnels are open at this moment.
func (d *departure) text() string {
	switch n := d.tunnels.open(); {
	case n == 0 && d.tunnels.starting() > 0:
		return "What is being started for a tunnel is stopped."
	case n == 0:
		return "No tunnel is open any more."
	case n == 1:
		return "One tunnel is open."
	default:
		return plural(n, "tunnel") + " are open."
	}
}

// answers returns the keys that can be pressed, with their full words.
func (d *departure) answers() []draw.Binding {
	all := []draw.Binding{d.quit, d.stay}
	if d.keep.Enabled() {
		all = append([]draw.Binding{d.keep}, all...)
	}
	return all
}

func (d *departure) draw(w, h int, _ bool) []string {
	t := d.theme
	text := "  " + t.Text.Paint(d.text())
	var lines []string
	key := 0
	for _, b := range d.answers() {
		key = max(key, draw.Width(b.Shortest()))
	}
	for _, b := range d.answers() {
		name := t.Link.Paint(t.Fit(b.Shortest(), key))
		for _, line := range draw.Wrap(b.Help().Desc, w-key-6) {
			lines = append(lines, "  "+name+"  "+t.Text.Paint(line)+" ")
			name = t.Fit("", key)
		}
	}
	if len(lines)+4 > h {
		return append([]string{text}, lines...)
	}
	return append(append([]string{"", text, ""}, lines...), "")
}

// help names the same keys for the bottom line, in a word each.
func (d *departure) help() []draw.Binding {
	short := []draw.Binding{d.quit.As("quit"), d.stay}
	if d.keep.Enabled() {
		short = append([]draw.Binding{d.keep.As("keep in background")}, short...)
	}
	return short
}

func (d *departure) update(msg tea.Msg) (wish, bool) {
	k, ok := msg.(tea.KeyPressMsg)
	switch {
	case !ok:
	case d.keep.Pressed(k):
		return all(dismiss(d), d.keeper.wish()), true
	case d.quit.Pressed(k):
		return all(dismiss(d), quit()), true
	case d.stay.Pressed(k), k.String() == "n":
		return dismiss(d), true
	}
	return nil, true
}
