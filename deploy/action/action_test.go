//go:build linux

package action_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// inputs and outputs are the names that action.yml has.
func inputs(t *testing.T) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(readAction(t).Inputs))
}

func outputs(t *testing.T) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(readAction(t).Outputs))
}

type described struct {
	Description string `yaml:"description"`
	Required    bool   `yaml:"required"`
}

type actionFile struct {
	Inputs  map[string]described `yaml:"inputs"`
	Outputs map[string]described `yaml:"outputs"`
	Runs    struct {
		Using  string `yaml:"using"`
		Main   string `yaml:"main"`
		Post   string `yaml:"post"`
		PostIf string `yaml:"post-if"`
	} `yaml:"runs"`
}

func readAction(t *testing.T) actionFile {
	t.Helper()
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var a actionFile
	if err := yaml.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// built is the directory for the culvert that the tests run, buildOnce puts it there.
var (
	built     string
	buildOnce = sync.OnceValue(func() error {
		out, err := exec.CommandContext(context.Background(), "go", "build", "-o", built, "../..").CombinedOutput()
		if err != nil {
			return fmt.Errorf("build culvert: %w\n%s", err, out)
		}
		return nil
	})
)

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "culvert-built-"); err != nil {
		log.Fatal(err)
	}
	// The emulator imports AWS's codec, whose logger starts with the program.
	logger := goleak.IgnoreAnyFunction("github.com/cihub/seelog.(*asyncLoopLogger).processQueue")
	goleak.VerifyTestMain(m, logger, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(built)
		os.Exit(code)
	}))
}

// program is the path of the culvert that the tests run.
func program(t *testing.T) string {
	t.Helper()
	if err := buildOnce(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(built, "culvert")
}

// account is the demo account, without its relay.
func account(t *testing.T) *emulator.Emulator {
	t.Helper()
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// sessionsEnd waits until the account has no session left.
func (j *job) sessionsEnd(e *emulator.Emulator) {
	j.Helper()
	j.waitFor("no session is left", func() bool { return len(e.Sessions()) == 0 })
}

const orders = "http://orders.internal/"

func TestStepsUseWhatTheActionOpens(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128", "wait": "60s"})

	main := u.main()
	if main.code != 0 {
		t.Fatalf("main ends with %d", main.code)
	}
	proxy := main.outputs["proxy-url"]
	if want := "http://" + net.JoinHostPort(main.outputs["host"], main.outputs["port"]); proxy != want {
		t.Errorf("got the proxy %q, want %q", proxy, want)
	}
	sessions := e.Sessions()
	if len(sessions) != 1 || sessions[0].ID != main.outputs["session-id"] {
		t.Errorf("got the session %q, want that of the account: %+v", main.outputs["session-id"], sessions)
	}
	if !strings.HasPrefix(main.outputs["task-arn"], "arn:aws:ecs:eu-west-1:111122223333:task/automation/") {
		t.Errorf("got the task %q", main.outputs["task-arn"])
	}
	main.setsOutputs()
	if j.exported["PROXY_SERVER"] != proxy || j.exported["CULVERT_PROXY"] != proxy || j.exported["HTTP_PROXY"] != "" {
		t.Errorf("got %v for later steps, want the proxy as PROXY_SERVER and CULVERT_PROXY alone", j.exported)
	}

	curl := j.start(nil, need.Command(t, "curl"), "-sS", "--fail", "-x", proxy, orders).end()
	if curl.code != 0 || !strings.Contains(curl.log.String(), "Orders") {
		t.Errorf("curl ends with %d", curl.code)
	}
	status := j.start(nil, program(t), "status", main.outputs["name"], "-o", "json").end()
	if status.code != 0 || !strings.Contains(status.log.String(), main.outputs["session-id"]) {
		t.Errorf("status does not know the session")
	}

	post := u.post()
	if post.code != 0 || strings.Contains(post.log.String(), "::warning") {
		t.Errorf("post ends with %d and should not warn", post.code)
	}
	if !strings.Contains(post.summary, "orders.internal") {
		t.Errorf("got the summary %q, want the traffic of orders.internal in it", post.summary)
	}
	j.nothingIsLeft()
	if left := e.Sessions(); len(left) != 0 {
		t.Errorf("sessions are left: %+v", left)
	}
}

// The seed's way: a role through the token of the job, no key anywhere.
func TestARoleThroughTheTokenOfTheJob(t *testing.T) {
	e := account(t)
	url, token := e.GitHub()
	j := newJob(t, "AWS_ENDPOINT_URL="+e.URL(), "ACTIONS_ID_TOKEN_REQUEST_URL="+url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+token)
	u := j.use(map[string]string{"path": program(t), "cluster": "automation", "service": "squid", "remote-port": "3128",
		"region": "eu-west-1", "role-arn": "arn:aws:iam::111122223333:role/tests"})
	main := u.main()
	if main.code != 0 {
		t.Fatalf("main ends with %d", main.code)
	}
	if !strings.HasPrefix(main.outputs["session-id"], "culvert-4711-1-") {
		t.Errorf("got the session %q, want the run's id and attempt in its name", main.outputs["session-id"])
	}
	for _, secret := range []string{token, "eyJ"} {
		if strings.Contains(main.log.String(), secret) && !strings.Contains(main.log.String(), "::add-mask::"+secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
	u.post()
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

func TestADatabaseBesideTheTaskAndAProxyInOneStep(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128\n0:orders-db.internal:5432\n"})
	main := u.main()
	if main.code != 0 || len(e.Sessions()) != 2 {
		t.Errorf("main ends with %d and %d sessions, want 0 and 2", main.code, len(e.Sessions()))
	}
	var forwards []map[string]any
	if err := json.Unmarshal([]byte(main.outputs["forwards"]), &forwards); err != nil || len(forwards) != 2 {
		t.Fatalf("got the forwards %q, want a list of two (%v)", main.outputs["forwards"], err)
	}
	for i, suffix := range []string{"", "-2"} {
		for _, name := range []string{"host", "port", "session-id", "task-arn"} {
			if got := fmt.Sprint(forwards[i][name]); got == "" || got != main.outputs[name+suffix] {
				t.Errorf("forward %d: got the %s %q, and the output %q", i+1, name, got, main.outputs[name+suffix])
			}
		}
	}
	if got, want := forwards[0]["proxy-url"], main.outputs["proxy-url"]; got != want {
		t.Errorf("got the proxy %q in the list, want %q", got, want)
	}
	u.post()
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

func TestTwoUsesInOneJobDoNotMeet(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	first := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128"})
	second := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128"})
	one, two := first.main(), second.main()
	if one.code != 0 || two.code != 0 || one.outputs["port"] == two.outputs["port"] {
		t.Fatalf("got %d on port %s and %d on port %s, want two tunnels", one.code, one.outputs["port"], two.code, two.outputs["port"])
	}
	if last := second.post(); last.summary != "" { // the runner's order: the last first
		t.Errorf("the second use writes a summary of its own: %q", last.summary)
	}
	if got := e.Sessions(); len(got) != 1 || got[0].ID != one.outputs["session-id"] {
		t.Errorf("got %+v, want the first's session alone", got)
	}
	post := first.post()
	if rows := regexp.MustCompile(`(?m)^\| action \| http`).FindAllString(post.summary, -1); len(rows) != 2 || strings.Count(post.summary, "| ready after |") != 1 {
		t.Errorf("got the summary\n%s\nwant one table of tunnels with a row for each use", post.summary)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
	if left, _ := filepath.Glob(filepath.Join(j.temp, "culvert-job*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestAFailedMainLeavesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		fault  func(*emulator.Emulator)
		inputs map[string]string
		code   int
		want   string
		once   []string // what says the error, and what remedies it: once in the log, and once in the summary
	}{
		"a service that is not there": {nil, map[string]string{"target": "automation/sqid", "forward": "0:3128"}, 125, "squid", []string{`no service "sqid"`, "the nearest are: "}},
		"a session that is denied": {func(e *emulator.Emulator) {
			e.Fault(func(f *emulator.Faults) { f.API = []emulator.APIFault{{Action: "ssm:StartSession"}} })
		}, map[string]string{"target": "automation/squid", "forward": "0:3128"}, 125, "ssm:StartSession", []string{"not allowed: ssm:StartSession on ", `"Action":["ssm:StartSession"]`}},
		"a probe that never passes":   {nil, map[string]string{"target": "automation/squid", "forward": "0:3128", "probe": "http://nowhere.internal/", "wait": "8s"}, 124, "nowhere.internal", []string{"was not ready within 8s", "check the spelling of nowhere.internal"}},
		"a wrong input":               {nil, map[string]string{"target": "automation/squid", "forward": "many"}, 2, "many", []string{`the remote port "many" is not a number`, "write PORT, "}},
		"a program that is not there": {nil, map[string]string{"path": "bin/culvert"}, 1, "the input path names ", []string{"the input path names "}},
	} {
		t.Run(name, func(t *testing.T) {
			e := account(t)
			if c.fault != nil {
				c.fault(e)
			}
			j := newJob(t, e.Env()...)
			if c.inputs["path"] == "" {
				c.inputs["path"] = program(t)
			}
			u := j.use(c.inputs)
			main := u.main()
			if main.code != c.code {
				t.Errorf("main ends with %d, want %d", main.code, c.code)
			}
			first := annotation(main.log.String(), "error")
			if !strings.Contains(first, c.want) {
				t.Errorf("got the annotation %q, want %q in it", first, c.want)
			}
			for _, text := range c.once {
				for where, said := range map[string]string{"log": main.log.String(), "summary": main.summary} {
					if n := strings.Count(said, text); n != 1 {
						t.Errorf("the %s says %q %d times, want once", where, text, n)
					}
				}
			}
			// The doctor looks at what does not get ready, not at what makes no sense.
			asked := strings.Contains(main.log.String(), "::group::culvert: what the doctor finds\n")
			if asked != (c.code > 100) || asked != strings.Contains(main.summary, "the doctor") {
				t.Errorf("doctor asked: %t, with code %d and the summary %q", asked, c.code, main.summary)
			}
			if asked && !strings.Contains(annotations(main.log.String()), "the doctor") {
				t.Error("the doctor's verdict is not beside the step")
			}
			if c.code == 2 && (!strings.Contains(first, "the input forward: ") || strings.Contains(first, "--forward")) {
				t.Errorf("got %q, want the input's name in it", first)
			}
			if post := u.post(); post.code != 0 || annotation(post.log.String(), "warning") != "" {
				t.Errorf("post ends with %d and should not warn", post.code)
			}
			j.nothingIsLeft()
			j.sessionsEnd(e)
		})
	}
}

// setsOutputs wants every output of action.yml that a use with one forward has.
func (s *step) setsOutputs() {
	s.job.Helper()
	for _, output := range outputs(s.job.T) {
		if another := regexp.MustCompile(`-[2-4]$`).MatchString(output); (s.outputs[output] == "") != another {
			s.job.Errorf("the output %s of action.yml is %q, with one forward", output, s.outputs[output])
		}
	}
}

// annotations are the lines of a log that are shown beside a step.
func annotations(log string) string {
	return strings.Join(regexp.MustCompile(`(?m)^::(error|warning|notice) .*$`).FindAllString(log, -1), "\n")
}

// annotation is the first one of a level in a log, as the runner finds it.
func annotation(log, level string) string {
	for line := range strings.Lines(log) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "::"+level+" "); ok {
			return text
		}
	}
	return ""
}

func TestACancelWhileItWaitsLeavesNothing(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128", "probe": "http://nowhere.internal/", "wait": "10m"})
	main := u.start("main.js")
	j.waitFor("a session is open", func() bool { return len(e.Sessions()) > 0 })
	main.cancel()
	u.state = main.state
	if main.code == 0 || u.state["name"] == "" {
		t.Errorf("main ends with %d and leaves %v", main.code, u.state)
	}
	if post := u.post(); post.code != 0 {
		t.Errorf("post ends with %d", post.code)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

func TestACancelOfALaterStepLeavesNothing(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128"})
	main := u.main()
	if main.code != 0 {
		t.Fatalf("main ends with %d", main.code)
	}
	// A connection that is in use when the job is cancelled.
	busy := j.start(nil, "bash", "-c", `exec 3<>/dev/tcp/"$0"/"$1"; echo connected; cat <&3`, main.outputs["host"], main.outputs["port"])
	j.waitFor("a connection is open", func() bool { return connections(j, main.outputs["name"]) == 1 })
	busy.cancel()
	if post := u.post(); post.code != 0 {
		t.Errorf("post ends with %d", post.code)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

// connections is the number of open ones of a tunnel set.
func connections(j *job, name string) int {
	j.Helper()
	s := j.start(nil, program(j.T), "status", name, "-o", "json").end()
	var answer struct {
		Sets []struct {
			Tunnels []struct {
				Connections int `json:"connections"`
			} `json:"tunnels"`
		} `json:"sets"`
	}
	if err := json.Unmarshal(s.log.Bytes(), &answer); err != nil || len(answer.Sets) != 1 || len(answer.Sets[0].Tunnels) != 1 {
		j.Fatalf("status: %v", err)
	}
	return answer.Sets[0].Tunnels[0].Connections
}

// A runner that dies runs no post step.
func TestTunnelsEndWithTheRunner(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128"})
	path, err := filepath.Abs("main.js")
	if err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{}
	for name, value := range u.inputs {
		environment["INPUT_"+strings.ToUpper(name)] = value
	}
	worker := j.start(environment, "bash", "-c", `"$0" "$1" || exit; exec sleep 600 >/dev/null 2>&1`, j.node, path)
	j.waitFor("the outputs are there", func() bool { return strings.Contains(worker.text("GITHUB_OUTPUT"), "session-id") })
	if err := worker.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	worker.end()
	j.sessionsEnd(e)
	j.waitFor("no process is left", func() bool { return len(j.orphans()) == 0 })
}

func TestPostWarnsAndNeverFails(t *testing.T) {
	j := newJob(t)
	u := j.use(nil)
	if post := u.post(); post.code != 0 || post.log.Len() > 0 {
		t.Errorf("without a main: post ends with %d and says %q", post.code, post.log.String())
	}
	u.state = map[string]string{"name": "action-0", "program": "/nowhere/culvert"}
	if post := u.post(); post.code != 0 || annotation(post.log.String(), "warning") == "" {
		t.Errorf("without the program: post ends with %d, want a warning", post.code)
	}
	u.state["program"] = "/bin/false"
	if post := u.post(); post.code != 0 || annotation(post.log.String(), "warning") == "" {
		t.Errorf("when down fails: post ends with %d, want a warning", post.code)
	}
}

func TestTheActionRunsAsTheRunnerWants(t *testing.T) {
	a := readAction(t)
	if a.Runs.Using != "node24" || a.Runs.PostIf != "always()" {
		t.Errorf("got using %q and post-if %q", a.Runs.Using, a.Runs.PostIf)
	}
	for _, script := range []string{a.Runs.Main, a.Runs.Post} {
		if _, err := os.Stat(filepath.Join("../..", script)); err != nil {
			t.Error(err)
		}
	}
	for name, d := range a.Inputs {
		if d.Description == "" || name != strings.ToLower(name) || strings.Contains(name, "_") {
			t.Errorf("input %s: want kebab-case and a description", name)
		}
	}
}

// The steps of a workflow use the port that it names: another one would lead them into whatever has that port.
func TestANamedPortIsNotReplaced(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	main := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": port, "probe": "none"}).main()
	if text := annotation(main.log.String(), "error"); main.code != 125 || !strings.Contains(text, port+" is in use by ") {
		t.Errorf("main ends with %d and %q, want 125 and who has port %s", main.code, text, port)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}

// Tunnels that ended by themselves, as for says: post tells what had happened to them, and gives the variables back.
func TestTunnelsWhoseTimeIsOverAreTold(t *testing.T) {
	e := account(t)
	j := newJob(t, e.Env()...)
	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128", "for": "4s", "proxy-env": "export"})
	main := u.main()
	if main.code != 0 || j.exported["HTTPS_PROXY"] == "" {
		t.Fatalf("main ends with %d and exports %v", main.code, j.exported)
	}
	e.KillSession(main.outputs["session-id"], "ended by the test")
	j.waitFor("no process is left", func() bool { return len(j.orphans()) == 0 })
	j.sessionsEnd(e)
	post := u.post()
	log := post.log.String()
	for _, want := range []string{"ended by itself at ", "the time of the tunnels is over (--for)", "::group::culvert: what happened to ", "  reopening "} {
		if !strings.Contains(log, want) {
			t.Errorf("post says nothing of %q", want)
		}
	}
	if warning := annotation(log, "warning"); post.code != 0 || !strings.Contains(warning, "was interrupted once") {
		t.Errorf("post ends with %d and the warning %q", post.code, warning)
	}
	if proxy, given := j.exported["HTTPS_PROXY"]; !given || proxy != "" {
		t.Errorf("HTTPS_PROXY is %q afterwards: %t", proxy, given)
	}
}
