package draw

import (
	"cmp"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// gap is the number of cells between two columns.
const gap = 2

// A column that grows gets at least one growShare-th of the line before other columns are drawn.
const growShare = 5

// narrowest is how many cells a column that grows keeps when there is too little room for everything.
const narrowest = 8

// Draw returns a line of titles and the rows in sight. If there is room for only one line, that is the row under the cursor.
func (t *Table[T]) Draw(w, h int, focused bool) []string {
	titled := h > 1
	t.lines, t.width = max(h, 1), w
	if titled {
		t.lines = h - 1
	}
	t.clamp()
	widths := t.widths(w)
	lines := make([]string, 0, h)
	if titled {
		lines = append(lines, t.titles(widths, w))
	}
	for i := t.top; i < len(t.shown) && len(lines) < h; i++ {
		lines = append(lines, t.line(t.rows[t.shown[i]], widths, w, i == t.cursor, focused))
	}
	return lines
}

// widths divides a line of w cells among the columns; a column with 0 is left out. The cell on the left is for the cursor, the
// one on the right stays empty.
func (t *Table[T]) widths(w int) []int {
	if len(t.need) != len(t.columns) {
		t.measure()
	}
	w -= 2
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		if c.Hidden {
			continue
		}
		widths[i] = c.least()
		if c.Grow {
			widths[i] = max(widths[i], w/growShare)
			if c.Most > 0 {
				widths[i] = min(widths[i], c.Most)
			}
		}
	}
	t.leaveOut(widths, w)
	left := w - sum(widths)
	give := func(to func(Column[T]) bool, most func(i int) int) {
		for i, c := range t.columns {
			if widths[i] > 0 && left > 0 && to(c) {
				more := max(min(most(i)-widths[i], left), 0)
				widths[i] += more
				left -= more
			}
		}
	}
	need := func(i int) int { return t.need[i] }
	give(func(c Column[T]) bool { return c.Grow }, need)
	give(func(c Column[T]) bool { return !c.Grow && !c.Rest }, need)
	give(func(c Column[T]) bool { return c.Rest }, func(i int) int {
		if t.columns[i].Most > 0 {
			return t.columns[i].Most
		}
		return w
	})
	return widths
}

// leaveOut leaves columns out until the others have the room that they need at least.
func (t *Table[T]) leaveOut(widths []int, w int) {
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
	for i, c := range t.columns {
		if over := sum(widths) - w; over > 0 && c.Grow && widths[i] > 0 {
			widths[i] = max(widths[i]-over, min(widths[i], narrowest))
		}
	}
	for i := len(widths) - 1; i > 0 && sum(widths) > w; i-- {
		widths[i] = 0
	}
	if len(widths) > 0 {
		widths[0] = max(min(widths[0], w), 1)
	}
}

// Has reports whether the column with a title is drawn in a line of w cells.
func (t *Table[T]) Has(title string, w int) bool {
	i := slices.IndexFunc(t.columns, func(c Column[T]) bool { return c.Title == title })
	return i >= 0 && t.widths(w)[i] > 0
}

// sum is how many cells columns take, with the gaps between them.
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
		switch {
		case i == t.sortBy:
			title = ansi.Truncate(title, widths[i]-1, "") + t.arrow()
		case b.Len() == 1 && t.sortBy >= 0 && widths[t.sortBy] == 0:
			title = t.named(title, widths[i])
		}
		if b.Len() > 1 {
			b.WriteString(spaces(gap))
		}
		b.WriteString(c.fit(t.theme, title, widths[i]))
	}
	return t.theme.Muted.Paint(t.theme.Fit(b.String(), w))
}

// arrow is the sign at the title of the column by which the rows are sorted.
func (t *Table[T]) arrow() string {
	if t.down {
		return t.theme.Glyph.Down
	}
	return t.theme.Glyph.Up
}

// named is the title of the first column while the rows are sorted by a column that is left out: it names that one, in place of its
// own where there is no room for both.
func (t *Table[T]) named(title string, w int) string {
	by := "by " + cmp.Or(t.columns[t.sortBy].Title, "hidden")
	if whole := title + " " + by + t.arrow(); Width(whole) <= w {
		return whole
	}
	return ansi.Truncate(by, w-1, "") + t.arrow()
}

// fit cuts or fills text to the width of its column.
func (c Column[T]) fit(t *Theme, text string, w int) string {
	if c.Middle {
		text = t.CutMiddle(text, w)
	}
	if c.Right {
		return t.FitRight(text, w)
	}
	return t.Fit(text, w)
}

// line draws one row. The row under the cursor is lit over the whole width; the colours of its texts can still be seen.
func (t *Table[T]) line(r T, widths []int, w int, under, focused bool) string {
	var b strings.Builder
	lit := under && focused
	add := func(text string, ink Ink) {
		if lit {
			ink = ink.over(t.theme.Selected)
		}
		b.WriteString(ink.Paint(text))
	}
	blank := " "
	switch {
	case len(t.marked) > 0 && t.marked[t.id(r)]:
		blank = t.theme.Glyph.Mark // under the cursor as well: there the line is reversed
	case under:
		blank = t.theme.Glyph.Cursor
	}
	used := -gap
	for i, c := range t.columns {
		if widths[i] == 0 {
			continue
		}
		if used >= 0 {
			blank = spaces(gap)
		}
		add(blank, Ink{})
		used += gap + widths[i]
		var ink Ink
		if c.Ink != nil {
			ink = c.Ink(r)
		}
		text := c.text(r)
		if c.Wide != nil {
			text = c.Wide(r, widths[i])
		}
		add(c.fit(t.theme, text, widths[i]), ink)
	}
	add(spaces(w-1-max(used, 0)), Ink{})
	return b.String()
}
