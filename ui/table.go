package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
)

// column is one property of the rows of a table.
type column[T any] struct {
	title string
	text  func(T) string // printable, without styles
	ink   func(T) ink    // nil: plain
	order func(a, b T) int
	least int  // cells; most when the texts are not to be measured, as those that change all the time
	most  int  // 0: as wide as its widest text
	grow  bool // gets what is left; one column of a table
	right bool // numbers
	drop  int  // too little room: the column with the highest goes first; 0 stays
}

// table shows rows of which it draws but the visible ones. Its cursor follows a row, not a place: it stays on it while
// rows come, go, and are sorted anew, and the row stays on its line of the screen where that can be.
type table[T any] struct {
	theme   *theme
	keys    *keyMap
	id      func(T) string // a row's identity
	search  func(T) string // what a filter looks at; nil: the texts of all columns
	columns []column[T]

	rows  []T
	hay   []string // what a filter looks at, by row; nil until there is a filter
	order []int    // rows as sorted
	shown []int    // and filtered
	need  []int    // cells that a column's widest text takes

	cursor int    // in shown
	at     string // identity of the row under the cursor
	top    int    // in shown, of the first visible row
	lines  int    // rows that were visible when last drawn

	sortBy int // column, -1: as they come
	down   bool
	filter string
	typing bool
}

func newTable[T any](th *theme, keys *keyMap, id func(T) string, columns ...column[T]) *table[T] {
	return &table[T]{theme: th, keys: keys, id: id, columns: columns, sortBy: -1, lines: 1}
}

// set replaces the rows.
func (t *table[T]) set(rows []T) {
	t.rows, t.hay = rows, nil
	t.measure()
	t.sort()
}

// row is the one under the cursor; false when there is none.
func (t *table[T]) row() (T, bool) {
	if t.cursor < 0 || t.cursor >= len(t.shown) {
		var none T
		return none, false
	}
	return t.rows[t.shown[t.cursor]], true
}

// measure finds out how wide the columns would like to be.
func (t *table[T]) measure() {
	t.need = make([]int, len(t.columns))
	for i, c := range t.columns {
		t.need[i] = max(c.least, width(c.title)+2)
		if c.most > 0 && c.least >= c.most {
			t.need[i] = c.least
			continue
		}
		for _, r := range t.rows {
			t.need[i] = max(t.need[i], width(c.text(r)))
		}
		if c.most > 0 {
			t.need[i] = min(t.need[i], c.most)
		}
	}
}

// sort puts the rows in order, and what is shown after it.
func (t *table[T]) sort() {
	t.order = t.order[:0]
	for i := range t.rows {
		t.order = append(t.order, i)
	}
	if t.sortBy >= 0 {
		c := t.columns[t.sortBy]
		compare := func(a, b int) int { return c.order(t.rows[a], t.rows[b]) }
		if c.order == nil {
			texts := make([]string, len(t.rows))
			for i, r := range t.rows {
				texts[i] = c.text(r)
			}
			compare = func(a, b int) int { return strings.Compare(texts[a], texts[b]) }
		}
		slices.SortFunc(t.order, func(a, b int) int {
			if t.down {
				a, b = b, a
			}
			return cmp.Or(compare(a, b), cmp.Compare(a, b))
		})
	}
	t.sift(false)
}

// sift keeps the rows that match the filter. A filter that was only made longer looks at those that are shown.
func (t *table[T]) sift(longer bool) {
	from := t.order
	if longer {
		from = slices.Clone(t.shown)
	}
	wanted := words(t.filter)
	if len(wanted) > 0 && t.hay == nil {
		t.hay = make([]string, len(t.rows))
		for i, r := range t.rows {
			t.hay[i] = strings.ToLower(t.searched(r))
		}
	}
	t.shown = t.shown[:0]
	for _, i := range from {
		if len(wanted) == 0 || matches(t.hay[i], wanted) {
			t.shown = append(t.shown, i)
		}
	}
	t.find()
}

func (t *table[T]) searched(r T) string {
	if t.search != nil {
		return t.search(r)
	}
	var b strings.Builder
	for _, c := range t.columns {
		b.WriteString(c.text(r))
		b.WriteByte(' ')
	}
	return b.String()
}

// find puts the cursor back on its row. A row that is gone leaves it at its place.
func (t *table[T]) find() {
	onScreen := t.cursor - t.top
	for i, r := range t.shown {
		if t.id(t.rows[r]) == t.at {
			t.cursor = i
			t.top = max(i-onScreen, 0)
			t.clamp()
			return
		}
	}
	t.move(t.cursor)
}

// move puts the cursor on a place, or the nearest there is.
func (t *table[T]) move(to int) {
	t.cursor = max(min(to, len(t.shown)-1), 0)
	t.clamp()
	if r, ok := t.row(); ok {
		t.at = t.id(r)
	}
}

// moveTo puts the cursor on the row with an identity, if it is shown.
func (t *table[T]) moveTo(id string) {
	for i, r := range t.shown {
		if t.id(t.rows[r]) == id {
			t.move(i)
			return
		}
	}
}

// clamp scrolls so that the cursor is in sight and no line is wasted.
func (t *table[T]) clamp() {
	t.top = min(t.top, t.cursor, max(len(t.shown)-t.lines, 0))
	t.top = max(t.top, t.cursor-t.lines+1, 0)
}

// update takes keys and the mouse; false is for somebody else. A click is a place within what draw returned.
func (t *table[T]) update(msg tea.Msg) bool {
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		if t.typing {
			return t.typed(msg)
		}
		return t.key(msg)
	case tea.PasteMsg:
		if t.typing {
			t.refilter(t.filter + strings.Join(strings.Fields(say.Line(msg.Content)), " "))
		}
		return t.typing
	case tea.MouseWheelMsg:
		step := wheelStep
		if msg.Button == tea.MouseWheelUp {
			step = -wheelStep
		}
		t.move(t.cursor + step)
		return true
	case tea.MouseClickMsg:
		if line := msg.Y - 1; msg.Button == tea.MouseLeft && line >= 0 && t.top+line < len(t.shown) {
			t.move(t.top + line)
			return true
		}
	}
	return false
}

// wheelStep is how many rows a notch of the mouse wheel moves.
const wheelStep = 3

func (t *table[T]) key(k tea.KeyPressMsg) bool {
	switch {
	case is(k, t.keys.up):
		t.move(t.cursor - 1)
	case is(k, t.keys.down):
		t.move(t.cursor + 1)
	case is(k, t.keys.top):
		t.move(0)
	case is(k, t.keys.bottom):
		t.move(len(t.shown) - 1)
	case is(k, t.keys.pageUp):
		t.move(t.cursor - max(t.lines-1, 1))
	case is(k, t.keys.pageDown):
		t.move(t.cursor + max(t.lines-1, 1))
	case is(k, t.keys.filter):
		t.typing = true
	case is(k, t.keys.sort):
		t.sortBy++
		if t.sortBy >= len(t.columns) {
			t.sortBy = -1
		}
		t.sort()
	case is(k, t.keys.reverse):
		t.down = !t.down
		t.sort()
	case is(k, t.keys.back) && t.filter != "":
		t.refilter("")
	default:
		return false
	}
	return true
}

// typed is a key press while the filter is being written. Arrows still move, so that one need not leave it for that.
func (t *table[T]) typed(k tea.KeyPressMsg) bool {
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
		t.move(t.cursor - 1)
	case "down":
		t.move(t.cursor + 1)
	case "pgup":
		t.move(t.cursor - max(t.lines-1, 1))
	case "pgdown":
		t.move(t.cursor + max(t.lines-1, 1))
	default:
		if k.Text != "" && strings.IndexFunc(k.Text, unicode.IsControl) < 0 {
			t.refilter(t.filter + k.Text)
		}
	}
	return true
}

// refilter changes the filter.
func (t *table[T]) refilter(to string) {
	longer := t.filter != "" && strings.HasPrefix(to, t.filter)
	t.filter = to
	t.sift(longer)
}

// tally says how much of the table is shown: "3 of 120", and "120" without a filter.
func (t *table[T]) tally() string {
	if t.filter == "" {
		return thousands(len(t.rows))
	}
	return thousands(len(t.shown)) + " of " + thousands(len(t.rows))
}

// counted is the tally with what is counted, "12 checks"; nothing where there is nothing.
func (t *table[T]) counted(noun string) string {
	switch len(t.rows) {
	case 0:
		return ""
	case 1:
		return t.tally() + " " + noun
	}
	return t.tally() + " " + noun + "s"
}

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

// finding is the filter for the title of a pane; empty when there is none.
func (t *table[T]) finding() string {
	switch {
	case t.typing:
		return t.theme.strong.paint("/"+t.filter) + t.theme.accent.paint(t.theme.glyph.caret)
	case t.filter != "":
		return t.theme.busy.paint("/" + t.filter)
	}
	return ""
}
