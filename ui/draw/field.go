package draw

import (
	"slices"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"culvert/internal/say"
)

// Field is one line of a form: a name, a text that is typed or taken from a list, and what is to be said about it.
type Field struct {
	Name   string
	edit   textinput.Model
	Choice []string // the values that ← and → go through; a value that is not among them can only be typed if Free
	Free   bool
	empty  string // what is shown while the field is empty
	About  string // what the field is for, or what was found out about its value
	Wrong  string // why the value cannot be used; it is shown instead of About
}

// NewField makes an empty field that takes any text; empty is what stands there until something is typed.
func NewField(name, empty string, choice ...string) *Field {
	f := &Field{Name: name, edit: textinput.New(), Choice: choice, Free: true, empty: empty}
	f.edit.CharLimit = 512
	return f
}

// Long lets the field take 65,536 characters, for a list, instead of 512.
func (f *Field) Long() { f.edit.CharLimit = 1 << 16 }

// Value is what the field holds, without blanks around it.
func (f *Field) Value() string { return strings.TrimSpace(f.edit.Value()) }

// Set replaces the value; the cursor stands behind it.
func (f *Field) Set(value string) {
	f.edit.SetValue(value)
	f.edit.CursorEnd()
}

// Update takes a key or a paste, and reports whether the value has changed.
func (f *Field) Update(msg tea.Msg) bool {
	before := f.edit.Value()
	if k, ok := msg.(tea.KeyPressMsg); ok && len(f.Choice) > 0 {
		at := slices.Index(f.Choice, f.Value())
		switch k.String() {
		case "right":
			at++
		case "left":
			at += len(f.Choice) - 1
		default:
			at = -2
		}
		if at > -2 && (slices.Contains(f.Choice, f.Value()) || !f.Free) {
			f.edit.SetValue(f.Choice[max(at, 0)%len(f.Choice)])
			f.edit.CursorEnd()
			return f.edit.Value() != before
		}
	}
	if !f.Free {
		return false
	}
	f.edit.Focus()
	f.edit, _ = f.edit.Update(msg)
	f.edit.Blur()
	return f.edit.Value() != before
}

// nameWidth is how many cells the names of a form take.
const nameWidth = 13

// Draw returns the line of the field, and below it the lines of Hint if the field has the keyboard or a value that cannot be
// used.
func (f *Field) Draw(t *Theme, w int, focused bool) []string {
	lines := []string{f.Line(t, w, focused)}
	if focused || f.Wrong != "" {
		lines = append(lines, f.Hint(t, w)...)
	}
	return lines
}

// Line returns the field as one line: with a mark when its value cannot be used, else with About if there is room for it.
func (f *Field) Line(t *Theme, w int, focused bool) string {
	room := w - nameWidth - 4
	mark, name := " ", t.Muted.Paint(t.Fit(f.Name, nameWidth))
	if focused {
		mark, name = t.Link.Paint(t.Glyph.Cursor), t.Strong.Paint(t.Fit(f.Name, nameWidth))
	}
	var value string
	switch {
	case focused && f.Free:
		value = f.typing(t, room)
	case f.Value() == "":
		value = t.Muted.Paint(t.Cut(f.empty, room))
	default:
		value = t.Cut(say.Line(f.Value()), room)
	}
	if focused && len(f.Choice) > 1 && (slices.Contains(f.Choice, f.Value()) || !f.Free) {
		value += t.Link.Paint("  " + t.Glyph.Choose)
	}
	line := mark + " " + name + " " + value
	switch {
	case f.Wrong != "":
		line += t.Bad.Paint("  " + t.Glyph.Off)
	case f.fits(w):
		line += t.Muted.Paint("  " + f.About)
	}
	return line
}

// fits reports whether there is something in About, and room for it behind the value.
func (f *Field) fits(w int) bool {
	value := f.Value()
	if value == "" {
		value = f.empty
	}
	room := w - nameWidth - 6 // the mark, the blanks, and the cell where a letter would go
	if len(f.Choice) > 1 {
		room -= 4
	}
	return f.About != "" && Width(value)+Width(f.About) <= room
}

// Hint returns what the line of the field has no room for: Wrong, else About if it does not fit; no lines for neither.
func (f *Field) Hint(t *Theme, w int) []string {
	var lines []string
	switch {
	case f.Wrong != "":
		for _, line := range First(Wrap(f.Wrong, w-nameWidth-5), HintLines) {
			lines = append(lines, spaces(nameWidth+3)+t.Bad.Paint(line))
		}
	case f.About != "" && !f.fits(w):
		lines = append(lines, spaces(nameWidth+3)+t.Muted.Paint(t.Cut(f.About, w-nameWidth-4)))
	}
	return lines
}

// HintLines is the most lines that Hint returns.
const HintLines = 2

// typing is the value while the field has the keyboard, with the cell where the next letter would go.
func (f *Field) typing(t *Theme, room int) string {
	value := []rune(f.edit.Value())
	at := min(f.edit.Position(), len(value))
	before, under, after := string(value[:at]), " ", ""
	if at < len(value) {
		under, after = string(value[at]), string(value[at+1:])
	}
	if len(value) == 0 {
		return t.Caret.Paint(" ") + t.Muted.Paint(t.Cut(f.empty, room-1))
	}
	before = say.Line(before)
	if over := Width(before) + 2 - room; over > 0 {
		before = ansi.TruncateLeft(before, over+1, t.Glyph.More)
	}
	return before + t.Caret.Paint(say.Line(under)+spaces(1-Width(say.Line(under)))) + t.Cut(say.Line(after), room-Width(before)-1)
}

// First are the first n lines, or as many as there are.
func First(lines []string, n int) []string { return lines[:min(n, len(lines))] }
