package draw

import (
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
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

// Each press of the key changes what can be seen, so that columns for which there is no room have no turn.
func TestSortingStepsThroughTheColumnsInSight(t *testing.T) {
	sort := tea.KeyPressMsg{Code: 'o', Text: "o"}
	for w, want := range map[int][]string{
		60: {"NAME↑", "TASK↑", "STATE↑", "CPUS↑", ""},
		30: {"NAME↑", "TASK↑", "STATE↑", ""},
		16: {"NAME↑", ""},
	} {
		table := things(shop()...)
		table.columns = append(table.columns, Column[thing]{Title: "WORDS", Hidden: true, Text: func(r thing) string { return r.name }})
		table.Set(shop())
		table.Draw(w, 4, true)
		for _, title := range append(want, want...) {
			table.Update(sort)
			titles := strings.Fields(ansi.Strip(table.Draw(w, 4, true)[0]))
			sorted := slices.DeleteFunc(titles, func(s string) bool { return !strings.ContainsAny(s, "↑↓") })
			if got := strings.Join(sorted, " "); got != title {
				t.Errorf("in %d cells: got %q, want %q", w, got, title)
			}
		}
	}
}

// The rows stay where they are when the window gets narrower, and the order is still named.
func TestTheOrderIsNamedWhereItsColumnIsLeftOut(t *testing.T) {
	table := things(append(shop(), thing{name: "payments-history", state: "steady", cpus: "3"})...)
	table.Draw(60, 4, true)
	press := func(keys string) {
		for _, r := range keys {
			table.Update(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
	first := func(w int) (titles, row string) {
		lines := table.Draw(w, 4, true)
		return strings.Join(strings.Fields(ansi.Strip(lines[0])), " "), table.rows[table.shown[0]].name
	}
	press("oooog")
	for _, c := range []struct {
		keys   string
		w      int
		titles string
		row    string
	}{
		{"", 60, "NAME TASK STATE CPUS↑", "recommend"},
		{"", 30, "by CPUS↑ TASK STATE", "recommend"},
		{"O", 30, "by CPUS↓ TASK STATE", "payments-history"},
		{"", 16, "NAME by CPUS↓", "payments-history"},
		{"", 8, "by CP↓", "payments-history"},
		{"", 60, "NAME TASK STATE CPUS↓", "payments-history"},
		{"", 30, "by CPUS↓ TASK STATE", "payments-history"},
		{"o", 30, "NAME TASK STATE", "bistro"}, // no column in sight comes after it
	} {
		press(c.keys)
		if titles, row := first(c.w); titles != c.titles || row != c.row {
			t.Errorf("%q in %d cells: got %q above %s, want %q above %s", c.keys, c.w, titles, row, c.titles, c.row)
		}
	}
}
