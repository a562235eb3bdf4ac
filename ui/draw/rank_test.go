package draw

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// thing is a row with a name, an id and a state.
type thing struct{ name, id, state, cpus string }

func things(rows ...thing) *Table[thing] {
	keys := &TableKeys{
		Up: Bind("", "", "k"), Down: Bind("", "", "j"), Top: Bind("", "", "g"), Bottom: Bind("", "", "G"), PageUp: Bind("", "", "pgup"), PageDown: Bind("", "", "pgdown"),
		Filter: Bind("", "", "/"), Sort: Bind("", "", "o"), Reverse: Bind("", "", "O"), Mark: Bind("", "", "space"), Back: Bind("", "", "esc"),
	}
	t := NewTable(NewTheme(true), keys, func(r thing) string { return r.name + r.id },
		Column[thing]{Title: "NAME", Grow: true, Least: 8, Sought: AsName, Text: func(r thing) string { return r.name }},
		Column[thing]{Title: "TASK", Sought: AsID, Text: func(r thing) string { return r.id }},
		Column[thing]{Title: "STATE", Text: func(r thing) string { return r.state }},
		Column[thing]{Title: "CPUS", Right: true, Text: func(r thing) string { return r.cpus }},
	)
	t.Set(rows)
	return t
}

func filtered(t *Table[thing], filter string) []string {
	t.Update(tea.KeyPressMsg{Code: '/', Text: "/"})
	for _, r := range filter {
		t.Update(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	var found []string
	for _, i := range t.shown {
		found = append(found, t.rows[i].name+t.rows[i].id)
	}
	t.Update(tea.KeyPressMsg{Code: tea.KeyEscape})
	return found
}

// shop are the services that a day's use of the interface complained about: /st kept five of the six, for their STATE.
func shop() []thing {
	var rows []thing
	for _, name := range []string{"bistro", "cart", "checkout", "mail", "recommend", "search", "my-store", "store", "web"} {
		rows = append(rows, thing{name: name, state: "steady", cpus: "21"})
	}
	rows[2].state, rows[4].cpus = "deploying", "1"
	return rows
}

func TestTheBestMatchComesFirst(t *testing.T) {
	for filter, want := range map[string][]string{
		"":                {"bistro", "cart", "checkout", "mail", "recommend", "search", "my-store", "store", "web"},
		"st":              {"store", "my-store", "bistro"},
		"sto":             {"store", "my-store", "bistro"},
		"store":           {"store", "my-store"},
		"STORE":           {"store", "my-store"},
		"ct":              {"cart", "checkout"},
		"rcd":             {"recommend"},
		"state:steady":    {"bistro", "cart", "mail", "recommend", "search", "my-store", "store", "web"},
		"state:dep":       {"checkout"},
		"st:deploy":       {"checkout"},
		"state:":          {"bistro", "cart", "checkout", "mail", "recommend", "search", "my-store", "store", "web"},
		"state:steady ar": {"cart", "search"},
		"cpus:1":          {"recommend"},
		"state:nothing":   nil,
		"steady":          nil,
		"colour:red":      nil,
		"store web":       nil,
		"e r":             {"recommend", "search", "my-store", "store"},
	} {
		if got := filtered(things(shop()...), filter); !slices.Equal(got, want) {
			t.Errorf("/%s: got %q, want %q", filter, got, want)
		}
	}
}

// crowd are task ids as ECS makes them.
func crowd(n int) []thing {
	rows := make([]thing, n)
	for i := range rows {
		rows[i].id = fmt.Sprintf("%08x%024x", uint32(i)*2654435761, i)
	}
	return rows
}

func TestIDsAreFoundByTheirBeginningAlone(t *testing.T) {
	rows := crowd(5000)
	for _, filter := range []string{"002dd", "99", "0", "f3"} {
		begin := 0
		for _, r := range rows {
			if strings.HasPrefix(r.id, filter) {
				begin++
			}
		}
		got := filtered(things(rows...), filter)
		if len(got) != begin {
			t.Errorf("/%s keeps %d of 5,000 ids, want the %d that begin so", filter, len(got), begin)
		}
	}
	exact := rows[4711].id
	if got := filtered(things(rows...), exact[:12]); len(got) != 1 || got[0] != exact {
		t.Errorf("/%s: got %q, want %s alone", exact[:12], got, exact)
	}
	// In a name, too: the target of a tunnel may be a task.
	named := []thing{{name: "shop/" + exact}, {name: "shop/a-9-lives-9"}}
	apart := exact[:1] + exact[20:21] + exact[31:]
	if got := filtered(things(named...), apart); strings.Contains(exact, apart) || len(got) != 0 {
		t.Errorf("the letters %q are found in an id: %q", apart, got)
	}
	if got := filtered(things(named...), "als9"); !slices.Equal(got, []string{"shop/a-9-lives-9"}) {
		t.Errorf("letters of a name: got %q", got)
	}
}

func TestAFilterPutsTheCursorOnTheBestAndASortKeepsItsOrder(t *testing.T) {
	table := things(shop()...)
	table.MoveTo("web")
	for _, key := range []string{"/", "s", "t"} {
		table.Update(tea.KeyPressMsg{Code: rune(key[0]), Text: key})
	}
	if r, _ := table.Row(); r.name != "store" {
		t.Errorf("after /st the cursor is on %s, want the best match", r.name)
	}
	table.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
	table.Update(tea.KeyPressMsg{Code: 'o', Text: "o"}) // by name
	var got []string
	for _, i := range table.shown {
		got = append(got, table.rows[i].name)
	}
	if want := []string{"bistro", "my-store", "store"}; !slices.Equal(got, want) {
		t.Errorf("sorted by name and filtered: got %q, want %q", got, want)
	}
	table.Update(tea.KeyPressMsg{Code: tea.KeyEscape})
	if r, _ := table.Row(); r.name != "store" || table.Shown() != len(shop()) {
		t.Errorf("without the filter the cursor is on %s of %d, want store of all", r.name, table.Shown())
	}
}

func TestWithoutNamesRowsKeepTheirOrder(t *testing.T) {
	keys := things().keys
	log := NewTable(NewTheme(true), keys, func(s string) string { return s }, Column[string]{Title: "LINE", Text: func(s string) string { return s }})
	log.Set([]string{"the word open", "open", "nothing", "reopening"})
	log.Move(3)
	log.refilter("open")
	if log.Tally() != "3 of 4" || log.rows[log.shown[0]] != "the word open" || log.At() != "reopening" {
		t.Errorf("got %s, first %q, cursor on %q; want the lines in their order, and the cursor where it was", log.Tally(), log.rows[log.shown[0]], log.At())
	}
}

func TestMarkedRows(t *testing.T) {
	table := things(shop()...)
	space, esc := tea.KeyPressMsg{Code: tea.KeySpace}, tea.KeyPressMsg{Code: tea.KeyEscape}
	if table.Update(space) {
		t.Error("rows are marked in a table that marks none")
	}
	table.Markable(func(r thing) bool { return r.name != "mail" })
	table.Move(1)
	for range 3 { // cart, checkout; mail cannot be
		table.Update(space)
	}
	names := func() (all []string) {
		for _, r := range table.Marked() {
			all = append(all, r.name)
		}
		return all
	}
	if got := names(); !slices.Equal(got, []string{"cart", "checkout"}) || table.Cursor() != 4 || table.Tally() != "9, 2 marked" {
		t.Errorf("got %q marked, the cursor on row %d, %q", got, table.Cursor(), table.Tally())
	}
	if lines := table.Draw(60, 10, true); !strings.HasPrefix(lines[2], table.theme.Glyph.Mark) || !strings.HasPrefix(lines[4], " ") {
		t.Errorf("marks are not seen:\n%s", strings.Join(lines, "\n"))
	}
	table.refilter("web")
	table.Update(space)
	table.refilter("")
	if got := names(); !slices.Equal(got, []string{"cart", "checkout", "web"}) {
		t.Errorf("marks that a filter hides: got %q", got)
	}
	table.Move(1)
	table.Update(space) // takes it away
	table.Set(shop()[3:])
	if got := names(); !slices.Equal(got, []string{"web"}) || table.Tally() != "6, 1 marked" {
		t.Errorf("after rows have gone: got %q, want web alone", got)
	}
	if !table.Update(esc) || len(table.Marked()) > 0 || table.Update(esc) {
		t.Error("esc takes the marks away, and then is for somebody else")
	}
}

func FuzzRank(f *testing.F) {
	for _, c := range [][2]string{{"st", "steady"}, {"sto", "fargate_spot"}, {"002dd", "0123456789abcdef0123456789abcdef"}, {"99", "9f9"}, {"é", "caf\u00e9"}, {"a:b", "x a:b"}, {"\xff", "\xfe\xff"}} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, word, text string) {
		word, text = strings.ToLower(word), strings.ToLower(text)
		if word == "" {
			return
		}
		name, found := rank(text, word, AsName)
		id, begins := rank(text, word, AsID)
		whole, holds := rank(text, word, AsText)
		if holds != strings.Contains(text, word) || holds && (!found || whole != name+1) || begins && (!holds || id != name) {
			t.Errorf("%q in %q: name %d %t, text %d %t, id %d %t", word, text, name, found, whole, holds, id, begins)
		}
		if strings.HasPrefix(text, word) && !begins {
			t.Errorf("%q begins with %q and is not found", text, word)
		}
		if r, ok := rank(word+text, word, AsName); !ok || found && name > 0 && r > name {
			t.Errorf("%q at the front of %q is found as %d, %t, worse than %d without", word, text, r, ok, name)
		}
	})
}
