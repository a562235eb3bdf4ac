package draw

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// Filter is the text by which the rows are filtered; empty for none.
func (t *Table[T]) Filter() string { return t.filter }

// Typing reports whether a filter is being typed: then every key belongs to the table.
func (t *Table[T]) Typing() bool { return t.typing }

// Type lets the user type a filter, as the key for filters does.
func (t *Table[T]) Type() { t.typing = true }

// sift filters the rows. In a table with names, those that match best come first, unless a column was chosen to sort by.
func (t *Table[T]) sift() {
	t.shown = t.shown[:0]
	wanted := t.terms()
	if len(wanted) == 0 {
		t.shown = append(t.shown, t.order...)
		t.find()
		return
	}
	type match struct{ row, rank int }
	var found []match
	for _, i := range t.order {
		if r, ok := t.rank(i, wanted); ok {
			found = append(found, match{i, r})
		}
	}
	if t.ranked() && t.sortBy < 0 {
		slices.SortStableFunc(found, func(a, b match) int { return cmp.Compare(a.rank, b.rank) })
	}
	for _, m := range found {
		t.shown = append(t.shown, m.row)
	}
	t.find()
}

// ranked reports whether the rows have names, so that one row can match a filter better than another.
func (t *Table[T]) ranked() bool {
	return slices.ContainsFunc(t.columns, func(c Column[T]) bool { return c.Sought == AsName })
}

func (t *Table[T]) terms() []term {
	if t.filter == "" {
		return nil
	}
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.Title
	}
	return terms(t.filter, titles)
}

// rank says how well a row matches all words of a filter: 0 is best. It returns false when the row does not match.
func (t *Table[T]) rank(row int, wanted []term) (int, bool) {
	total := 0
	whole := !slices.ContainsFunc(t.columns, func(c Column[T]) bool { return c.Sought != NotSought })
	for _, w := range wanted {
		best := -1
		for i, c := range t.columns {
			as := c.Sought
			switch {
			case w.column >= 0 && i != w.column:
				continue
			case w.column >= 0 && c.Right && as == NotSought:
				as = AsID // with AsText ready:1 would also find 21
			case as == NotSought && !whole && w.column < 0:
				continue
			case as == NotSought:
				as = AsText
			}
			if r, ok := rank(t.words(i)[row], w.word, as); ok && (best < 0 || r < best) {
				best = r
			}
		}
		if best < 0 {
			return 0, false
		}
		total += best
	}
	return total, true
}

// words returns the texts of a column that a filter looks at, by row.
func (t *Table[T]) words(column int) []string {
	if t.hay == nil {
		t.hay = make([][]string, len(t.columns))
	}
	if t.hay[column] == nil {
		text := t.columns[column].text
		if t.columns[column].Words != nil {
			text = t.columns[column].Words
		}
		t.hay[column] = make([]string, len(t.rows))
		for i, r := range t.rows {
			t.hay[column][i] = strings.ToLower(text(r))
		}
	}
	return t.hay[column]
}

// typed takes a key press while a filter is being typed. The arrow keys still move the cursor.
func (t *Table[T]) typed(k tea.KeyPressMsg) bool {
	switch k.String() {
	case "enter", "tab":
		t.typing = false
	case "esc":
		t.typing = false
		t.refilter("")
	case "backspace":
		if t.filter == "" {
			t.typing = false
		}
		_, size := utf8.DecodeLastRuneInString(t.filter)
		t.refilter(t.filter[:len(t.filter)-size])
	case "ctrl+u":
		t.refilter("")
	case "ctrl+w":
		t.refilter(t.filter[:strings.LastIndexByte(strings.TrimRight(t.filter, " "), ' ')+1])
	case "up":
		t.Move(t.cursor - 1)
	case "down":
		t.Move(t.cursor + 1)
	case "pgup":
		t.Move(t.cursor - max(t.lines-1, 1))
	case "pgdown":
		t.Move(t.cursor + max(t.lines-1, 1))
	default:
		if k.Text != "" && strings.IndexFunc(k.Text, unicode.IsControl) < 0 {
			t.refilter(t.filter + k.Text)
		}
	}
	return true
}

// refilter changes the filter. In a table with names the cursor goes to the row that matches best; without a filter it stays on
// its row.
func (t *Table[T]) refilter(to string) {
	t.filter = to
	t.sift()
	if to != "" && t.ranked() {
		t.Move(0)
	}
}

// Finding is the filter for the title of a pane; empty when there is none.
func (t *Table[T]) Finding() string {
	switch {
	case t.typing:
		return t.theme.Strong.Paint("/"+t.filter) + t.theme.Accent.Paint(t.theme.Glyph.Caret)
	case t.filter != "":
		return t.theme.Busy.Paint("/" + t.filter)
	}
	return ""
}
