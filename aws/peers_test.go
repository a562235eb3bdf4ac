package aws

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPeersAreTheReadyTasksOfTheService(t *testing.T) {
	isolate(t)
	f := newFleet(t, "a")
	f.service("a", "s", 3)
	f.service("a", "other", 1)
	first, second := f.task("a", "s", nil, "app"), f.task("a", "s", nil, "app")
	f.task("a", "s", agent("PENDING", ""), "app")
	f.task("a", "other", nil, "app")
	c := f.connect(t)
	of := func(task string) Target {
		return Target{Cluster: "a", Service: "s", Task: task, Container: "app", RuntimeID: task + "-app", AnyContainer: true}
	}
	peers := func(age time.Duration, want ...Target) {
		t.Helper()
		got, err := c.Peers(t.Context(), of(first), age)
		slices.SortFunc(got, func(a, b Target) int { return strings.Compare(a.Task, b.Task) })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v; want %v", got, text(err), want)
		}
	}
	if _, err := c.Lookup(t.Context(), Query{Cluster: "a", Service: "s"}); err != nil {
		t.Fatal(err)
	}
	before := len(f.calls("DescribeTasks"))
	peers(time.Minute, of(first), of(second))
	if calls := len(f.calls("DescribeTasks")) - before; calls != 0 {
		t.Errorf("%d calls for what was looked up just before", calls)
	}
	third := f.task("a", "s", nil, "app")
	peers(time.Minute, of(first), of(second))
	peers(0, of(first), of(second), of(third))
	// Who leaves a task out on purpose does not make the others forget it.
	if _, err := c.Successor(t.Context(), of(first)); err != nil {
		t.Fatal(err)
	}
	peers(time.Minute, of(first), of(second), of(third))

	f.tasks = nil
	if _, err := c.Peers(t.Context(), of(first), 0); !Temporary(err) {
		t.Errorf("got %v, want a temporary error: the service wants tasks", text(err))
	}
}
