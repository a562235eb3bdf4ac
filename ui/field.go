package ui

import (
	"slices"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"culvert/internal/say"
)

// field is one line of a form: a name, a text that is typed or taken from a list, and what is to be said about it.
type field struct {
	name   string
	edit   textinput.Model
	choice []string // what ← and → go through; what is not among them can only be typed where free
	free   bool
	empty  string // what an empty field stands for
	about  string // what the field is for, or what was found out about its value
	wrong  string // why the value cannot be used; it comes before about
}

func newField(name, empty string, choice ...string) *field {
	f := &field{name: name, edit: textinput.New(), choice: choice, free: true, empty: empty}
	f.edit.CharLimit = 512
	return f
}

func (f *field) value() string { return strings.TrimSpace(f.edit.Value()) }

// update takes a key or a paste, and reports whether the value has changed.
func (f *field) update(msg tea.Msg) bool {
	before := f.edit.Value()
	if k, ok := msg.(tea.KeyPressMsg); ok && len(f.choice) > 0 {
		at := slices.Index(f.choice, f.value())
		switch k.String() {
		case "right":
			at++
		case "left":
			at += len(f.choice) - 1
		default:
			at = -2
		}
		if at > -2 && (slices.Contains(f.choice, f.value()) || !f.free) {
			f.edit.SetValue(f.choice[max(at, 0)%len(f.choice)])
			f.edit.CursorEnd()
			return f.edit.Value() != before
		}
	}
	if !f.free {
		return false
	}
	f.edit.Focus()
	f.edit, _ = f.edit.Update(msg)
	f.edit.Blur()
	return f.edit.Value() != before
}

// nameWidth is how much the names of a form take.
const nameWidth = 13

// draw is the line of the field, and a second one when there is something to say about it.
func (f *field) draw(t *theme, w int, focused bool) []string {
	room := w - nameWidth - 4
	mark, name := " ", t.muted.paint(t.fit(f.name, nameWidth))
	if focused {
		mark, name = t.link.paint(t.glyph.cursor), t.strong.paint(t.fit(f.name, nameWidth))
	}
	var value string
	switch {
	case focused && f.free:
		value = f.typing(t, room)
	case f.value() == "":
		value = t.muted.paint(t.cut(f.empty, room))
	default:
		value = t.cut(say.Line(f.value()), room)
	}
	if focused && len(f.choice) > 1 && (slices.Contains(f.choice, f.value()) || !f.free) {
		value += t.link.paint("  " + t.glyph.choose)
	}
	lines := []string{mark + " " + name + " " + value}
	switch {
	case f.wrong != "":
		lines[0] += t.bad.paint("  " + t.glyph.off)
		for _, line := range first(wrap(f.wrong, w-nameWidth-5), 2) {
			lines = append(lines, spaces(nameWidth+3)+t.bad.paint(line))
		}
	case f.about != "":
		gone := width(lines[0]) + 2
		if gone+width(f.about) <= w {
			lines[0] += t.muted.paint("  " + f.about)
		} else if focused {
			lines = append(lines, spaces(nameWidth+3)+t.muted.paint(t.cut(f.about, w-nameWidth-4)))
		}
	}
	return lines
}

// typing is the value with the place where a letter would go.
func (f *field) typing(t *theme, room int) string {
	value := []rune(f.edit.Value())
	at := min(f.edit.Position(), len(value))
	before, under, after := string(value[:at]), " ", ""
	if at < len(value) {
		under, after = string(value[at]), string(value[at+1:])
	}
	if len(value) == 0 {
		return t.selected.paint(" ") + t.muted.paint(t.cut(f.empty, room-1))
	}
	before = say.Line(before)
	if over := width(before) + 2 - room; over > 0 {
		before = ansi.TruncateLeft(before, over+1, t.glyph.more)
	}
	return before + t.selected.paint(say.Line(under)+spaces(1-width(say.Line(under)))) + t.cut(say.Line(after), room-width(before)-1)
}

func first(lines []string, n int) []string { return lines[:min(n, len(lines))] }
