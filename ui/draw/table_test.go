package draw

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// hosts is a table of names with figures, a sparkline and a remark.
func hosts(rows ...string) *Table[string] {
	t := NewTable(NewTheme(true), &TableKeys{}, func(s string) string { return s },
		Column[string]{Title: "HOST", Text: func(s string) string { return s }, Least: 12, Most: 40, Grow: true, Middle: true},
		Column[string]{Title: "SIZE", Text: func(string) string { return "48 MB" }, Least: 6, Most: 6, Right: true},
		Column[string]{Title: "KIND", Text: func(s string) string { return s }, Least: 4, Most: 30, Drop: 2},
		Column[string]{Title: "LATELY", Wide: func(_ string, w int) string { return strings.Repeat("▂", w) }, Least: 8, Rest: true, Drop: 1},
	)
	t.Set(rows)
	return t
}

func TestRoomGoesToTheColumnThatGrowsThenToOthersThenToTheRest(t *testing.T) {
	long := "payments-api.production.internal" // 32 cells
	for _, c := range []struct {
		rows []string
		w    int
		want []int
	}{
		{[]string{"a"}, 24, []int{12, 6, 0, 0}},  // the highest drop goes first
		{[]string{long}, 24, []int{14, 6, 0, 0}}, // and does so whatever the rows are
		{[]string{long}, 34, []int{14, 6, 0, 8}},
		{[]string{long}, 45, []int{19, 6, 4, 8}},
		{[]string{long}, 60, []int{32, 6, 6, 8}},
		{[]string{long}, 120, []int{32, 6, 30, 44}},
		{[]string{"a"}, 120, []int{23, 6, 4, 79}}, // a share of a wide window is the column's in any case
		{[]string{long}, 18, []int{8, 6, 0, 0}},   // nothing is left to go: it gives some
	} {
		got := hosts(c.rows...).widths(c.w)
		if len(got) != len(c.want) || got[0] != c.want[0] || got[1] != c.want[1] || got[2] != c.want[2] || got[3] != c.want[3] {
			t.Errorf("%v in %d cells: got %v, want %v", c.rows, c.w, got, c.want)
		}
	}
}

func TestWidthsDoNotShrinkUnderTheEyes(t *testing.T) {
	table := hosts("payments-api.production.internal")
	before := table.widths(70)
	table.Set([]string{"a"})
	if after := table.widths(70); after[0] != before[0] {
		t.Errorf("the column was %d cells wide and is %d", before[0], after[0])
	}
}

func TestEveryLineLeavesABlankOnItsRight(t *testing.T) {
	table := hosts("payments-api.production.internal", "db")
	for w := 18; w < 140; w++ {
		for h := 1; h < 4; h++ {
			for i, line := range table.Draw(w, h, true) {
				bare := ansi.Strip(line)
				if Width(bare) != w || !strings.HasSuffix(bare, " ") {
					t.Fatalf("line %d in %d cells: %q", i, w, bare)
				}
			}
		}
	}
	if got := ansi.Strip(strings.Join(table.Draw(60, 1, false), "")); strings.Contains(got, "HOST") || !strings.Contains(got, "payments") {
		t.Errorf("a table of one line shows %q, want the row under the cursor", got)
	}
}

func TestSightSaysWhichRowsAreSeen(t *testing.T) {
	table := hosts("a", "b", "c", "d", "e", "f", "g")
	for _, c := range []struct {
		lines, cursor int
		want          string
	}{{8, 0, "7"}, {4, 0, "1–3 of 7"}, {4, 6, "5–7 of 7"}, {1, 4, "5 of 7"}} {
		table.Move(c.cursor)
		table.Draw(40, c.lines, true)
		if got := table.Sight(); got != c.want {
			t.Errorf("row %d in %d lines: got %q, want %q", c.cursor, c.lines, got, c.want)
		}
	}
}

func TestTheOrderIsMarkedInAFullTitle(t *testing.T) {
	table := hosts("a")
	table.sortBy = 1
	if got := ansi.Strip(table.Draw(60, 2, true)[0]); !strings.Contains(got, "SIZE↑") {
		t.Errorf("got %q, want an arrow", got)
	}
	table.columns[1].Least, table.columns[1].Most, table.need = 4, 4, nil
	if got := ansi.Strip(table.Draw(60, 2, true)[0]); !strings.Contains(got, "SIZ↑") {
		t.Errorf("got %q, want an arrow in the title", got)
	}
}
