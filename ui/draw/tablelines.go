package draw

import (
	"slices"
	"strings"
)

// gap are the cells between two columns.
const gap = 2

// Draw returns a line of titles and the visible rows.
func (t *Table[T]) Draw(w, h int, focused bool) []string {
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
func (t *Table[T]) widths(w int) []int {
	widths := slices.Clone(t.need)
	grows := slices.IndexFunc(t.columns, func(c Column[T]) bool { return c.Grow })
	if grows >= 0 {
		widths[grows] = max(t.columns[grows].Least, 1)
	}
	for sum(widths) > w {
		last := -1
		for i, c := range t.columns {
			if widths[i] > 0 && c.Drop > 0 && (last < 0 || c.Drop >= t.columns[last].Drop) {
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

// Has reports whether a column of a title is in sight where w cells are drawn.
func (t *Table[T]) Has(title string, w int) bool {
	i := slices.IndexFunc(t.columns, func(c Column[T]) bool { return c.Title == title })
	return i >= 0 && t.widths(w - 1)[i] > 0
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

func (t *Table[T]) titles(widths []int, w int) string {
	var b strings.Builder
	b.WriteByte(' ')
	for i, c := range t.columns {
		if widths[i] == 0 {
			continue
		}
		title := c.Title
		if i == t.sortBy {
			title += t.theme.Glyph.Up
			if t.down {
				title = c.Title + t.theme.Glyph.Down
			}
		}
		if b.Len() > 1 {
			b.WriteString(spaces(gap))
		}
		if c.Right {
			b.WriteString(t.theme.fitRight(title, widths[i]))
		} else {
			b.WriteString(t.theme.Fit(title, widths[i]))
		}
	}
	return t.theme.Muted.Paint(t.theme.Fit(b.String(), w))
}

// line draws one row. That under the cursor has one style for the whole width, so that it reads as one.
func (t *Table[T]) line(r T, widths []int, w int, under, focused bool) string {
	var b strings.Builder
	if under {
		b.WriteString(t.theme.Glyph.Cursor)
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
		text := c.Text(r)
		if c.Right {
			text = t.theme.fitRight(text, widths[i])
		} else {
			text = t.theme.Fit(text, widths[i])
		}
		if c.Ink != nil && (!under || !focused) {
			text = c.Ink(r).Paint(text)
		}
		b.WriteString(text)
	}
	line := t.theme.Fit(b.String(), w)
	switch {
	case under && focused:
		return t.theme.Selected.Paint(line)
	case under:
		return line
	}
	return line
}
