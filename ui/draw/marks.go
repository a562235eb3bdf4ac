package draw

// Markable lets the user mark the rows that which admits. A key then applies to all marked rows.
func (t *Table[T]) Markable(which func(T) bool) { t.markable = which }

// Marked returns the marked rows in the order of the table, also those that a filter hides.
func (t *Table[T]) Marked() []T {
	var rows []T
	if len(t.marked) == 0 {
		return nil
	}
	for _, i := range t.order {
		if t.marked[t.id(t.rows[i])] {
			rows = append(rows, t.rows[i])
		}
	}
	return rows
}

// Mark marks a row, or takes its mark away.
func (t *Table[T]) Mark(r T) {
	id := t.id(r)
	switch {
	case t.marked[id]:
		delete(t.marked, id)
	case t.markable != nil && t.markable(r):
		if t.marked == nil {
			t.marked = map[string]bool{}
		}
		t.marked[id] = true
	}
}

// Unmark takes all marks away.
func (t *Table[T]) Unmark() { t.marked = nil }

// markHere marks the row under the cursor and moves to the next row, so that marking several takes one key for each.
func (t *Table[T]) markHere() {
	if r, ok := t.Row(); ok {
		t.Mark(r)
		t.Move(t.cursor + 1)
	}
}

// keepMarks forgets the marks of rows that are gone.
func (t *Table[T]) keepMarks() {
	if len(t.marked) == 0 {
		return
	}
	still := map[string]bool{}
	for _, r := range t.rows {
		if id := t.id(r); t.marked[id] {
			still[id] = true
		}
	}
	t.marked = still
}
