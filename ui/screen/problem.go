package screen

import (
	"strings"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// shortAdvice is how many lines a remedy gets where there is little room.
const shortAdvice = 2

// problem returns the lines about an error: its text in two lines at the most, and its remedy in most lines at the most. A remedy
// that needs more is never shown with its end cut off, where nobody would see that something is missing: it names the key that
// shows all.
func (l *look) problem(err error, w, most int) []string {
	if err == nil {
		return nil
	}
	t := l.theme
	room := w - 5
	lines := marked(t.Bad, "!", cutLines(t, say.Line(err.Error()), room, 2))
	cure := say.Line(say.Remedy(err))
	if cure == "" {
		return lines
	}
	wrapped := draw.Wrap(cure, room)
	if len(wrapped) > most {
		if at := strings.IndexByte(cure, '{'); at > 0 {
			cure = cure[:at] // a part of a policy would be taken for the whole policy
		}
		hint := t.Glyph.More + " (" + l.keys.why.Shortest() + " shows all)"
		wrapped = draw.First(draw.Wrap(cure, room), most)
		last := &wrapped[len(wrapped)-1]
		*last = strings.TrimRight(t.Cut(*last, room-draw.Width(hint)-1), t.Glyph.More+" ") + " " + hint
	}
	return append(lines, marked(t.Busy, t.Glyph.Into, wrapped)...)
}

// cutLines wraps a text, the last line cut where there would be more than most.
func cutLines(t *draw.Theme, text string, w, most int) []string {
	if text == "" {
		return nil
	}
	all := draw.Wrap(text, w)
	if len(all) > most {
		all = append(all[:most-1:most-1], t.Cut(strings.Join(all[most-1:], " "), w))
	}
	return all
}

// marked puts a sign before the first of some lines, and indents the others to the same column.
func marked(colour draw.Ink, sign string, lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = " " + colour.Paint(sign+" "+line)
		sign = " "
	}
	return out
}
