package draw

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// ASCII is what a terminal without Unicode can show of a screen: every other character becomes one that is close, or
// question marks over the same cells.
func ASCII(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r == '…':
			b.WriteByte('~')
		case r == '–' || r == '—':
			b.WriteByte('-')
		case r == '·' || r == '│':
			b.WriteByte('|')
		case r == '→' || r == '›':
			b.WriteByte('>')
		default:
			b.WriteString(strings.Repeat("?", ansi.StringWidth(string(r))))
		}
	}
	return b.String()
}

// Width is how many cells text takes.
func Width(s string) int {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

// Cut shortens text to at most w cells; what is missing is marked.
func (t *Theme) Cut(s string, w int) string {
	if Width(s) <= w {
		return s
	}
	if w <= 0 {
		return ""
	}
	return ansi.Truncate(s, w, t.Glyph.More)
}

// CutMiddle shortens text to w cells and keeps its end, which tells ids and hosts apart.
func (t *Theme) CutMiddle(s string, w int) string {
	have := Width(s)
	if have <= w || w < 8 {
		return t.Cut(s, w)
	}
	head := ansi.Truncate(s, (w-1)/2, "")
	gone := have - (w - 1 - Width(head))
	tail := ansi.TruncateLeft(s, gone, "")
	if Width(head)+1+Width(tail) > w { // a wide character lies across the cut
		tail = ansi.TruncateLeft(s, gone+1, "")
	}
	return head + t.Glyph.More + tail
}

// Fit makes text exactly w cells wide.
func (t *Theme) Fit(s string, w int) string {
	s = t.Cut(s, w)
	return s + spaces(w-Width(s))
}

// FitRight is Fit with the blanks on the left.
func (t *Theme) FitRight(s string, w int) string {
	s = t.Cut(s, w)
	return spaces(w-Width(s)) + s
}

func spaces(n int) string {
	if n <= 0 {
		return ""
	}
	return strings.Repeat(" ", n)
}

// Fill makes lines exactly h lines, each of w cells.
func (t *Theme) Fill(lines []string, w, h int) []string {
	full := make([]string, h)
	for i := range full {
		if i < len(lines) {
			full[i] = t.Fit(lines[i], w)
		} else {
			full[i] = spaces(w)
		}
	}
	return full
}

// Frame draws a border with a title above and a foot below around lines, w cells by h lines in all.
func (t *Theme) Frame(title, foot string, lines []string, w, h int, focused bool) []string {
	if w < 4 || h < 2 {
		return t.Fill(lines, w, h)
	}
	b, colour := t.Glyph.Thin, t.Border
	if focused {
		b, colour = t.Glyph.Thick, t.BorderFocused
	}
	framed := make([]string, 0, h)
	framed = append(framed, t.edge(b.upLeft, b.Across, b.upRight, title, "", w, colour))
	side := colour.Paint(b.Along)
	for _, line := range t.Fill(lines, w-2, h-2) {
		framed = append(framed, side+line+side)
	}
	return append(framed, t.edge(b.downLeft, b.Across, b.downRight, "", foot, w, colour))
}

// edge is the upper or lower side of a frame, with words on its left or right.
func (t *Theme) edge(left, across, right, title, foot string, w int, colour Ink) string {
	room := w - 2
	var before, after string
	if title != "" && room > 4 {
		before = colour.Paint(across) + " " + t.Cut(title, room-4) + " "
		room -= Width(before)
	}
	if foot != "" && room > 4 {
		after = " " + t.Cut(foot, room-4) + " " + colour.Paint(across)
		room -= Width(after)
	}
	return colour.Paint(left) + before + colour.Paint(strings.Repeat(across, max(room, 0))) + after + colour.Paint(right)
}

// Over lays a box over lines, its upper left corner at x, y.
func (t *Theme) Over(lines, boxed []string, x, y int) []string {
	for i, line := range boxed {
		if y+i < 0 || y+i >= len(lines) {
			continue
		}
		under := lines[y+i]
		left := ansi.Truncate(under, x, "")
		left += spaces(x - Width(left))
		right := ansi.TruncateLeft(under, x+Width(line), "")
		right = spaces(Width(under)-x-Width(line)-Width(right)) + right
		lines[y+i] = left + "\x1b[m" + line + "\x1b[m" + right
	}
	return lines
}

// Wrap breaks text between words into lines of at most w cells; a word that is longer is broken anywhere. Flags of
// commands stay whole, so that they can be read.
func Wrap(s string, w int) []string {
	if w < 1 {
		return nil
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && Width(line)+1+Width(word) <= w {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for Width(word) > w {
			head := ansi.Truncate(word, w, "")
			if head == "" { // a wide character in a single cell
				return lines
			}
			lines = append(lines, head)
			word = word[len(head):]
		}
		line = word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
