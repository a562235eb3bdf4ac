package aws_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
)

func shared() aws.Order {
	o := order()
	o.Share = true
	return o
}

// twenty join a shared task at the same time, and all leave at the same time what they got.
func TestTwentyJobsShareOneTask(t *testing.T) {
	e := account(t)
	var clients []*aws.Client
	for range 20 {
		clients = append(clients, as(t, e, "ci"))
	}
	each := func(do func(i int)) {
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() { do(i) })
		}
		all.Wait()
	}
	for range 3 { // the second and third time the first task is over
		runs := make([]aws.Run, len(clients))
		each(func(i int) {
			r, err := clients[i].Start(t.Context(), shared(), aws.NewRun(shared(), time.Now()))
			if err != nil {
				t.Error(err)
			}
			runs[i] = r
		})
		if left := e.Running("automation"); len(left) != 1 {
			t.Fatalf("%d tasks run, want one that all share", len(left))
		}
		for _, r := range runs {
			if r.Task != runs[0].Task {
				t.Fatalf("one has task %s, another %s", r.Task, runs[0].Task)
			}
		}
		each(func(i int) {
			if i == 7 {
				return
			}
			if _, err := clients[i].EndRun(t.Context(), runs[i], "done"); err != nil {
				t.Error(err)
			}
		})
		if left := e.Running("automation"); !slices.Equal(left, []string{runs[7].Task}) {
			t.Fatalf("running %v while one still uses %s", left, runs[7].Task)
		}
		if ended, err := clients[7].EndRun(t.Context(), runs[7], "done"); err != nil || len(ended) != 1 {
			t.Errorf("the last one ended %v, %v; want the task", ended, err)
		}
		if left := e.Running("automation"); len(left) != 0 {
			t.Fatalf("running %v after the last one", left)
		}
	}
}

// Those who come while the others go get a task that stays, whoever is quicker.
func TestWhoComesWhileTheLastOneGoesHasATask(t *testing.T) {
	e := account(t)
	one, two := as(t, e, "ci"), as(t, e, "ci")
	first, err := one.Start(t.Context(), shared(), aws.NewRun(shared(), time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		var second aws.Run
		var both sync.WaitGroup
		both.Go(func() {
			if _, err := one.EndRun(t.Context(), first, "done"); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			var err error
			if second, err = two.Start(t.Context(), shared(), aws.NewRun(shared(), time.Now())); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		if left := e.Running("automation"); !slices.Equal(left, []string{second.Task}) {
			t.Fatalf("running %v, want %s", left, second.Task)
		}
		one, two, first = two, one, second
	}
}

// A task is shared by those who may: another user has one of its own, as has who wants more time than is left.
func TestWhatIsNotSharedIsOwned(t *testing.T) {
	e := account(t)
	start := func(c *aws.Client, o aws.Order, at time.Time) aws.Run {
		t.Helper()
		r, err := c.Start(t.Context(), o, aws.NewRun(o, at))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ci, other := as(t, e, "ci"), as(t, e, "other")
	now := time.Now()
	first := start(ci, shared(), now)
	if again := start(ci, shared(), now); again.Task != first.Task || !again.Until.Equal(first.Until.Truncate(time.Second)) {
		t.Errorf("shared %+v, want the task of %+v", again, first)
	}
	long := shared()
	long.TTL = 3 * time.Hour
	tasks := []string{first.Task, start(other, shared(), now).Task, start(ci, order(), now).Task, start(ci, long, now).Task}
	slices.Sort(tasks)
	if running := e.Running("automation"); len(slices.Compact(tasks)) != 4 || len(running) != 4 {
		t.Errorf("tasks %v, running %v; want four", tasks, running)
	}
}

// A user that was killed is none any more after some minutes: whoever leaves as the last of the living ends the task.
func TestWhoWasKilledKeepsNoTaskForLong(t *testing.T) {
	e := account(t)
	ci := as(t, e, "ci")
	first, err := ci.Start(t.Context(), shared(), aws.NewRun(shared(), time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	killed, err := ci.Start(t.Context(), shared(), aws.NewRun(shared(), time.Now()))
	if err != nil || killed.Task != first.Task {
		t.Fatalf("got %v, %v", killed, err)
	}
	age(t, e, first.Task, killed.ID)
	if ended, err := ci.EndRun(t.Context(), first, "done"); err != nil || len(ended) != 1 || len(e.Running("automation")) != 0 {
		t.Errorf("ended %v, %v; running %v", ended, err, e.Running("automation"))
	}
}

// age lets the tag of a user run out.
func age(t *testing.T, e *emulator.Emulator, task, run string) {
	t.Helper()
	if err := e.Tag(task, "culvert:user:"+run, time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)); err != nil {
		t.Fatal(err)
	}
}
