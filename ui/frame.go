package ui

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// ascii is what a terminal without Unicode can show of a screen: every other character becomes one that is close, or
// question marks over the same cells.
func ascii(s string) string {
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

// width is how many cells text takes.
func width(s string) int {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

// cut shortens text to at most w cells; what is missing is marked.
func (t *theme) cut(s string, w int) string {
	if width(s) <= w {
		return s
	}
	if w <= 0 {
		return ""
	}
	return ansi.Truncate(s, w, t.glyph.more)
}

// cutMiddle shortens text to w cells and keeps its end, which tells ids and hosts apart.
func (t *theme) cutMiddle(s string, w int) string {
	have := width(s)
	if have <= w || w < 8 {
		return t.cut(s, w)
	}
	head := (w - 1) / 2
	return ansi.Truncate(s, head, "") + t.glyph.more + ansi.TruncateLeft(s, have-(w-1-head), "")
}

// fit makes text exactly w cells wide.
func (t *theme) fit(s string, w int) string {
	s = t.cut(s, w)
	return s + spaces(w-width(s))
}

// fitRight is fit with the blanks on the left.
func (t *theme) fitRight(s string, w int) string {
	s = t.cut(s, w)
	return spaces(w-width(s)) + s
}

func spaces(n int) string {
	if n <= 0 {
		return ""
	}
	return strings.Repeat(" ", n)
}

// fill makes lines exactly h of w cells.
func (t *theme) fill(lines []string, w, h int) []string {
	full := make([]string, h)
	for i := range full {
		if i < len(lines) {
			full[i] = t.fit(lines[i], w)
		} else {
			full[i] = spaces(w)
		}
	}
	return full
}

// frame draws a border with a title above and a foot below around lines, w cells by h lines in all.
func (t *theme) frame(title, foot string, lines []string, w, h int, focused bool) []string {
	if w < 4 || h < 2 {
		return t.fill(lines, w, h)
	}
	b, colour := t.glyph.thin, t.border
	if focused {
		b, colour = t.glyph.thick, t.borderFocused
	}
	framed := make([]string, 0, h)
	framed = append(framed, t.edge(b.upLeft, b.across, b.upRight, title, "", w, colour))
	side := colour.paint(b.along)
	for _, line := range t.fill(lines, w-2, h-2) {
		framed = append(framed, side+line+side)
	}
	return append(framed, t.edge(b.downLeft, b.across, b.downRight, "", foot, w, colour))
}

// edge is the upper or lower side of a frame, with words on its left or right.
func (t *theme) edge(left, across, right, title, foot string, w int, colour ink) string {
	room := w - 2
	var before, after string
	if title != "" && room > 4 {
		before = colour.paint(across) + " " + t.cut(title, room-4) + " "
		room -= width(before)
	}
	if foot != "" && room > 4 {
		after = " " + t.cut(foot, room-4) + " " + colour.paint(across)
		room -= width(after)
	}
	return colour.paint(left) + before + colour.paint(strings.Repeat(across, max(room, 0))) + after + colour.paint(right)
}

// over lays a box over lines, its upper left corner at x, y.
func (t *theme) over(lines, boxed []string, x, y int) []string {
	for i, line := range boxed {
		if y+i < 0 || y+i >= len(lines) {
			continue
		}
		under := lines[y+i]
		left := ansi.Truncate(under, x, "")
		left += spaces(x - width(left))
		right := ansi.TruncateLeft(under, x+width(line), "")
		right = spaces(width(under)-x-width(line)-width(right)) + right
		lines[y+i] = left + "\x1b[m" + line + "\x1b[m" + right
	}
	return lines
}

// wrap breaks text between words into lines of at most w cells; a word that is longer is broken anywhere. Flags of
// commands stay whole, so that they can be read.
func wrap(s string, w int) []string {
	if w < 1 {
		return nil
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && width(line)+1+width(word) <= w {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for width(word) > w {
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
