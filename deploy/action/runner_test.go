//go:build linux

package action_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/internal/need"
)

// job is a job on a simulated runner: what one step leaves for the next, and the processes it may leave behind. It does
// what the source of actions/runner does with environment, files and signals (platform facts: docs/testing.md).
type job struct {
	*testing.T

	node     string
	checkout string            // GITHUB_WORKSPACE
	temp     string            // RUNNER_TEMP
	tracking string            // RUNNER_TRACKING_ID, by which the runner finds orphans
	machine  map[string]string // environment of the runner and of the job
	exported map[string]string // by GITHUB_ENV so far
	paths    []string          // by GITHUB_PATH so far, the last first
}

func newJob(t *testing.T, environment ...string) *job {
	t.Helper()
	if testing.Short() {
		t.Skip("runs node and builds the program: make test")
	}
	home, err := os.MkdirTemp("", "job-") //nolint:usetesting // a socket's path may have 107 bytes only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	j := &job{
		T: t, node: need.Node(t), checkout: t.TempDir(), temp: filepath.Join(home, "_temp"),
		tracking: "github_" + strconv.FormatInt(time.Now().UnixNano(), 16),
		exported: map[string]string{},
		machine: map[string]string{
			"PATH": os.Getenv("PATH"), "HOME": home, "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": filepath.Join(home, "run"),
			"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "4711", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "test",
			"GITHUB_REPOSITORY": "shop/tests", "GITHUB_SERVER_URL": "https://github.invalid", "GITHUB_ACTION_REPOSITORY": "",
			"RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", "RUNNER_TOOL_CACHE": filepath.Join(home, "tools"), "AWS_EC2_METADATA_DISABLED": "true",
		},
	}
	if err := errors.Join(os.Mkdir(j.temp, 0o755), os.Mkdir(j.machine["XDG_RUNTIME_DIR"], 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, v := range environment {
		name, value, _ := strings.Cut(v, "=")
		j.machine[name] = value
	}
	t.Cleanup(func() {
		// As the runner does at the end of a job; a test that wants none to be left has looked by then.
		for _, p := range j.orphans() {
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
	})
	return j
}

// step is a process of the job, and what it wrote for the runner.
type step struct {
	job   *job
	cmd   *exec.Cmd
	log   bytes.Buffer
	files map[string]string // GITHUB_OUTPUT … → path
	ended chan error

	code    int
	outputs map[string]string
	state   map[string]string
	summary string
}

// start starts a process as the runner does: with fresh files, its output read to the end.
func (j *job) start(environment map[string]string, program string, args ...string) *step {
	j.Helper()
	s := &step{job: j, files: map[string]string{}, ended: make(chan error, 1)}
	all := maps.Clone(j.machine)
	maps.Copy(all, j.exported)
	maps.Copy(all, environment)
	all["PATH"] = strings.Join(append(slices.Clone(j.paths), all["PATH"]), ":")
	all["GITHUB_WORKSPACE"], all["RUNNER_TEMP"], all["RUNNER_TRACKING_ID"] = j.checkout, j.temp, j.tracking
	files := j.TempDir()
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"} {
		s.files[name] = filepath.Join(files, strings.ToLower(name))
		if err := os.WriteFile(s.files[name], nil, 0o600); err != nil {
			j.Fatal(err)
		}
		all[name] = s.files[name]
	}
	// By the PATH of the step, not by the test's.
	if !filepath.IsAbs(program) {
		for _, dir := range filepath.SplitList(all["PATH"]) {
			if at := filepath.Join(dir, program); executable(at) {
				program = at
				break
			}
		}
	}
	s.cmd = exec.CommandContext(context.Background(), program, args...)
	s.cmd.Dir = j.checkout
	for name, value := range all {
		s.cmd.Env = append(s.cmd.Env, name+"="+value)
	}
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.WaitDelay = 5 * time.Second // the runner's patience with those who hold the output of a process that ended
	if err := s.cmd.Start(); err != nil {
		j.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	return s
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

const stepTime = 60 * time.Second

// end waits for the process and takes what it wrote, as the runner does after success, failure and cancellation alike.
func (s *step) end() *step {
	s.job.Helper()
	select {
	case err := <-s.ended:
		if errors.Is(err, exec.ErrWaitDelay) {
			s.job.Errorf("something holds the output of a step that ended; the runner waits 5 s for it\n%s", s.log.String())
		}
	case <-time.After(stepTime):
		_ = s.cmd.Process.Kill()
		s.job.Fatalf("the step does not end within %s (%v):\n%s", stepTime, <-s.ended, s.log.String())
	}
	s.code = s.cmd.ProcessState.ExitCode()
	s.outputs, s.state = s.commands("GITHUB_OUTPUT"), s.commands("GITHUB_STATE")
	maps.Copy(s.job.exported, s.commands("GITHUB_ENV"))
	for line := range strings.Lines(s.text("GITHUB_PATH")) {
		s.job.paths = append([]string{strings.TrimSpace(line)}, s.job.paths...)
	}
	s.summary = s.text("GITHUB_STEP_SUMMARY")
	s.job.Logf("step %s ended with %d:\n%s%s", strings.Join(s.cmd.Args[1:], " "), s.code, s.log.String(), s.summary)
	return s
}

func (s *step) text(file string) string {
	s.job.Helper()
	text, err := os.ReadFile(s.files[file])
	if err != nil {
		s.job.Fatal(err)
	}
	return string(text)
}

func (s *step) commands(file string) map[string]string {
	s.job.Helper()
	found, err := fileCommands(s.text(file))
	if err != nil {
		s.job.Errorf("unable to process file command %s: %v", file, err)
	}
	return found
}

// cancel ends the process as a cancelled workflow does: the process alone is told, then it is made to.
func (s *step) cancel() {
	s.job.Helper()
	for _, next := range []struct {
		signal syscall.Signal
		grace  time.Duration
	}{{syscall.SIGINT, 7500 * time.Millisecond}, {syscall.SIGTERM, 2500 * time.Millisecond}, {syscall.SIGKILL, stepTime}} {
		_ = s.cmd.Process.Signal(next.signal) // it may have ended
		select {
		case err := <-s.ended:
			s.ended <- err
			s.end()
			return
		case <-time.After(next.grace):
		}
	}
	s.job.Fatal("not even killed")
}

// waitFor waits until the process has made a condition true.
func (j *job) waitFor(what string, condition func() bool) {
	j.Helper()
	late := time.After(stepTime)
	for !condition() {
		select {
		case <-late:
			j.Fatalf("after %s: %s is not so", stepTime, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// use is one "uses:" of the action.
type use struct {
	job    *job
	dir    string // of the action; empty: these sources
	inputs map[string]string
	state  map[string]string
	within []string // what starts node elsewhere, as docker exec does; empty: nothing
}

func (j *job) use(inputs map[string]string) *use { return &use{job: j, inputs: inputs} }

func (u *use) start(script string) *step {
	u.job.Helper()
	environment := map[string]string{}
	// The runner sets every input of action.yml, those without a value as empty ones.
	for _, name := range inputs(u.job.T) {
		environment["INPUT_"+strings.ToUpper(name)] = u.inputs[name]
	}
	for name, value := range u.state {
		environment["STATE_"+name] = value
	}
	path, err := filepath.Abs(filepath.Join(u.dir, script))
	if err != nil {
		u.job.Fatal(err)
	}
	command := append(slices.Clone(u.within), u.job.node, path)
	return u.job.start(environment, command[0], command[1:]...)
}

func (u *use) main() *step {
	u.job.Helper()
	s := u.start("main.js").end()
	u.state = s.state
	return s
}

func (u *use) post() *step {
	u.job.Helper()
	return u.start("post.js").end()
}

// orphans are the processes that the runner would kill at the end of the job: all that carry its tracking id.
func (j *job) orphans() []int {
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	var found []int
	for _, path := range environments {
		text, err := os.ReadFile(path) // it may have ended meanwhile
		if err == nil && bytes.Contains(text, []byte("RUNNER_TRACKING_ID="+j.tracking)) {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			found = append(found, pid)
		}
	}
	return found
}

// nothingIsLeft wants no process of the job to be there.
func (j *job) nothingIsLeft() {
	j.Helper()
	for _, pid := range j.orphans() {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		j.Errorf("process %d is left: %s", pid, bytes.ReplaceAll(line, []byte{0}, []byte(" ")))
	}
}

// fileCommands reads GITHUB_OUTPUT and its kin by the grammar of the runner's FileCommandManager: name=value, or
// name<<delimiter, lines, delimiter; which of the two is decided by what comes first.
func fileCommands(text string) (map[string]string, error) {
	found := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSuffix(lines[i], "\r")
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case line == "":
		case equals >= 0 && (heredoc < 0 || equals < heredoc):
			if equals == 0 {
				return found, fmt.Errorf("invalid format %q: no name", line)
			}
			found[line[:equals]] = line[equals+1:]
		case heredoc >= 0:
			name, end := line[:heredoc], line[heredoc+2:]
			if name == "" || end == "" {
				return found, fmt.Errorf("invalid format %q: no name or no delimiter", line)
			}
			length := slices.Index(lines[i+1:], end)
			if length < 0 {
				return found, fmt.Errorf("invalid value: the delimiter %q does not come", end)
			}
			found[name] = strings.Join(lines[i+1:i+1+length], "\n")
			i += length + 1
		default:
			return found, fmt.Errorf("invalid format %q", line)
		}
	}
	return found, nil
}

func TestTheSimulatedRunnerReadsFileCommands(t *testing.T) {
	got, err := fileCommands("a=1\n\nb<<END\nx<<y\n=2\nEND\nc=d<<e\n")
	if want := map[string]string{"a": "1", "b": "x<<y\n=2", "c": "d<<e"}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, wrong := range []string{"a", "a<<END\n1\n", "=1", "<<END\nEND"} {
		if got, err := fileCommands(wrong); err == nil {
			t.Errorf("%q: got %v, want an error", wrong, got)
		}
	}
}
