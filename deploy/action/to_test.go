//go:build linux

package action_test

import (
	"strings"
	"testing"
)

// A job names a database and nothing else: the way to it is found, and later steps are told where it is.
func TestAJobReachesADatabaseByItsName(t *testing.T) {
	t.Parallel()
	e := account(t)
	j := newJob(t, e.Env()...)
	u := j.use(map[string]string{"path": program(t), "to": "0:orders-db\n0:orders-db.internal:5432\n"})
	main := u.main()
	if main.code != 0 {
		t.Fatalf("main ends with %d", main.code)
	}
	if main.outputs["port"] == "" || main.outputs["port-2"] == "" || main.outputs["task-arn"] == "" {
		t.Errorf("got the outputs %q", main.outputs)
	}
	status := j.start(nil, program(t), "status", main.outputs["name"], "-o", "json").end().log.String()
	for _, want := range []string{`"to": "orders-db"`, `"remote": "orders-db.internal:5432"`, `"proof": "postgres"`} {
		if !strings.Contains(status, want) {
			t.Errorf("status does not say %s: %s", want, status)
		}
	}
	post := u.post()
	if post.code != 0 || strings.Contains(post.log.String(), "::warning") {
		t.Errorf("post ends with %d", post.code)
	}
	if !strings.Contains(post.summary, "orders-db.internal:5432 &#40;orders-db&#41;") {
		t.Errorf("the summary does not name the destination: %s", post.summary)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

// A destination that nothing is let in to is an error beside the step, with the rule that is missing.
func TestAJobIsToldWhichRuleIsMissing(t *testing.T) {
	t.Parallel()
	e := account(t)
	j := newJob(t, e.Env()...)
	main := j.use(map[string]string{"path": program(t), "to": "sessions"}).main()
	if text := annotation(main.log.String(), "error"); main.code != 125 || !strings.Contains(text, "no way to sessions") || !strings.Contains(text, "authorize-security-group-ingress") {
		t.Errorf("main ends with %d and %q", main.code, text)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}
