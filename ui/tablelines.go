package ui

import (
	"slices"
	"strings"
)

// gap are the cells between two columns.
const gap = 2

// draw returns a line of titles and the visible rows.
func (t *table[T]) draw(w, h int, focused bool) []string {
	t.lines = max(h-1, 1)
	t.clamp()
	if len(t.need) != len(t.columns) {
		t.measure()
	}
	widths := t.widths(w - 1)
	lines := make([]string, 0, h)
	lines = append(lines, t.titles(widths, w))
	for i := t.top; i < len(t.shown) && len(lines) < h; i++ {
		lines = append(lines, t.line(t.rows[t.shown[i]], widths, w, i == t.cursor, focused))
	}
	return lines
}

// widths divides w cells among the columns; 0 leaves one out.
func (t *table[T]) widths(w int) []int {
	widths := slices.Clone(t.need)
	grows := slices.IndexFunc(t.columns, func(c column[T]) bool { return c.grow })
	if grows >= 0 {
		widths[grows] = max(t.columns[grows].least, 1)
	}
	for sum(widths) > w {
		last := -1
		for i, c := range t.columns {
			if widths[i] > 0 && c.drop > 0 && (last < 0 || c.drop >= t.columns[last].drop) {
				last = i
			}
		}
		if last < 0 {
			break
		}
		widths[last] = 0
	}
	if grows >= 0 && widths[grows] > 0 {
		widths[grows] = max(min(widths[grows]+w-sum(widths), t.need[grows]), 1)
	}
	return widths
}

// sum is how much room columns take, with what is between them.
func sum(widths []int) int {
	total := 0
	for _, w := range widths {
		if w > 0 {
			total += w + gap
		}
	}
	return total - gap
}

func (t *table[T]) titles(widths []int, w int) string {
	var b strings.Builder
	b.WriteByte(' ')
	for i, c := range t.columns {
		if widths[i] == 0 {
			continue
		}
		title := c.title
		if i == t.sortBy {
			title += t.theme.glyph.up
			if t.down {
				title = c.title + t.theme.glyph.down
			}
		}
		if b.Len() > 1 {
			b.WriteString(spaces(gap))
		}
		if c.right {
			b.WriteString(t.theme.fitRight(title, widths[i]))
		} else {
			b.WriteString(t.theme.fit(title, widths[i]))
		}
	}
	return t.theme.muted.paint(t.theme.fit(b.String(), w))
}

// line draws one row. That under the cursor has one style for the whole width, so that it reads as one.
func (t *table[T]) line(r T, widths []int, w int, under, focused bool) string {
	var b strings.Builder
	if under {
		b.WriteString(t.theme.glyph.cursor)
	} else {
		b.WriteByte(' ')
	}
	first := true
	for i, c := range t.columns {
		if widths[i] == 0 {
			continue
		}
		if !first {
			b.WriteString(spaces(gap))
		}
		first = false
		text := c.text(r)
		if c.right {
			text = t.theme.fitRight(text, widths[i])
		} else {
			text = t.theme.fit(text, widths[i])
		}
		if c.ink != nil && (!under || !focused) {
			text = c.ink(r).paint(text)
		}
		b.WriteString(text)
	}
	line := t.theme.fit(b.String(), w)
	switch {
	case under && focused:
		return t.theme.selected.paint(line)
	case under:
		return line
	}
	return line
}
