package draw

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
)

// Column is one property of the rows of a table. Which columns are in sight depends only on the width of the window, never on the
// texts in them, so that no column comes or goes while somebody reads.
type Column[T any] struct {
	Title  string
	Text   func(T) string      // printable, without styles
	Wide   func(T, int) string // instead of Text, for something that is drawn to the width of the column, such as a graph
	Ink    func(T) Ink         // the style of the text, also under the cursor; nil for plain
	Order  func(a, b T) int    // compares rows for sorting; nil compares the texts
	Least  int                 // cells without which the column is left out; 0 for its title and two more
	Most   int                 // the most cells, 0 for those of the widest text; if it equals Least, the texts are not measured
	Grow   bool                // the column gets room before others, and gets narrower when no column can be left out any more
	Rest   bool                // the column gets the room that the others leave, up to Most; its texts are not measured
	Right  bool                // the text stands at the right, for numbers
	Middle bool                // a text that is too long is cut in the middle, for names that differ at their ends
	Drop   int                 // the column with the highest number is left out first, for want of room; a column with 0 stays

	Hidden bool           // the column is never drawn, but a filter can look in it
	Sought Sought         // how a filter looks at the texts
	Words  func(T) string // the text that a filter looks at; nil for Text
}

// text returns the text of a row, empty for a column without texts.
func (c Column[T]) text(r T) string {
	if c.Text == nil {
		return ""
	}
	return c.Text(r)
}

// Table shows rows, and draws only those in sight. Its cursor follows a row, not a position: the cursor stays on the row while
// other rows come, go, and are sorted anew, and if possible the row stays on its line of the screen.
type Table[T any] struct {
	theme   *Theme
	keys    *TableKeys
	id      func(T) string // tells the identity of a row
	columns []Column[T]

	rows  []T
	hay   [][]string // the texts that a filter looks at, by column and row; nil before a filter needs them
	order []int      // indexes of all rows, as sorted
	shown []int      // indexes of the rows that match the filter, in the order in which they are shown
	need  []int      // by column: the cells that its texts need, within its limits

	markable func(T) bool    // reports whether a row can be marked; nil when no row can
	marked   map[string]bool // the marked rows, by identity

	cursor int    // the index in shown of the row under the cursor
	at     string // the identity of that row
	top    int    // the index in shown of the first row in sight
	lines  int    // how many rows there was room for when the table was last drawn
	width  int    // in how many cells that was

	sortBy int // the column by which the rows are sorted; -1 when they are not
	down   bool
	filter string
	typing bool
}

// NewTable makes an empty table. id tells the identity of a row; columns stand from left to right.
func NewTable[T any](th *Theme, keys *TableKeys, id func(T) string, columns ...Column[T]) *Table[T] {
	return &Table[T]{theme: th, keys: keys, id: id, columns: columns, sortBy: -1, lines: 1, width: math.MaxInt16}
}

// Set replaces the rows.
func (t *Table[T]) Set(rows []T) {
	t.rows, t.hay = rows, nil
	t.keepMarks()
	t.measure()
	t.sort()
}

// SetColumns replaces the columns. The rows stay sorted by the column with the same index; if there is none now, they are no
// longer sorted.
func (t *Table[T]) SetColumns(columns []Column[T]) {
	if !slices.EqualFunc(t.columns, columns, func(a, b Column[T]) bool { return a.Title == b.Title }) {
		t.need = nil
	}
	t.columns, t.hay = columns, nil
	if t.sortBy >= len(columns) {
		t.sortBy = -1
	}
}

// Len is the number of rows.
func (t *Table[T]) Len() int { return len(t.rows) }

// Shown is the number of rows that match the filter.
func (t *Table[T]) Shown() int { return len(t.shown) }

// Cursor is the index of the cursor among the rows that are shown.
func (t *Table[T]) Cursor() int { return t.cursor }

// At is the identity of the row under the cursor.
func (t *Table[T]) At() string { return t.at }

// SortedBy is the index of the column by which the rows are sorted; -1 while they are not.
func (t *Table[T]) SortedBy() int { return t.sortBy }

// Row returns the row under the cursor; false when no row is shown.
func (t *Table[T]) Row() (T, bool) {
	if t.cursor < 0 || t.cursor >= len(t.shown) {
		var none T
		return none, false
	}
	return t.rows[t.shown[t.cursor]], true
}

// measure finds out how many cells the columns need. A column never needs fewer than before, so that it does not get narrower
// while the user looks at it.
func (t *Table[T]) measure() {
	if len(t.need) != len(t.columns) {
		t.need = make([]int, len(t.columns))
	}
	for i, c := range t.columns {
		if c.Hidden {
			continue
		}
		t.need[i] = max(t.need[i], c.least())
		if c.Rest || c.Most > 0 && c.Least >= c.Most {
			continue
		}
		for _, r := range t.rows {
			t.need[i] = max(t.need[i], Width(c.text(r)))
		}
		if c.Most > 0 {
			t.need[i] = min(t.need[i], c.Most)
		}
	}
}

// least is how many cells the column needs at least.
func (c Column[T]) least() int {
	if c.Least > 0 {
		return c.Least
	}
	return Width(c.Title) + 2
}

// sort sorts the rows, and then filters them anew.
func (t *Table[T]) sort() {
	t.order = t.order[:0]
	for i := range t.rows {
		t.order = append(t.order, i)
	}
	if t.sortBy >= 0 {
		c := t.columns[t.sortBy]
		compare := func(a, b int) int { return c.Order(t.rows[a], t.rows[b]) }
		if c.Order == nil {
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
	t.sift()
}

// nextSort is the column in sight that comes after the one by which the rows are sorted; -1, for no order, after the last one.
func (t *Table[T]) nextSort() int {
	widths := t.widths(t.width)
	for i := t.sortBy + 1; i < len(widths); i++ {
		if widths[i] > 0 {
			return i
		}
	}
	return -1
}

// find puts the cursor back on its row. When that row is gone, the cursor stays at its index.
func (t *Table[T]) find() {
	onScreen := t.cursor - t.top
	for i, r := range t.shown {
		if t.id(t.rows[r]) == t.at {
			t.cursor = i
			t.top = max(i-onScreen, 0)
			t.clamp()
			return
		}
	}
	t.Move(t.cursor)
}

// Move puts the cursor on the row that is shown at an index, or the nearest one.
func (t *Table[T]) Move(to int) {
	t.cursor = max(min(to, len(t.shown)-1), 0)
	t.clamp()
	if r, ok := t.Row(); ok {
		t.at = t.id(r)
	}
}

// MoveTo puts the cursor on the row with an identity, if it is shown.
func (t *Table[T]) MoveTo(id string) {
	for i, r := range t.shown {
		if t.id(t.rows[r]) == id {
			t.Move(i)
			return
		}
	}
}

// Reveal puts the cursor on the row with an identity. A filter that hides the row is taken away.
func (t *Table[T]) Reveal(id string) {
	if t.MoveTo(id); t.at != id && t.filter != "" {
		t.refilter("")
		t.MoveTo(id)
	}
}

// clamp scrolls so that the cursor is in sight, and no line stays empty while there are rows for it.
func (t *Table[T]) clamp() {
	t.top = min(t.top, t.cursor, max(len(t.shown)-t.lines, 0))
	t.top = max(t.top, t.cursor-t.lines+1, 0)
}

// Update takes keys, pastes and the mouse; it returns false for what is not for the table. The coordinates of a click are those
// in the lines that Draw returned.
func (t *Table[T]) Update(msg tea.Msg) bool {
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
		step := WheelStep
		if msg.Button == tea.MouseWheelUp {
			step = -WheelStep
		}
		t.Move(t.cursor + step)
		return true
	case tea.MouseClickMsg:
		if line := msg.Y - 1; msg.Button == tea.MouseLeft && line >= 0 && t.top+line < len(t.shown) {
			t.Move(t.top + line)
			return true
		}
	}
	return false
}

// WheelStep is by how many rows a notch of the mouse wheel moves the cursor, or by how many lines it scrolls a text.
const WheelStep = 3

func (t *Table[T]) key(k tea.KeyPressMsg) bool {
	switch {
	case t.keys.Up.Pressed(k):
		t.Move(t.cursor - 1)
	case t.keys.Down.Pressed(k):
		t.Move(t.cursor + 1)
	case t.keys.Top.Pressed(k):
		t.Move(0)
	case t.keys.Bottom.Pressed(k):
		t.Move(len(t.shown) - 1)
	case t.keys.PageUp.Pressed(k):
		t.Move(t.cursor - max(t.lines-1, 1))
	case t.keys.PageDown.Pressed(k):
		t.Move(t.cursor + max(t.lines-1, 1))
	case t.keys.Filter.Pressed(k):
		t.typing = true
	case t.markable != nil && t.keys.Mark.Pressed(k):
		t.markHere()
	case t.keys.Back.Pressed(k) && len(t.marked) > 0:
		t.Unmark()
	case t.keys.Sort.Pressed(k):
		t.sortBy = t.nextSort()
		t.sort()
	case t.keys.Reverse.Pressed(k):
		t.down = !t.down
		t.sort()
	case t.keys.Back.Pressed(k) && t.filter != "":
		t.refilter("")
	default:
		return false
	}
	return true
}

// Tally says how many rows match the filter, "3 of 120", or without a filter how many there are, "120"; and how many are marked.
func (t *Table[T]) Tally() string {
	text := Thousands(len(t.rows))
	if t.filter != "" {
		text = Thousands(len(t.shown)) + " of " + text
	}
	if n := len(t.marked); n > 0 {
		text += ", " + Thousands(n) + " marked"
	}
	return text
}

// Sight says which rows are in sight, "1–6 of 12"; when all are in sight, it is Tally.
func (t *Table[T]) Sight() string {
	if len(t.shown) <= t.lines {
		return t.Tally()
	}
	text := Thousands(t.top + 1)
	if t.lines > 1 {
		text += t.theme.Glyph.None + Thousands(min(t.top+t.lines, len(t.shown)))
	}
	text += " of " + Thousands(len(t.shown))
	if t.filter != "" {
		text += " of " + Thousands(len(t.rows))
	}
	return text
}

// Counted is Tally with a noun, "12 checks"; empty when there are no rows.
func (t *Table[T]) Counted(noun string) string {
	switch len(t.rows) {
	case 0:
		return ""
	case 1:
		return t.Tally() + " " + noun
	}
	return t.Tally() + " " + noun + "s"
}

// Thousands writes a number with commas.
func Thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return Thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
