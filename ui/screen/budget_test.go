package screen

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws/emulator"
)

// clocked is the interface on an account, with a clock of its own, and what has a minute of it go by.
func clocked(t *testing.T, fleet emulator.Fleet) (l *loop, account *emulator.Emulator, minute func() map[string]int) {
	t.Helper()
	var seconds atomic.Int64
	seconds.Store(start().Unix())
	l, account = worldOf(t, Options{Now: func() time.Time { return time.Unix(seconds.Load(), 0).UTC() }}, fleet)
	done := func() {
		for l.a.here.busy() || l.a.here.client == nil || l.a.here.identity.Account == "" {
			l.step()
		}
		if page, ok := l.a.page().(*description); ok {
			for page.asking || page.details() == nil {
				l.step()
			}
		}
	}
	minute = func() map[string]int {
		done()
		l.press("ctrl+r")
		done()
		before := account.AllCalls()
		for range 60 {
			seconds.Add(1)
			_, cmd := l.a.Update(tickMsg{l.a.beat})
			l.run(cmd)
			done()
		}
		asked := account.AllCalls()
		for action, n := range before {
			if asked[action] -= n; asked[action] == 0 {
				delete(asked, action)
			}
		}
		return asked
	}
	return l, account, minute
}

// A screen that somebody leaves open asks for what is on it, and for nothing else.
func TestAMinuteOfEveryPageHasItsBudget(t *testing.T) {
	l, account, minute := clocked(t, fleetOf("a", "b", "c"))
	expect := func(page string, want map[string]int) {
		t.Helper()
		if got := minute(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("a minute of %s took %v, want %v", page, got, want)
		}
	}
	l.until("clusters 3", "as of")
	if got := account.AllCalls(); got["ListTasks"] != 3 {
		t.Errorf("to begin with, a small account was asked for %v, want each list of tasks once", got)
	}
	expect("clusters", map[string]int{"ListClusters": 6, "DescribeClusters": 6})
	l.press("enter")
	l.until("a › services 2")
	expect("services", map[string]int{"ListServices": 6, "DescribeServices": 6, "ListTasks": 6, "DescribeTasks": 6})
	l.press("enter")
	l.until("a › a-jobs › tasks 1")
	expect("tasks", map[string]int{"DescribeServices": 6, "ListTasks": 6, "DescribeTasks": 6})
	l.press("enter")
	l.until("containers 1")
	expect("containers", map[string]int{"DescribeServices": 6, "DescribeTasks": 6})
	l.press("i")
	l.until("details a/a-jobs")
	expect("the details of a task", map[string]int{"DescribeServices": 6, "DescribeTasks": 6})
	l.press("esc", "L")
	l.until("Log")
	expect("the log", map[string]int{})
	l.press("esc", "0")
	l.until("all services 6")
	expect("all services", map[string]int{"ListClusters": 6, "DescribeClusters": 6, "ListServices": 18, "DescribeServices": 18, "ListTasks": 18, "DescribeTasks": 18})
	l.press("esc")
	l.until("clusters 3")

	_, cmd := l.a.Update(tea.BlurMsg{})
	l.run(cmd)
	expect("clusters in a window behind others", map[string]int{"ListClusters": 1, "DescribeClusters": 1})
	_, cmd = l.a.Update(tea.FocusMsg{})
	l.run(cmd)
	for range 5 { // nobody touches a key, but ctrl+r of the next minute
		expect("clusters", map[string]int{"ListClusters": 6, "DescribeClusters": 6})
	}
}

// Nobody asked for all of a large account by starting the interface.
func TestALargeAccountIsNotReadToBeginWith(t *testing.T) {
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("k%02d", i))
	}
	l, account, _ := clocked(t, fleetOf(names...))
	l.until("clusters 20", "as of")
	for l.a.here.busy() {
		l.step()
	}
	if got := account.AllCalls(); got["ListClusters"] != 1 || got["DescribeClusters"] != 1 || got["ListServices"]+got["ListTasks"] != 0 {
		t.Errorf("the list of clusters took %v", got)
	}
	l.press("enter")
	l.until("k00 › services 2", "as of")
	l.press(":")
	l.until(" 90 ") // 20 clusters, 40 services, and the keys
	for l.a.here.naming {
		l.step()
	}
	if got := account.AllCalls(); got["ListClusters"] != 2 || got["ListServices"] != 20 || got["ListTasks"] != 1 {
		t.Errorf("the names of everything took %v, want the services of 19 clusters listed", got)
	}
}

// A look that takes long is a rare one.
func TestNoMoreThanAFifthOfTheTimeIsSpentLooking(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	p := a.here
	p.began, p.ended, p.took = a.now.Add(-20*time.Second), a.now, 20*time.Second
	for after, due := range map[time.Duration]bool{79 * time.Second: false, 80 * time.Second: true} {
		a.now = start().Add(after)
		if p.due() != due {
			t.Errorf("%s after a look of 20 s another is due: %t", after, p.due())
		}
	}
	p.took = time.Second
	a.now = start().Add(10 * time.Second)
	a.touched = a.now.Add(-unwatchedAfter)
	a.watch()
	if p.due() {
		t.Error("after five minutes without a key it is looked again as often as before")
	}
}
