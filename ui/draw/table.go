package draw

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
)

// Column is one property of the rows of a table. Which columns are in sight follows from the width of the window alone,
// never from what is in them, so that none comes or goes while somebody reads.
type Column[T any] struct {
	Title  string
	Text   func(T) string      // printable, without styles
	Wide   func(T, int) string // instead of Text for what is drawn to the width of the column, as a graph
	Ink    func(T) Ink         // nil: plain; it stays in sight under the cursor
	Order  func(a, b T) int    // nil: by the texts
	Least  int                 // cells that the column has before another one is in sight
	Most   int                 // cells, 0: as wide as its widest text; Least when the texts are not to be measured, as those that change all the time
	Grow   bool                // gets room before columns that do not, and gives some when nothing can go any more
	Rest   bool                // takes what is left when all have what they need, as far as Most; its texts are not measured
	Right  bool                // numbers
	Middle bool                // what is too long is cut in its middle: names that differ at their ends
	Drop   int                 // too little room: the column with the highest goes first; 0 stays

	Hidden bool           // never drawn: for filters alone
	Sought Sought         // how a filter looks at it
	Words  func(T) string // what a filter finds in it; nil: Text
}

// text is what a filter and an order look at.
func (c Column[T]) text(r T) string {
	if c.Text == nil {
		return ""
	}
	return c.Text(r)
}

// Table shows rows of which it draws but the visible ones. Its cursor follows a row, not a position: it stays on it while
// rows come, go, and are sorted anew, and the row stays on its line of the screen where that can be.
type Table[T any] struct {
	theme   *Theme
	keys    *TableKeys
	id      func(T) string // a row's identity
	columns []Column[T]

	rows  []T
	hay   [][]string // what a filter looks at, by column and row; nil until there is a filter that does
	order []int      // rows as sorted
	shown []int      // and filtered, the best first
	need  []int      // cells that a column's widest text takes

	markable func(T) bool    // nil: no row can be marked
	marked   map[string]bool // by identity

	cursor int    // in shown
	at     string // identity of the row under the cursor
	top    int    // in shown, of the first visible row
	lines  int    // rows that were visible when last drawn

	sortBy int // column, -1: as they come
	down   bool
	filter string
	typing bool
}

// NewTable makes an empty table; id tells rows apart. Columns come from the left.
func NewTable[T any](th *Theme, keys *TableKeys, id func(T) string, columns ...Column[T]) *Table[T] {
	return &Table[T]{theme: th, keys: keys, id: id, columns: columns, sortBy: -1, lines: 1}
}

// Set replaces the rows.
func (t *Table[T]) Set(rows []T) {
	t.rows, t.hay = rows, nil
	t.keepMarks()
	t.measure()
	t.sort()
}

// SetColumns replaces the columns; the order stays unless its column is gone.
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

// SortedBy is the number of the column that gives the order; -1 while rows stand as they come.
func (t *Table[T]) SortedBy() int { return t.sortBy }

// Row is the one under the cursor; false when there is none.
func (t *Table[T]) Row() (T, bool) {
	if t.cursor < 0 || t.cursor >= len(t.shown) {
		var none T
		return none, false
	}
	return t.rows[t.shown[t.cursor]], true
}

// measure finds out how wide the columns would like to be. None gets narrower again while the table is looked at.
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

// least is the room without which another column goes.
func (c Column[T]) least() int {
	if c.Least > 0 {
		return c.Least
	}
	return Width(c.Title) + 2
}

// sort puts the rows in order, and what is shown after it.
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

// find puts the cursor back on its row. A row that is gone leaves it at its index.
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

// Move puts the cursor on an index, or the nearest there is.
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

// Reveal puts the cursor on the row with an identity. A filter that hides it goes.
func (t *Table[T]) Reveal(id string) {
	if t.MoveTo(id); t.at != id && t.filter != "" {
		t.refilter("")
		t.MoveTo(id)
	}
}

// clamp scrolls so that the cursor is in sight and no line is wasted.
func (t *Table[T]) clamp() {
	t.top = min(t.top, t.cursor, max(len(t.shown)-t.lines, 0))
	t.top = max(t.top, t.cursor-t.lines+1, 0)
}

// Update takes keys and the mouse; false is for somebody else. A click has coordinates within what draw returned.
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

// WheelStep is how many rows a notch of the mouse wheel moves.
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
		t.sortBy++
		if t.sortBy >= len(t.columns) {
			t.sortBy = -1
		}
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

// Tally says how much of the table is shown: "3 of 120", and "120" without a filter; and how much of it is marked.
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

// Sight is the tally with which of the rows are in sight, "1–6 of 12", where not all are.
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

// Counted is the tally with what is counted, "12 checks"; nothing where there is nothing.
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
