//go:build linux

package action_test

import (
	"net"
	"strings"
	"testing"

	"culvert/internal/need"
)

// A job reaches private hosts by their names through a task in which no proxy runs.
func TestStepsReachAnyHostThroughATaskWithoutAProxy(t *testing.T) {
	e := account(t)
	for _, id := range e.Tasks("automation", "squid") {
		if err := e.MapPort(id, 3128, ""); err != nil {
			t.Fatal(err)
		}
	}
	j := newJob(t, e.Env()...)
	u := j.use(map[string]string{
		"path": program(t), "target": "automation/squid", "dynamic": "0", "via": "*.internal\n10.0.0.0/8\n", "deny": "billing.internal",
		"destinations": "7", "warm": "orders.internal:80",
	})
	main := u.main()
	if main.code != 0 {
		t.Fatalf("main ends with %d", main.code)
	}
	proxy := main.outputs["proxy-url"]
	if want := "http://" + net.JoinHostPort(main.outputs["host"], main.outputs["port"]); proxy != want || j.exported["CULVERT_PROXY"] != proxy {
		t.Errorf("got the proxy %q, %q for later steps, want %q", proxy, j.exported["CULVERT_PROXY"], want)
	}
	main.setsOutputs()
	curl := need.Command(t, "curl")
	if got := j.start(nil, curl, "-sS", "--fail", "-x", proxy, orders).end(); got.code != 0 || !strings.Contains(got.log.String(), "Orders") {
		t.Errorf("curl ends with %d", got.code)
	}
	if got := j.start(nil, curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", proxy, "http://billing.internal/").end(); got.log.String() != "403" {
		t.Errorf("a host that is denied is answered with %s", got.log.String())
	}
	status := j.start(nil, program(t), "status", main.outputs["name"], "-o", "json").end().log.String()
	for _, want := range []string{`"*.internal"`, `"10.0.0.0/8"`, `"billing.internal"`, `"destinations": 7`, `"orders.internal:80"`} {
		if !strings.Contains(status, want) {
			t.Errorf("status does not say %s", want)
		}
	}
	if post := u.post(); post.code != 0 || strings.Contains(post.log.String(), "::warning") || !strings.Contains(post.summary, "| orders.internal:80 |") {
		t.Errorf("post ends with %d and the summary %q", post.code, post.summary)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

// An input that makes no sense is an error beside the step, with its name.
func TestAPatternThatMakesNoSenseIsSaid(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	main := j.use(map[string]string{"path": program(t), "target": "automation/squid", "dynamic": "0", "via": "*.internal\n10.0.0.0/40"}).main()
	if text := annotation(main.log.String(), "error"); main.code != 2 || !strings.Contains(text, `for the input via: pattern "10.0.0.0/40"`) {
		t.Errorf("main ends with %d and %q", main.code, text)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}
