package screen

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"culvert/tunnel"
)

// Every table at every width, with the right padding, and without a column that comes or goes with what is in it.
func TestColumnsFollowTheWidthAlone(t *testing.T) {
	short, long := sampleAccount(), sampleAccount()
	for i := range long.Clusters {
		k := &long.Clusters[i]
		for j := range k.Services {
			k.Services[j].TaskDefinition = "arn:aws:ecs:eu-west-1:1:task-definition/" + strings.Repeat("definition", 9) + ":1"
		}
		for j := range k.Tasks {
			k.Tasks[j].PlatformVersion = strings.Repeat("1.4.0", 9)
		}
	}
	titles := func(w int, swollen bool, keys ...string) []string {
		account := short
		if swollen {
			account = long
		}
		a := visiting(t, account, w, 40)
		r := addRow(a, somewhere("127.0.0.1:3128"))
		flow(r, 30)
		if swollen {
			r.Spec.Target.Cluster, r.Spec.Remote.Host = strings.Repeat("automation", 9), strings.Repeat("payments-db.", 9)+"internal"
			r.holder = &holder{name: strings.Repeat("dev", 9)}
		}
		press(t, a, keys...)
		if d, ok := a.page().(*detail); ok {
			connections := busyConnections()
			if swollen {
				connections[0].Host = strings.Repeat("billing.", 20) + "internal:443"
				r.hosts.end(connections[0])
			}
			d.fill(connections, oldHistory())
		}
		wellFormed(t, a)
		var all []string
		for i, line := range strings.Split(shot(a), "\n") {
			fields := strings.Fields(strings.Trim(line, "┃│ "))
			if len(fields) > 2 && strings.ToUpper(line) == line && strings.IndexFunc(line, isLetter) >= 0 && !strings.ContainsAny(line, "▌━─") {
				all = append(all, strings.Join(fields, " "))
				for _, under := range strings.Split(shot(a), "\n")[i : i+3] {
					if end := []rune(under); len(end) == w && (end[w-1] == '┃' || end[w-1] == '│') && end[w-2] != ' ' {
						t.Errorf("%d columns, %v: no blank before the frame: %q", w, keys, under)
					}
				}
			}
		}
		return all
	}
	for _, keys := range [][]string{{"enter"}, {"enter", "enter"}, {"enter", "G", "enter", "enter"}, {"t"}, {"t", "enter"}, {"t", "enter", "v"}, {"t", "enter", "3"}} {
		for w := 60; w <= 220; w += 4 {
			few, many := titles(w, false, keys...), titles(w, true, keys...)
			if len(few) == 0 || strings.Join(few, "\n") != strings.Join(many, "\n") {
				t.Errorf("%d columns, %v: the columns are\n%s\nand with longer texts\n%s", w, keys, strings.Join(few, "\n"), strings.Join(many, "\n"))
			}
		}
	}
}

func isLetter(r rune) bool { return r >= 'A' && r <= 'Z' }

// Names that differ at their ends are told apart at 80 columns.
func TestHostsKeepTheirEnds(t *testing.T) {
	a := newTestApp(t, Options{}, 80, 24)
	d := onPage(t, a)
	connections := busyConnections()[:2]
	connections[0].Host, connections[1].Host = "payments-api.production.internal:443", "payments-db.production.internal:5432"
	d.fill(connections, nil)
	want(t, a, "payments-api.….internal:443", "payments-db.p…internal:5432")
}

func TestGoldenSizes(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 30}, {160, 50}, {200, 50}} {
		name := fmt.Sprintf("%dx%d", size[0], size[1])
		a := newTestApp(t, Options{}, size[0], size[1])
		onPage(t, a)
		many(a, 11)
		golden(t, "calm-detail-"+name, shot(a))
		press(t, a, "t", "j", "j")
		golden(t, "calm-pane-"+name, shot(a))
		press(t, a, "+")
		golden(t, "calm-zoomed-"+name, shot(a))
		wellFormed(t, a)
	}
}

func TestSmallWindowsShowRows(t *testing.T) {
	for _, n := range []int{1, 3, 12} {
		for _, view := range []string{"1", "2", "3"} {
			a := newTestApp(t, Options{}, 60, 15)
			d := onPage(t, a)
			many(a, n-1)
			d.row.State, d.row.Err = tunnel.Reopening, &tunnel.EndedError{Session: "s-9"}
			press(t, a, view)
			wellFormed(t, a)
			rows, titled := 0, false
			for line := range strings.Lines(shot(a)) {
				inside := strings.Trim(line, "┃\n ")
				switch {
				case strings.HasPrefix(line, "┗"):
					titled = false
				case titled && inside != "" && inside[0] != '!':
					rows++
				case strings.Contains(line, "┃ HOST") || strings.Contains(line, "┃ WHEN"):
					titled = true
				}
			}
			if rows < 3 {
				t.Errorf("%d tunnels, view %s: %d rows of the page, want 3:\n%s", n, view, rows, shot(a))
			}
		}
	}
	a := newTestApp(t, Options{}, 40, 10)
	many(a, 12)
	want(t, a, "needs a window of 60 by 15", "40 by 10; q quits", "● open        127.0.0.1:10002", "more tunnels")
	press(t, a, "x", "F")
	want(t, a, "needs a window of 60 by 15", "6 more tunnels")
	a.Update(tea.WindowSizeMsg{Width: 40, Height: 2})
	want(t, a, "needs a window of 60 by 15", "12 more tunnels")
	b := newTestApp(t, Options{}, 40, 2)
	want(t, b, "q quits")
	wantNot(t, b, "tunnel")
	wellFormed(t, a)
}

func TestThePaneSaysWhichOfItsRowsAreInSight(t *testing.T) {
	a := newTestApp(t, Options{}, 80, 24)
	many(a, 12)
	want(t, a, "Tunnels 1–6 of 12")
	press(t, a, "t", "G")
	want(t, a, "Tunnels 7–12 of 12")
	press(t, a, "+")
	want(t, a, "Tunnels 12 ·", "127.0.0.1:10000", "127.0.0.1:10011", "+ both panes")
	wantNot(t, a, "clusters")
	press(t, a, "shift+tab")
	want(t, a, "clusters")
	wantNot(t, a, "Tunnels")
	press(t, a, "+")
	want(t, a, "clusters", "Tunnels 7–12 of 12")
	wellFormed(t, a)
}

func TestTheCursorDoesNotMoveThePane(t *testing.T) {
	a := newTestApp(t, Options{}, 120, 40)
	addRow(a, somewhere("127.0.0.1:1"))
	sick := somewhere("127.0.0.1:2")
	sick.State, sick.Err = tunnel.Reopening, &tunnel.EndedError{Session: "s-9"}
	addRow(a, sick)
	press(t, a, "t", "k") // with the keyboard there, it has room for the whole remedy
	before := a.layout()
	press(t, a, "j")
	want(t, a, "! session s-9 is over")
	if after := a.layout(); after != before {
		t.Errorf("with the cursor on another row the layout is %+v, was %+v", after, before)
	}
}

func TestViewsHaveNumbersAndNeighbours(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	d := onPage(t, a)
	for _, step := range []struct {
		key  string
		want sheet
	}{{"3", historySheet}, {"1", connectionSheet}, {"2", hostSheet}, {"l", historySheet}, {"h", hostSheet}, {"right", historySheet}, {"v", connectionSheet}, {"left", historySheet}} {
		if press(t, a, step.key); d.side != step.want {
			t.Errorf("%s leads to view %d, want %d", step.key, d.side, step.want)
		}
	}
	want(t, a, "1  connections 4", "3 [history 4]")
	b := visiting(t, sampleAccount(), 100, 30)
	press(t, b, "l", "l", "h")
	want(t, b, "automation › services")
}

func TestKeysThatDoNothingHereSayWhereTheyDo(t *testing.T) {
	for _, c := range []struct {
		before []string
		key    string
		says   string
	}{
		{nil, "x", "x stops on a tunnel: t goes to them"},
		{[]string{"enter"}, "R", "R reconnects on a tunnel"},
		{nil, "v", "v shows the next view of one tunnel: t, then enter"},
		{nil, "2", "2 shows a view of one tunnel"},
		{nil, "esc", "q quits"},
		{nil, "h", "h goes back"},
		{[]string{"t"}, "F", "F forwards to a service, task or container"},
		{[]string{"t"}, "x", "x stops on a tunnel"}, // there is none
		{[]string{"L"}, "enter", "enter opens what is under the cursor"},
		{nil, "e", "e changes a tunnel that is over, or a saved tunnel: S goes to them"},
		{nil, "ctrl+d", "ctrl+d deletes a saved tunnel: S goes to them"},
		{nil, "space", "space marks services, tasks and tunnels"},
		{[]string{"S"}, "i", "i shows details of"},
		{[]string{"S"}, "b", "b opens the page of a cluster"},
		{[]string{"i"}, "l", "l goes inward in the lists of clusters, services, tasks and tunnels; of one tunnel, the next view"},
	} {
		a := visiting(t, sampleAccount(), 100, 30)
		press(t, a, c.before...)
		press(t, a, c.key)
		lines := strings.Split(shot(a), "\n")
		if said := lines[len(lines)-3]; !strings.Contains(said, c.says) {
			t.Errorf("%v, then %s: got %q, want %q", c.before, c.key, said, c.says)
		}
	}
	a := visiting(t, sampleAccount(), 100, 30)
	press(t, a, "z")
	if a.notice.text != "" {
		t.Errorf("a key without a meaning says %q", a.notice.text)
	}
}

// What a colour tells can be told under the cursor.
func TestTheCursorHidesNoColour(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	press(t, a, "enter", "enter", "g")
	for !strings.Contains(under(t, a), "agent stopped") {
		press(t, a, "down")
	}
	bad, _, _ := strings.Cut(a.theme.Bad.Paint("|"), "|")
	ground, _, _ := strings.Cut(a.theme.Selected.Paint("|"), "|")
	for line := range strings.Lines(a.View().Content) {
		if strings.Contains(ansi.Strip(line), "agent stopped") && !strings.Contains(line, ground+bad+"✕ agent stopped") {
			t.Errorf("the reason under the cursor is not red on the ground of the cursor: %q", line)
		}
	}
}

func TestTheForwardDialogKeepsItsSizeAndPlace(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {160, 50}} {
		a := visiting(t, sampleAccount(), size[0], size[1])
		press(t, a, "G", "enter", "F")
		place := func() string { r, _ := a.dialogBox(); return fmt.Sprint(r) }
		first := place()
		d := a.dialog.(*connect)
		for _, key := range []string{"down", "backspace", "9", "9", "9", "9", "9", "9", "down", "x", "/", "down", "down", "down", "q", "down", "up", "enter"} {
			press(t, a, key)
			if got := place(); got != first {
				t.Errorf("%v: after %s the dialog lies at %s, was at %s:\n%s", size, key, got, first, shot(a))
			}
			wellFormed(t, a)
		}
		d.failure = fmt.Errorf("start session: %w", &tunnel.StuckError{Session: "s-1", For: 30 * time.Second})
		if got := place(); got != first {
			t.Errorf("%v: with a failure the dialog lies at %s, was at %s", size, got, first)
		}
		want(t, a, "! start session")
	}
}

// slow is a page that takes its time to be drawn.
type slow struct {
	screen

	draws func()
}

func (s slow) draw(w, h int, focused bool) []string {
	s.draws()
	return s.screen.draw(w, h, focused)
}

func TestADoubleClickIsOneHoweverLongTheScreenIsDrawn(t *testing.T) {
	now := start()
	a := newTestApp(t, Options{Now: func() time.Time { return now }}, 120, 40)
	many(a, 5)
	a.pages = append(a.pages, slow{a.browse, func() { now = now.Add(soon) }})
	in := a.layout().Below.Inner()
	click := tea.MouseClickMsg{X: in.X + 3, Y: in.Y + 3, Button: tea.MouseLeft}
	for _, msg := range []tea.Msg{click, tea.MouseReleaseMsg(click)} {
		a.Update(msg)
		a.View()
	}
	now = now.Add(soon / 2)
	a.Update(click)
	if a.subject() != a.tunnels.rows[2] {
		t.Error("a double click did not open the tunnel")
	}
}

func TestADoubleClickOpensATunnel(t *testing.T) {
	now := start()
	a := newTestApp(t, Options{Now: func() time.Time { return now }}, 120, 40)
	many(a, 5)
	in := a.layout().Below.Inner()
	click := tea.MouseClickMsg{X: in.X + 3, Y: in.Y + 3, Button: tea.MouseLeft}
	a.Update(click)
	a.View()
	now = now.Add(soon)
	a.Update(click)
	a.View()
	if a.subject() != nil {
		t.Error("two slow clicks opened the tunnel")
	}
	now = now.Add(soon / 2)
	a.Update(click)
	a.View()
	if a.subject() != a.tunnels.rows[2] {
		t.Error("a double click did not open the tunnel")
	}
	press(t, a, "esc")
	now = now.Add(time.Minute)
	click.Y++
	a.Update(click)
	press(t, a, "o", "O") // other rows take the lines between the clicks
	a.Update(click)
	if a.subject() != nil {
		t.Errorf("a double click on two rows opened %s", a.subject().local())
	}
}
