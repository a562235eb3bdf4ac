//go:build linux

package action_test

import (
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/internal/need"
)

// onDemand are the inputs of a step that starts something.
func onDemand(t *testing.T, more map[string]string) map[string]string {
	t.Helper()
	all := map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128", "wait": "60s"}
	maps.Copy(all, more)
	return all
}

// A task runs from main to post, and no longer.
func TestATaskRunsAsLongAsTheJob(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	u := j.use(onDemand(t, map[string]string{"run": "culvert-squid", "ttl": "30m", "share": "true"}))
	main := u.main()
	if main.code != 0 || len(e.Running("automation")) != 1 {
		t.Fatalf("main ends with %d, running are %v; want one task", main.code, e.Running("automation"))
	}
	if post := u.post(); post.code != 0 || len(e.Running("automation")) != 0 {
		t.Errorf("post ends with %d, running are %v; want none", post.code, e.Running("automation"))
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

// A service that is scaled to zero wants a task from main to post.
func TestAServiceRunsAsLongAsTheJob(t *testing.T) {
	t.Parallel()
	e := account(t)
	if err := e.Scale("automation", "squid", 0); err != nil {
		t.Fatal(err)
	}
	j := newJob(t, e.Env()...)
	u := j.use(onDemand(t, map[string]string{"start": "true"}))
	main := u.main()
	if main.code != 0 || e.Desired("automation", "squid") != 1 {
		t.Fatalf("main ends with %d, the service wants %d tasks; want one", main.code, e.Desired("automation", "squid"))
	}
	if curl := j.start(nil, need.Command(t, "curl"), "-sS", "--fail", "-x", main.outputs["proxy-url"], orders).end(); curl.code != 0 {
		t.Errorf("curl ends with %d", curl.code)
	}
	if post := u.post(); post.code != 0 || e.Desired("automation", "squid") != 0 {
		t.Errorf("post ends with %d, the service wants %d tasks; want none", post.code, e.Desired("automation", "squid"))
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

// The network that a step names is where its task runs, without any service; what is wrong with it is told by the input's name.
func TestATaskOfAJobRunsInTheNetworkThatTheStepNames(t *testing.T) {
	t.Parallel()
	e := account(t)
	j := newJob(t, e.Env()...)
	u := j.use(onDemand(t, map[string]string{
		"target": "", "cluster": "automation", "run": "culvert-squid", "subnets": "subnet-0a1b2c3d4e5f60718", "security-groups": "sg-0e1f203142536475a",
	}))
	main := u.main()
	if main.code != 0 || len(e.Running("automation")) != 1 {
		t.Fatalf("main ends with %d, running are %v; want one task", main.code, e.Running("automation"))
	}
	if post := u.post(); post.code != 0 || len(e.Running("automation")) != 0 {
		t.Errorf("post ends with %d, running are %v; want none", post.code, e.Running("automation"))
	}
	for _, c := range []struct {
		input, value, says string
	}{
		{"subnets", "subnet-0a1b2c3d4e5f60718;rm", "subnets"},
		{"security-groups", "subnet-0a1b2c3d4e5f60718", "security-groups"},
		{"subnets", "subnet-0000", "subnet-0000"}, // which there is not
		{"ttl", "30s", "ttl"},
	} {
		inputs := onDemand(t, map[string]string{"target": "", "cluster": "automation", "run": "culvert-squid", "subnets": "subnet-0a1b2c3d4e5f60718"})
		inputs[c.input] = c.value
		wrong := j.use(inputs)
		main := wrong.main()
		if got := annotation(main.log.String(), "error"); main.code == 0 || !strings.Contains(got, c.says) {
			t.Errorf("%s %q: main ends with %d and %q, want an error that names %s", c.input, c.value, main.code, got, c.says)
		}
		wrong.post()
	}
	if left := e.Running("automation"); len(left) > 0 {
		t.Errorf("running are %v, want none", left)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

// A job whose processes are killed with its machine leaves its task until the time is over that the task carries, and no longer.
func TestATaskOfAKilledJobEndsAfterItsTime(t *testing.T) {
	t.Parallel()
	e := account(t)
	j := newJob(t, e.Env()...)
	main := j.use(onDemand(t, map[string]string{"run": "culvert-squid", "ttl": "30m"})).main()
	if main.code != 0 {
		t.Fatalf("main ends with %d", main.code)
	}
	for _, pid := range j.orphans() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	j.waitFor("the holder is gone", func() bool { return len(j.orphans()) == 0 })
	e.Elapse(29 * time.Minute)
	if len(e.Running("automation")) != 1 {
		t.Errorf("running are %v, want the task", e.Running("automation"))
	}
	e.Elapse(time.Minute)
	if left := e.Running("automation"); len(left) != 0 {
		t.Errorf("after its time running are %v, want none", left)
	}
}
