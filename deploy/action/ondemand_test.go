//go:build linux

package action_test

import "testing"

// A task runs from main to post, and no longer.
func TestATaskRunsAsLongAsTheJob(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	u := j.use(map[string]string{
		"path": program(t), "target": "automation/squid", "forward": "0:3128", "run": "culvert-squid", "ttl": "30m", "share": "true", "wait": "60s",
	})
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
