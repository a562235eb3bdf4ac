//go:build linux

package action_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// Jobs as GitHub starts them, each with what the runner gives it.

// role is what a workflow without keys has.
func role(e *emulator.Emulator) []string {
	url, token := e.GitHub()
	return []string{"AWS_ENDPOINT_URL=" + e.URL(), "ACTIONS_ID_TOKEN_REQUEST_URL=" + url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + token}
}

const callerRole = "arn:aws:iam::111122223333:role/tests"

// GitHub gives the workflow of a fork's pull request no token, whatever its permissions say.
func TestAForksPullRequestIsToldThatItGetsNoToken(t *testing.T) {
	t.Parallel()
	e := account(t)
	j := newJob(t, "AWS_ENDPOINT_URL="+e.URL(), "GITHUB_EVENT_NAME=pull_request", "GITHUB_REF=refs/pull/7/merge", "GITHUB_HEAD_REF=patch")
	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128", "region": "eu-west-1", "role-arn": callerRole})
	main := u.main()
	if got := annotation(main.log.String(), "error"); main.code != 125 || !strings.Contains(got, "id-token: write") || !strings.Contains(got, "fork") {
		t.Errorf("main ends with %d and %q, want the permission and that forks never get it", main.code, got)
	}
	u.post()
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

// With pull_request_target, in a reusable workflow and in a container job there is a token: the action does not tell them from others.
func TestEveryKindOfJobThatHasATokenOpensTunnels(t *testing.T) {
	for name, environment := range map[string][]string{
		"pull_request_target": {"GITHUB_EVENT_NAME=pull_request_target", "GITHUB_REF=refs/heads/main", "GITHUB_HEAD_REF=patch"},
		"reusable workflow":   {"GITHUB_WORKFLOW_REF=shop/tests/.github/workflows/ci.yml@refs/heads/main", "GITHUB_ACTION=tunnel"},
		// The runner mounts its directories elsewhere, and nothing says which user has which home.
		"container job": {"HOME=/github/home", "XDG_RUNTIME_DIR=", "RUNNER_TOOL_CACHE=/__t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := account(t)
			j := newJob(t, append(role(e), environment...)...)
			if name == "container job" {
				j.machine["HOME"] = filepath.Join(filepath.Dir(j.temp), "github", "home") // nobody has made it yet
				delete(j.machine, "XDG_RUNTIME_DIR")
			}
			u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128", "region": "eu-west-1", "role-arn": callerRole})
			main := u.main()
			if main.code != 0 {
				t.Fatalf("main ends with %d", main.code)
			}
			if curl := j.start(nil, need.Command(t, "curl"), "-sS", "--fail", "-x", main.outputs["proxy-url"], orders).end(); curl.code != 0 {
				t.Errorf("curl ends with %d", curl.code)
			}
			post := u.post()
			if post.code != 0 || strings.Contains(post.log.String(), "::warning") {
				t.Errorf("post ends with %d and should not warn", post.code)
			}
			if want := map[bool]string{true: "| tunnel |", false: "| action |"}[name == "reusable workflow"]; !strings.Contains(post.summary, want) {
				t.Errorf("got the summary %q, want the step's id in it: %q", post.summary, want)
			}
			j.nothingIsLeft()
			j.sessionsEnd(e)
		})
	}
}

// The jobs of a matrix are on machines of their own; on one machine, the port is who comes first's, and the other says whose it is.
func TestAMatrixWithOnePortOnOneMachine(t *testing.T) {
	t.Parallel()
	e := account(t)
	port := freePort(t)
	inputs := map[string]string{"path": program(t), "target": "automation/squid", "forward": port + ":3128"}
	first, second := newJob(t, e.Env()...), newJob(t, e.Env()...)
	one, two := first.use(inputs), second.use(inputs)
	if main := one.main(); main.code != 0 || main.outputs["port"] != port {
		t.Fatalf("the first ends with %d on port %s, want %s", main.code, main.outputs["port"], port)
	}
	main := two.main()
	if got := annotation(main.log.String(), "error"); main.code == 0 || !strings.Contains(got, port) || !strings.Contains(got, "culvert (pid ") {
		t.Errorf("the second ends with %d and %q, want who has the port", main.code, got)
	}
	two.post()
	if status := first.start(nil, need.Command(t, "curl"), "-sS", "--fail", "-x", "http://127.0.0.1:"+port, orders).end(); status.code != 0 {
		t.Error("the end of the second took the first's tunnel")
	}
	one.post()
	first.nothingIsLeft()
	second.nothingIsLeft()
	first.sessionsEnd(e)
}

// On a runner that is kept, what jobs have left that were killed days ago goes with the next one's end; what is younger is still looked at.
func TestTheNextJobRemovesWhatEarlierOnesHaveLeft(t *testing.T) {
	t.Parallel()
	e := account(t)
	j := newJob(t, e.Env()...)
	logs, sets := filepath.Join(j.machine["HOME"], ".local", "state", "culvert"), filepath.Join(j.machine["XDG_RUNTIME_DIR"], "culvert")
	record := fmt.Sprintf(`{"name":"action-0000000a","process":{"pid":%d,"started":"x"}}`, 1<<22) // no system has such a process
	left := func(name string, age time.Duration) (files []string) {
		for _, file := range []string{filepath.Join(logs, name+".log"), filepath.Join(sets, name+".json"), filepath.Join(sets, name+".lock")} {
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(record), 0o600), os.Chtimes(file, time.Time{}, time.Now().Add(-age))); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		return files
	}
	old, young := left("action-0000000a", 8*24*time.Hour), left("action-0000000b", time.Hour)
	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128"})
	if main := u.main(); main.code != 0 {
		t.Fatalf("main ends with %d", main.code)
	}
	if post := u.post(); post.code != 0 {
		t.Errorf("post ends with %d", post.code)
	}
	for _, file := range old {
		if _, err := os.Lstat(file); err == nil {
			t.Errorf("%s is left", file)
		}
	}
	for _, file := range young {
		if _, err := os.Lstat(file); err != nil {
			t.Error(err)
		}
	}
	// Of the job itself log and lock stay for those days, and nothing else.
	var others []string
	_ = filepath.WalkDir(j.machine["HOME"], func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !slices.Contains(young, path) {
			others = append(others, path)
		}
		return nil
	})
	if len(others) != 2 || !strings.HasPrefix(others[0], filepath.Join(logs, "action-")) || !strings.HasPrefix(others[1], filepath.Join(sets, "action-")) {
		t.Errorf("got the files %q, want the job's log and lock alone", others)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// Steps in containers reach the runner by another address than loopback.
func TestATunnelForContainersListensWhereTheyReachIt(t *testing.T) {
	t.Parallel()
	e := account(t)
	j := newJob(t, append(e.Env(), "RUNNER_DEBUG=1")...)
	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128", "bind": "127.0.0.2"})
	main := u.main()
	if main.code != 0 || main.outputs["host"] != "127.0.0.2" {
		t.Fatalf("main ends with %d and listens on %s, want 127.0.0.2", main.code, main.outputs["host"])
	}
	// Later steps have the program that path names, and a job that is run again for its log has all of it.
	status := j.start(nil, "culvert", "status", main.outputs["name"]).end()
	if status.code != 0 {
		t.Errorf("culvert is not in the PATH of a later step: %d", status.code)
	}
	log, err := os.ReadFile(filepath.Join(j.machine["HOME"], ".local", "state", "culvert", main.outputs["name"]+".log"))
	if err != nil || !strings.Contains(string(log), "level=INFO") { // a warning is the least otherwise
		t.Errorf("with RUNNER_DEBUG=1 the log has nothing beside the steps: %v\n%s", err, log)
	}
	u.post()
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

func TestAProgramOfAnotherNameIsCulvertInThePath(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	other := filepath.Join(j.checkout, "culvert-nightly")
	if err := os.Symlink(program(t), other); err != nil {
		t.Fatal(err)
	}
	if main := j.use(map[string]string{"path": "culvert-nightly", "install-only": "true"}).main(); main.code != 0 {
		t.Fatalf("main ends with %d", main.code)
	}
	if later := j.start(nil, "culvert", "version").end(); later.code != 0 {
		t.Errorf("a later step has no culvert: %d", later.code)
	}
}
