package screen

import (
	"strings"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// shortAdvice is how many lines a remedy gets where there is little room.
const shortAdvice = 2

// problem is an error, in at most two lines, and what to do about it, in at most as many as said. A remedy that needs more
// is never shown with its end cut off, where nobody would see that something is missing: it names the key that shows all.
func (l *look) problem(err error, w, most int) []string {
	if err == nil {
		return nil
	}
	t := l.theme
	var lines []string
	more := t.Glyph.More + " (" + l.keys.why.Shortest() + " shows all)"
	add := func(colour draw.Ink, mark, text string, most int, hint string) {
		if text == "" {
			return
		}
		all := draw.Wrap(text, w-5)
		if len(all) > most {
			rest := strings.Join(all[most-1:], " ")
			if at := strings.IndexByte(rest, '{'); at >= 0 && hint != "" {
				rest = rest[:at] // a part of a policy would be taken for the whole
			}
			last := strings.TrimRight(t.Cut(rest, w-5-draw.Width(hint)), t.Glyph.More+" ")
			if hint == "" {
				last = t.Cut(rest, w-5)
			}
			all = append(all[:most-1:most-1], last+hint)
		}
		for _, line := range all {
			lines = append(lines, " "+colour.Paint(mark+" "+line))
			mark = " "
		}
	}
	add(t.Bad, "!", say.Line(err.Error()), 2, "")
	add(t.Busy, t.Glyph.Into, say.Line(say.Remedy(err)), most, " "+more)
	return lines
}
