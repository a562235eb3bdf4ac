package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/ui/cli"
)

// asked runs command lines in this process, in an account and as a caller of it, and knows what they asked for.
type asked struct {
	*testing.T
	account *emulator.Emulator
	home    string
	program string // that is run; empty: this process
}

// newAsked is an account of a few clusters, or the demo's, whose caller may do everything.
func newAsked(t *testing.T, fleet emulator.Fleet) *asked {
	t.Helper()
	account, err := emulator.Start(emulator.Options{Pace: 20 * time.Millisecond, Fleet: fleet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "CULVERT_") || strings.HasPrefix(name, "GITHUB_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name)
		}
	}
	a := &asked{T: t, account: account, home: t.TempDir()}
	t.Setenv("HOME", a.home)
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"} {
		t.Setenv(name, filepath.Join(a.home, strings.ToLower(name)))
	}
	for _, pair := range account.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	return a
}

// as has another caller ask from now on, one with a policy.
func (a *asked) as(name string, p aws.Policy) {
	a.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		a.Fatal(err)
	}
	if err := a.account.Attach("user/"+name, text); err != nil {
		a.Fatal(err)
	}
	id, secret := a.account.User(name)
	a.Setenv("AWS_ACCESS_KEY_ID", id)
	a.Setenv("AWS_SECRET_ACCESS_KEY", secret)
}

func (a *asked) run(args ...string) (code int, stdout, stderr string) {
	a.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(a.Context(), time.Minute)
	defer cancel()
	if a.program != "" {
		run := exec.CommandContext(ctx, a.program, args...)
		run.Stdout, run.Stderr = &out, &errs
		if err := run.Run(); run.ProcessState == nil {
			a.Fatal(err)
		}
		return run.ProcessState.ExitCode(), out.String(), errs.String()
	}
	code = cli.Run(ctx, cli.Process{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs})
	return code, out.String(), errs.String()
}

// budget runs a command line, which has to work and to take exactly these calls, or others behind a |. TerminateSession is left out: the agent
// may have ended the session before.
func (a *asked) budget(want string, args ...string) (stdout string) {
	a.Helper()
	before := a.account.AllCalls()
	code, stdout, stderr := a.run(args...)
	if code != 0 {
		a.Errorf("culvert %q: exit code %d, stderr\n%s", args, code, stderr)
	}
	got := a.account.AllCalls()
	for action, n := range before {
		got[action] -= n
	}
	delete(got, "TerminateSession")
	var calls []string
	for _, action := range slices.Sorted(maps.Keys(got)) {
		if got[action] > 0 {
			calls = append(calls, fmt.Sprintf("%s %d", action, got[action]))
		}
	}
	if text := strings.Join(calls, ", "); !slices.Contains(strings.Split(want, "|"), text) {
		a.Errorf("culvert %q took\n%s, want\n%s", args, text, want)
	}
	return stdout
}

// fewClusters are three clusters of two services with a task each; every service has a task definition of its own.
func fewClusters() emulator.Fleet {
	var f emulator.Fleet
	for _, name := range []string{"automation", "blue", "green"} {
		task := emulator.Task{Containers: []emulator.Container{{Name: "squid", Ports: map[uint16]string{3128: emulator.Web}}}}
		f.Clusters = append(f.Clusters, emulator.Cluster{Name: name, Services: []emulator.Service{
			{Name: "squid", Count: 1, Task: task}, {Name: name + "-jobs", Count: 1, Task: task},
		}})
	}
	return f
}

func TestAListAsksForWhatItShows(t *testing.T) {
	if !need.Process(t) {
		return
	}
	a := newAsked(t, fewClusters())
	task := a.account.Tasks("automation", "squid")[0]
	arn := "arn:aws:ecs:eu-west-1:111122223333:"
	for _, c := range []struct{ want, line string }{
		{"DescribeClusters 1, DescribeTasks 3, ListClusters 1, ListTasks 3", "list clusters"},
		{"DescribeClusters 1, DescribeTasks 1, ListTasks 1", "list clusters -c blue"},
		{"DescribeServices 3, DescribeTaskDefinition 4, DescribeTasks 3, ListClusters 1, ListServices 3, ListTasks 3", "list services"},
		{"DescribeServices 1, DescribeTaskDefinition 2, DescribeTasks 1, ListServices 1, ListTasks 1", "list -c blue"},
		{"DescribeServices 1, DescribeTaskDefinition 1, DescribeTasks 1, ListTasks 1", "list services -c automation -s squid"},
		{"DescribeTaskDefinition 4, DescribeTasks 3, ListClusters 1, ListTasks 3", "list tasks"},
		{"DescribeTaskDefinition 2, DescribeTasks 1, ListTasks 1", "list tasks -c blue"},
		{"DescribeTaskDefinition 1, DescribeTasks 1, ListTasks 1", "list tasks -c automation -s squid"},
		{"DescribeTaskDefinition 1, DescribeTasks 1, ListTasks 1", "list tasks --target automation/squid"},
		{"DescribeTaskDefinition 1, DescribeTasks 1", "list tasks -c automation -t " + task},
		{"DescribeTaskDefinition 1, DescribeTasks 1, ListTasks 1", "list tasks -c automation -t " + task[:8]},
		{"DescribeTaskDefinition 1, DescribeTasks 1, GetCallerIdentity 1, ListTasks 1", "list tasks -c " + arn + "cluster/automation -s squid"},
		{"DescribeTaskDefinition 1, DescribeTasks 1, GetCallerIdentity 1, ListTasks 1", "list tasks --target " + arn + "service/automation/squid"},
		{"DescribeTaskDefinition 1, DescribeTasks 1, GetCallerIdentity 1", "list tasks --target " + arn + "task/automation/" + task},
		{"DescribeTaskDefinition 1, DescribeTasks 1, ListClusters 1, ListTasks 3", "list tasks -s blue-jobs"},
	} {
		if out := a.budget(c.want, strings.Fields(c.line)...); strings.Contains(c.line, "automation") != strings.Contains(out, "automation") && strings.Contains(c.line, "-") {
			t.Errorf("culvert %s: got\n%s", c.line, out)
		}
	}
}

// What opens a session asks for the one service that it is about.
func TestWhatOpensASessionAsksForItsServiceAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	if !need.Process(t) {
		return
	}
	program := filepath.Join(t.TempDir(), "culvert")
	build(t, program)
	a := newAsked(t, emulator.Demo())
	a.program = program // what goes on in the background is the program again
	if err := os.WriteFile(filepath.Join(a.home, "saved.yaml"), []byte("tunnels:\n  proxy: {target: automation/squid, forward: \"0:3128\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ want, line string }{
		{"DescribeTasks 1, ListTasks 1, StartSession 1", "--headless -c data -s pgbouncer -L 0:6432 -- true"},
		{"DescribeTasks 2, ListTasks 2, StartSession 2", "--headless --target data/pgbouncer -L 0:6432 -L 0:orders.internal:80 -- true"},
		// Where there are two containers, the task definition says which of them is meant.
		{"DescribeTaskDefinition 1, DescribeTasks 1, ListTasks 1, StartSession 1", "--headless -c automation -s squid --relay no -L 0:3128 -- true"},
		// The relay has a session of its own, and the task is looked at again for the room that it has, unless all is over before.
		{"DescribeTaskDefinition 1, DescribeTasks 2, ListTasks 1, StartSession 2|DescribeTaskDefinition 1, DescribeTasks 1, ListTasks 1, StartSession 2", "--headless -c automation -s squid -L 0:3128 -- true"},
		{"DescribeTasks 1, ExecuteCommand 1, ListTasks 1", "exec -c automation -s squid -- cat /etc/squid/squid.conf"},
		{"DescribeClusters 1, DescribeServices 1, DescribeSessions 2, DescribeTaskDefinition 1, DescribeTasks 3, GetCallerIdentity 1, ListTasks 2, StartSession 1", "doctor --relay no -c automation -s squid"},
		{"DescribeClusters 1, DescribeServices 1, DescribeSessions 2, DescribeTaskDefinition 1, DescribeTasks 3, GetCallerIdentity 1, ListTasks 2, StartSession 2", "doctor -c automation -s squid"},
		{"DescribeTaskDefinition 1, DescribeTasks 1, ListTasks 1, StartSession 1", "up --relay no --target automation/squid -L 0:3128"},
		{"", "status"},
		{"", "down"},
		{"DescribeTaskDefinition 1, DescribeTasks 1, ListTasks 1, StartSession 1", "up --relay no --config " + filepath.Join(a.home, "saved.yaml") + " proxy"},
		{"", "down proxy"},
	} {
		a.budget(c.want, strings.Fields(c.line)...)
	}
}

func TestCompletionAsksOnceAMinute(t *testing.T) {
	if !need.Process(t) {
		return
	}
	a := newAsked(t, fewClusters())
	task := a.account.Tasks("automation", "squid")[0]
	for _, c := range []struct{ want, line, offers string }{
		{"ListClusters 1", "list -c ", "automation\nblue\ngreen"},
		{"ListServices 1", "exec -c automation -s ", "automation-jobs\nsquid"},
		{"ListTasks 1", "doctor -c automation -s squid -t ", task},
		{"DescribeTasks 1, ListTasks 1", "up -c automation -s squid --container ", "squid"},
		{"DescribeTasks 1", "up -c automation --task " + task + " --container ", "squid"},
		{"ListServices 2", "list -s ", "automation-jobs\nblue-jobs\ngreen-jobs\nsquid"}, // of the two that were not asked about
		{"", "list --target ", "automation/\nblue/\ngreen/"},
		{"", "list --target b", "blue/blue-jobs\nblue/squid"},
		{"", "list --target automation/s", "automation/squid"},
		{"", "list --target automation/squid/", "automation/squid/" + task},
		{"", "list -c gr", "green"},
	} {
		first := append([]string{"__complete"}, strings.Split(c.line, " ")...)
		for i, want := range []string{c.want, ""} {
			out, _, _ := strings.Cut(a.budget(want, first...), "\n:")
			if out != c.offers {
				t.Errorf("%s, time %d: got\n%s\nwant\n%s", c.line, i+1, out, c.offers)
			}
		}
	}
	for _, c := range []struct{ line, offers string }{
		{"list --region us-gov-", "us-gov-east-1\nus-gov-west-1"}, {"status --region eu-west-", "eu-west-1\neu-west-2\neu-west-3"},
	} {
		if out, _, _ := strings.Cut(a.budget("", append([]string{"__complete"}, strings.Split(c.line, " ")...)...), "\n:"); out != c.offers {
			t.Errorf("%s: got\n%s", c.line, out)
		}
	}
	dir := filepath.Join(a.home, ".aws")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("[default]\n[profile dev]\n[profile deputy]\n[profile d\x1bx]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, _ := strings.Cut(a.budget("", "__complete", "list", "--profile", "de"), "\n:"); out != "default\ndeputy\ndev" {
		t.Errorf("profiles: got %q", out)
	}
}

// Whoever has the policy that culvert ships can do what the way in tells them to do with it.
func TestTheWayInWorksUnderTheShippedPolicy(t *testing.T) {
	if !need.Process(t) {
		return
	}
	text, err := os.ReadFile("docs/getting-started.md")
	if err != nil {
		t.Fatal(err)
	}
	_, step, _ := strings.Cut(string(text), "\n## 2. ")
	step, _, _ = strings.Cut(step, "\n## 3. ")
	lines := regexp.MustCompile(`(?m)^\$ culvert (.*)$`).FindAllStringSubmatch(step, -1)
	if len(lines) != 2 {
		t.Fatalf("step 2 has the commands %q, want two", lines)
	}
	a := newAsked(t, emulator.Demo())
	a.as("reader", aws.CallerPolicy(aws.Reach{Region: "eu-west-1", Account: "111122223333", Cluster: "automation", RemoteHosts: true}))
	for _, line := range lines {
		code, stdout, stderr := a.run(strings.Fields(line[1])...)
		switch {
		case strings.HasPrefix(line[1], "list"):
			if n := strings.Count(stdout, "  squid  "); code != 0 || n < 2 {
				t.Errorf("culvert %s: exit code %d\n%s%s", line[1], code, stdout, stderr)
			}
		case strings.Contains(stdout, "orders.internal:443") && strings.Count(stdout, "\n  fail ") == 1:
			// the demo's orders are behind port 80 alone: all the rest of the path is well
		case code != 0:
			t.Errorf("culvert %s: exit code %d\n%s%s", line[1], code, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, "ecs:ListClusters") {
			t.Errorf("culvert %s looks for other clusters:\n%s%s", line[1], stdout, stderr)
		}
	}
	for _, line := range []string{
		"list -c automation", "list services -c automation", "list services -c automation -s squid", "list tasks -c automation -s squid", "list clusters -c automation",
		"list tasks --target arn:aws:ecs:eu-west-1:111122223333:service/automation/squid", "__complete list -c automation -s ", "__complete list --target automation/",
	} {
		if code, stdout, stderr := a.run(strings.Split(line, " ")...); code != 0 || !strings.Contains(stdout, "automation") && !strings.Contains(stdout, "squid") || strings.Contains(stderr, "ecs:ListClusters") {
			t.Errorf("culvert %s: exit code %d\n%s%s", line, code, stdout, stderr)
		}
	}
}
