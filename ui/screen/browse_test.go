package screen

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/ui/draw"
)

func TestTheWayToAContainer(t *testing.T) {
	a := visiting(t, sampleAccount(), 120, 30)
	want(t, a, "clusters 3", "automation", "empty", "shop")
	press(t, a, "enter")
	want(t, a, "automation › services 5", "squid", "tasks of no service", "deploying")
	press(t, a, "G", "up", "enter")
	want(t, a, "automation › squid › tasks 2", "● ready", "healthy")
	press(t, a, "enter")
	want(t, a, "containers 1", "squid", "running 1h", "3128")
	press(t, a, "esc", "esc")
	if line := under(t, a); !strings.Contains(line, "squid") {
		t.Errorf("after going back the cursor is on %q, want the service that was opened", line)
	}
	press(t, a, "esc", "esc", "esc")
	want(t, a, "clusters 3")
}

func TestEveryReasonHasAWordAndARemedy(t *testing.T) {
	a := visiting(t, sampleAccount(), 120, 30)
	press(t, a, "enter", "enter")
	want(t, a, "batch › tasks 4", "◐ agent starting", "✕ agent stopped", "◐ stopping", "◐ task pending", "Spot", "unhealthy")
	for _, c := range []struct{ state, reason, remedy string }{
		{"agent starting", "its exec agent is still starting", "wait"},
		{"agent stopped", "process exited with exit code: 1", "ssmmessages:CreateControlChannel"},
		{"stopping", "Your Spot Task was interrupted.", "name another task"},
		{"task pending", "the task is PENDING", "wait for it"},
	} {
		press(t, a, "g")
		for !strings.Contains(under(t, a), c.state) {
			before := under(t, a)
			if press(t, a, "down"); under(t, a) == before {
				t.Fatalf("no task is %s", c.state)
			}
		}
		want(t, a, c.reason, c.remedy)
	}
}

func TestRefreshNeverMovesTheCursorOffItsRow(t *testing.T) {
	before := crowd(200)
	a := visiting(t, before, 100, 30)
	press(t, a, "enter", "enter", "ctrl+f", "ctrl+f", "down", "down")
	id, line := a.browse.table().At()[:12], lineOfCursor(a)
	if !strings.Contains(under(t, a), id) {
		t.Fatalf("the cursor is on %q, want %s", under(t, a), id)
	}

	after := crowd(200)
	k := &after.Clusters[0]
	k.Tasks = slices.Concat([]aws.Task{readyTask("shop", "web", 900, "web"), readyTask("shop", "web", 901, "web")}, k.Tasks[5:])
	arrives(a, after)
	if got := under(t, a); !strings.Contains(got, id) {
		t.Errorf("after new tasks came and others left the cursor is on %q, want %s", got, id)
	}
	if got := lineOfCursor(a); got != line {
		t.Errorf("the row went from line %d to %d of the screen, want it to stay", line, got)
	}
	slices.Reverse(k.Tasks)
	arrives(a, after)
	if got := under(t, a); !strings.Contains(got, id) {
		t.Errorf("after a new order the cursor is on %q, want %s", got, id)
	}
	k.Tasks = slices.DeleteFunc(slices.Clone(k.Tasks), func(task aws.Task) bool { return strings.HasPrefix(task.ID, id) })
	arrives(a, after)
	if got := under(t, a); strings.Contains(got, id) {
		t.Errorf("the cursor is on %q, a task that is gone", got)
	}
}

// lineOfCursor is the line of the screen that the cursor is on.
func lineOfCursor(a *app) int {
	return slices.IndexFunc(strings.Split(shot(a), "\n"), func(line string) bool { return strings.Contains(line, a.theme.Glyph.Cursor) })
}

func TestTheFilterIsFuzzyAndKeepsWhatWasChosen(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	press(t, a, "enter", "/")
	typed(t, a, "sqd")
	want(t, a, "/sqd", "1 of 5", "squid")
	wantNot(t, a, "reports")
	press(t, a, "enter", "enter")
	want(t, a, "squid › tasks 2")
	press(t, a, "esc")
	want(t, a, "/sqd")
	press(t, a, "esc")
	want(t, a, "services 5", "reports")
	if line := under(t, a); !strings.Contains(line, "squid") {
		t.Errorf("without the filter the cursor is on %q, want the row it was on", line)
	}
	press(t, a, "/")
	typed(t, a, "qqq")
	want(t, a, "Nothing matches /qqq")
	press(t, a, "esc")
	wantNot(t, a, "Nothing matches")
}

func TestKeysAreLettersWhileAFilterIsTyped(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	press(t, a, "/")
	typed(t, a, "q?xFpr")
	want(t, a, "/q?xFpr")
	if a.dialog != nil {
		t.Errorf("typing opened a dialog: %T", a.dialog)
	}
}

func TestSortingGoesThroughTheColumnsAndBack(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	press(t, a, "o", "o")
	want(t, a, "RUNNING↑")
	if line := under(t, a); !strings.Contains(line, "automation") {
		t.Errorf("sorting moved the cursor to %q", line)
	}
	press(t, a, "O")
	want(t, a, "RUNNING↓")
	press(t, a, "o", "o", "o", "o", "o")
	wantNot(t, a, "↑", "↓")
}

// Columns for which the window has no room have no turn.
func TestEachPressOfTheSortKeyCanBeSeen(t *testing.T) {
	for name, keys := range map[string][]string{"clusters": nil, "services": {"enter"}, "tasks": {"enter", "G", "enter"}, "all services": {"0"}, "tunnels": {"t", "+"}} {
		for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 30}} {
			a := visiting(t, sampleAccount(), size[0], size[1])
			addRow(a, somewhere("127.0.0.1:3128"))
			press(t, a, keys...)
			for n := range 20 {
				before := shot(a)
				press(t, a, "o")
				if shot(a) == before {
					t.Errorf("%s in a window of %d by %d: press %d changes nothing:\n%s", name, size[0], size[1], n+1, before)
					break
				}
			}
		}
	}
}

func TestGapsStandWhereTheyAreWithTheirRemedy(t *testing.T) {
	c := sampleAccount()
	c.Clusters[2].Services = nil
	c.Gaps = []error{denied("services", "shop")}
	a := visiting(t, c, 120, 30)
	want(t, a, "not allowed", "shop")
	press(t, a, "enter")
	wantNot(t, a, "not allowed")
	press(t, a, "esc", "G", "enter")
	want(t, a, "not allowed", "ecs:ListServices", "tasks of no service")
}

func TestWhatIsEmptySaysSo(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	press(t, a, "down", "enter")
	want(t, a, "Nothing runs in this cluster")
	press(t, a, "esc", "g", "enter", "down", "enter")
	want(t, a, "scaled to zero", "ECS says: (service idle) has reached")

	a = visiting(t, &aws.Catalog{Taken: start()}, 100, 30)
	want(t, a, "There are no clusters in eu-west-1", "r region", "p profile")
}

func TestWhatIsGoneSaysSo(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	press(t, a, "enter", "G", "up", "enter", "enter")
	less := sampleAccount()
	less.Clusters[0].Tasks = less.Clusters[0].Tasks[2:]
	arrives(a, less)
	want(t, a, "is no more", "esc back")
	press(t, a, "esc")
	want(t, a, "wants 2 tasks and runs none")
	less.Clusters = less.Clusters[1:]
	arrives(a, less)
	want(t, a, "cluster automation is no more")
	press(t, a, "esc", "esc")
	want(t, a, "clusters 2")
}

func TestLongWideAndHostileNamesKeepTheScreenWhole(t *testing.T) {
	c := sampleAccount()
	names := []string{
		strings.Repeat("a-very-long-name-", 15), "データ基盤-パイプライン-サービス", "evil\x1b[31m\x1b]0;title\x07\nsecond", "right\u202eleft", "emoji-\U0001f469\u200d\U0001f4bb-team", "\xff\xfe", "combi\u0301ning",
	}
	for i, name := range names {
		s := service("automation", name, 1)
		c.Clusters[0].Services = append(c.Clusters[0].Services, s)
		c.Clusters[0].Tasks = append(c.Clusters[0].Tasks, readyTask("automation", name, 100+i, name))
	}
	for _, size := range [][2]int{{60, 15}, {80, 24}, {200, 50}} {
		a := visiting(t, c, size[0], size[1])
		press(t, a, "enter")
		for range len(names) + 6 {
			wellFormed(t, a)
			if screen := a.View().Content; strings.ContainsAny(screen, "\x07") || strings.Contains(screen, "\x1b]0;") || strings.ContainsRune(screen, '\u202e') {
				t.Errorf("a name acts on the terminal: %q", screen)
			}
			press(t, a, "enter")
			wellFormed(t, a)
			press(t, a, "F")
			wellFormed(t, a)
			press(t, a, "esc", "esc", "down")
		}
	}
}

func TestTheScreenFillsAsPagesArrive(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	a.here.looking = true
	want(t, a, "signing in")
	first := sampleAccount()
	first.Clusters = first.Clusters[:1]
	a.here.arrived.Store(&arrival{everything, first})
	a.beat++
	a.Update(tickMsg{a.beat})
	want(t, a, "clusters 1", "automation", "looking")
	settle(t, a, a.grant(a.here.looked(everything, sampleAccount(), nil)))
	want(t, a, "clusters 3", "as of 21:40:03")

	// Later looks start from nothing again: what is on screen stays until they are done.
	a.here.looking = true
	a.here.arrived.Store(&arrival{everything, first})
	a.Update(tickMsg{a.beat})
	want(t, a, "clusters 3")
}

func TestAnExpiredLoginSaysWhatToRunAndRecovers(t *testing.T) {
	expired := &aws.ExpiredError{Profile: "dev", Login: "aws sso login", Err: errors.New("token has expired")}
	now := start()
	signedIn := false
	a := newTestApp(t, Options{
		Now: func() time.Time { return now },
		Connect: func(_ context.Context, _, _, _ string) (*aws.Client, error) {
			if !signedIn {
				return nil, expired
			}
			return nil, errors.New("signed in again")
		},
	}, 100, 30)
	settle(t, a, a.grant(a.here.look()))
	want(t, a, "aws sso login", "--profile dev", "tried again every 10s", "· expired")
	wantNot(t, a, "has expired") // it is said once
	signedIn = true
	now = now.Add(11 * time.Second)
	_, cmd := a.Update(tickMsg{a.beat})
	for _, c := range cmd().(tea.BatchMsg)[:1] {
		settle(t, a, c)
	}
	want(t, a, "signed in again")
}

func TestAFailedRefreshKeepsWhatIsThere(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	settle(t, a, a.grant(a.here.looked(everything, nil, &aws.ThrottledError{Operation: "ListClusters"})))
	want(t, a, "automation", "shop", "not refreshed", "as of 21:40:03")
	settle(t, a, a.grant(a.here.looked(everything, sampleAccount(), nil)))
	wantNot(t, a, "not refreshed")
}

func TestClickAndWheel(t *testing.T) {
	now := start()
	a := newTestApp(t, Options{Now: func() time.Time { return now }}, 100, 30)
	arrives(a, crowd(100))
	press(t, a, "enter", "enter")
	a.Update(tea.MouseWheelMsg{Button: tea.MouseWheelDown, X: 10, Y: 10})
	a.Update(tea.MouseWheelMsg{Button: tea.MouseWheelDown, X: 10, Y: 10})
	if got := a.browse.table().Cursor(); got != 2*draw.WheelStep {
		t.Errorf("two notches of the wheel went to row %d, want %d", got, 2*draw.WheelStep)
	}
	click := tea.MouseClickMsg{Button: tea.MouseLeft, X: 10, Y: 8}
	a.Update(click)
	id := a.browse.table().At()
	if got := lineOfCursor(a); got != 8 {
		t.Errorf("a click on line 8 went to line %d", got)
	}
	for range 3 { // late enough each: they select what is selected
		now = now.Add(soon)
		a.Update(click)
		want(t, a, "tasks")
		wantNot(t, a, "containers")
	}
	a.Update(tea.MouseClickMsg{Button: tea.MouseLeft, X: 10, Y: 9}) // soon, but another row
	wantNot(t, a, "containers")
	now = now.Add(time.Second)
	a.Update(click)
	now = now.Add(soon / 2)
	a.Update(click)
	want(t, a, "containers 1")
	if a.browse.task != id {
		t.Errorf("a double click opened another task than %s", id)
	}
	now = now.Add(soon / 2)
	a.Update(tea.MouseClickMsg{Button: tea.MouseLeft, X: 10, Y: 3})
	if a.dialog != nil {
		t.Error("a third click opened the dialog")
	}
}
