package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/ui/control"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"culvert": main})
}

// TestStories runs the scripts of testdata against the real main. Beside testscript's own commands they have those of
// the table below.
func TestStories(t *testing.T) {
	t.Parallel()
	testscript.Run(t, stories("testdata"))
}

// stories are the scripts of a directory.
func stories(dir string) testscript.Params {
	p := testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               quiet,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"account":    account,
			"containers": containers,
			"job":        job,
			"caller":     callerOf,
			"role":       roleOf,
			"fault":      fault,
			"sessions":   sessions,
			"exits":      exits,
			"complains":  complains,
			"spawn":      spawn,
			"await":      await,
			"signal":     signalTo,
			"join":       join,
			"jsonlines":  jsonlines,
			"documented": documented,
			"exports":    exports,
			"occupy":     occupy,
			"closes":     closes,
			"github":     onGitHub,
			"runner":     runner,
			"masks":      masks,
			"gone":       gone,
			"terminal":   terminal,
			"typed":      typed,
			"profile":    profiled,
			"in":         inAccount,
		},
	}
	maps.Copy(p.Cmds, sights())
	maps.Copy(p.Cmds, onDemand())
	return p
}

// patience is how long a story waits for something that should come at once.
const patience = time.Minute

// story is what the commands of one script share.
type story struct {
	account *emulator.Emulator

	accounts map[string]*emulator.Emulator // by profile
	spawned  map[string]*spawned
	masters  map[string]*os.File // of terminals, by the program's name
	callers  int                 // with policies of their own
	servers  map[string]net.Listener
	conns    map[string]net.Conn
}

type storyKey struct{}

func storyOf(ts *testscript.TestScript) *story {
	s, ok := ts.Value(storyKey{}).(*story)
	if !ok {
		ts.Fatalf("the script has no story")
	}
	return s
}

// quiet keeps the machine's own AWS settings out of the stories.
func quiet(env *testscript.Env) error {
	env.Values[storyKey{}] = &story{
		spawned: map[string]*spawned{}, masters: map[string]*os.File{}, servers: map[string]net.Listener{}, conns: map[string]net.Conn{},
	}
	home := filepath.Join(env.WorkDir, "home")
	env.Setenv("HOME", home)
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"} {
		env.Setenv(name, filepath.Join(home, strings.ToLower(name)))
	}
	env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	free, err := need.FreeAddrPort()
	if err != nil {
		return err
	}
	env.Setenv("FREE", strconv.Itoa(int(free.Port()))) // a local port for whoever looks whether it is closed again: others use that of the remote end
	env.Defer(func() { endSets(env) })
	return os.Mkdir(home, 0o700)
}

// endSets ends what a story has left up.
func endSets(env *testscript.Env) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dir := control.Dir{Runtime: filepath.Join(env.Getenv("XDG_RUNTIME_DIR"), "culvert"), State: env.Getenv("XDG_STATE_HOME")}
	names, _ := dir.Names()
	for _, name := range names {
		_, _ = dir.Down(ctx, name)
	}
}

// account starts the demo account in the test's process and points the story's environment at it; $CA is the
// certificate of its private authority. A distrustful one lets no bearer of an OIDC token assume a role, in a careless one a task
// definition's environment has passwords. Its proxy has a relay where that is asked for alone.
//
//	account [distrustful|careless|relay]
func account(ts *testscript.TestScript, _ bool, args []string) {
	o := emulator.Options{Fleet: emulator.Unbonded()}
	switch {
	case len(args) == 0:
	case args[0] == "relay":
		o.Fleet = emulator.Demo()
	case args[0] == "careless":
		squid := &o.Fleet.Clusters[0].Services[0].Task.Containers[0]
		squid.Environment = append(squid.Environment, "DATABASE_URL=postgres://shop:hunter2@orders-db.internal:5432/orders?sslpassword=hunter2",
			"LEDGER_JDBC=jdbc:postgresql://ledger.internal:5432/books?user=shop&password=hunter2", "NAMED_URL=http://hunter2@named.internal/hunter2")
	default:
		o.Trust = func(string, emulator.Claims) error { return errors.New("nobody is trusted") }
	}
	e, err := emulator.Start(o)
	ts.Check(err)
	ts.Defer(e.Close)
	storyOf(ts).account = e
	for _, v := range e.Env() {
		name, value, _ := strings.Cut(v, "=")
		ts.Setenv(name, value)
	}
	ca := ts.MkAbs("ca.pem")
	ts.Check(os.WriteFile(ca, e.CACertificate(), 0o600))
	ts.Setenv("CA", ca)
}

// fault changes the account while the story goes on.
//
//	fault deny ACTION | throttle ACTION | heal | expire | renew | nothing-listens PORT | close-clients | short-keys | start-agent SERVICE |
//	stop-agent SERVICE | own-document NAME | tell-exit | encrypt | print-at-once | kill-sessions | scale SERVICE NUMBER
func fault(ts *testscript.TestScript, _ bool, args []string) {
	e := storyOf(ts).account
	switch args[0] {
	case "deny":
		e.Fault(func(f *emulator.Faults) {
			f.API = append(f.API, emulator.APIFault{Action: args[1], Kind: emulator.Deny})
		})
	case "throttle":
		e.Fault(func(f *emulator.Faults) {
			f.API = append(f.API, emulator.APIFault{Action: args[1], Kind: emulator.Throttle})
		})
	case "heal":
		e.Fault(func(f *emulator.Faults) { f.API = nil })
	case "expire":
		key, _ := e.Credentials()
		e.ExpireCredentials(key)
	case "renew":
		renew(e)
	case "nothing-listens":
		port, err := strconv.ParseUint(args[1], 10, 16)
		ts.Check(err)
		for _, id := range e.Tasks("automation", "squid") {
			ts.Check(e.MapPort(id, uint16(port), ""))
		}
	case "close-clients": // as the service does every hour
		e.CloseClientLeg(1000)
	case "kill-sessions":
		for _, s := range e.Sessions() {
			e.KillSession(s.ID, "ended by the test")
		}
	case "scale":
		desired, err := strconv.Atoi(args[2])
		ts.Check(err)
		ts.Check(e.Scale("automation", args[1], desired))
	case "short-keys": // a role's are renewed for each call
		e.Fault(func(f *emulator.Faults) { f.RoleLife = time.Minute })
	case "tell-exit":
		e.Fault(func(f *emulator.Faults) { f.TellExit = true })
	case "print-at-once":
		e.Fault(func(f *emulator.Faults) { f.TerminalStart = 0 })
	case "own-document":
		e.Fault(func(f *emulator.Faults) { f.OwnDocuments = []string{args[1]} })
	case "encrypt":
		e.Fault(func(f *emulator.Faults) { f.KMS = true })
	case "stop-agent":
		for _, id := range e.Tasks("automation", args[1]) {
			ts.Check(e.SetAgent(id, "STOPPED", "it crashed"))
		}
	case "start-agent":
		for _, id := range e.Tasks("automation", args[1]) {
			ts.Check(e.SetAgent(id, "RUNNING", ""))
		}
	default:
		ts.Fatalf("unknown fault %q", args[0])
	}
}

// sessions waits until the account has that many open sessions.
func sessions(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	eventually(ts, func() error {
		if got := len(storyOf(ts).account.Sessions()); got != want {
			return fmt.Errorf("got %d open sessions, want %d", got, want)
		}
		return nil
	})
}

// eventually waits until a condition holds.
func eventually(ts *testscript.TestScript, condition func() error) {
	late := time.After(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-late:
			ts.Fatalf("after %s: %v", patience, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// exits runs a program that must end with the given code.
//
//	exits CODE PROGRAM [ARGUMENT...]
func exits(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		code = codeOf(exit.ProcessState)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("%s exits with %d, want %s", strings.Join(args[1:], " "), code, want)
	}
}

// codeOf is the exit code as a shell shows it.
func codeOf(p *os.ProcessState) int {
	if status, ok := p.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.ExitCode()
}

// complains looks at the last two lines of stderr, or of a file: the cause and the remedy.
//
//	complains [FILE] CAUSE REMEDY
func complains(ts *testscript.TestScript, _ bool, args []string) {
	file := "stderr"
	if len(args) == 3 {
		file, args = args[0], args[1:]
	}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile(file), "\n"), "\n")
	if len(lines) < 2 {
		ts.Fatalf("got %d lines, want a cause and a remedy at the end: %q", len(lines), lines)
	}
	for i, want := range []string{"^culvert: .*" + args[0], "^remedy: .*" + args[1]} {
		if got := lines[len(lines)-2+i]; !regexp.MustCompile(want).MatchString(got) {
			ts.Fatalf("got %q, want a match of %q", got, want)
		}
	}
}

// spawned is a program in the background.
type spawned struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// spawn starts a program in the background, without a terminal and with stdin closed; its output goes to the files
// NAME.out and NAME.err, and NAME_PID is its number.
//
//	spawn NAME PROGRAM [ARGUMENT...]
func spawn(ts *testscript.TestScript, _ bool, args []string) {
	cmd := programOf(ts, args[1:])
	stdout, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	stderr, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	follow(ts, args[0], cmd)
	ts.Check(errors.Join(stdout.Close(), stderr.Close())) // the child has them
}

// programOf is a program in the story's environment and directory.
func programOf(ts *testscript.TestScript, args []string) *exec.Cmd {
	ts.Check(ts.Exec("env", "-0")) // the story's environment, as a program sees it
	environment := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\x00"), "\x00")
	path := args[0]
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, path)); err == nil {
			path = filepath.Join(dir, path)
			break
		}
	}
	cmd := exec.CommandContext(context.Background(), path, args[1:]...)
	cmd.Env, cmd.Dir = environment, ts.MkAbs(".")
	return cmd
}

// follow starts a program under a name; the end of the story ends it.
func follow(ts *testscript.TestScript, name string, cmd *exec.Cmd) {
	ts.Check(cmd.Start())
	ts.Setenv(name+"_PID", strconv.Itoa(cmd.Process.Pid))
	s := &spawned{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_ = cmd.Wait() // join reads the state
	}()
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		<-s.done
		showOutput(ts, name)
	})
	storyOf(ts).spawned[name] = s
}

// showOutput puts what a program in the background printed into the log.
func showOutput(ts *testscript.TestScript, name string) {
	for _, suffix := range []string{".out", ".err"} {
		if body, err := os.ReadFile(ts.MkAbs(name + suffix)); err == nil && len(body) > 0 {
			ts.Logf("[%s%s]\n%s", name, suffix, body)
		}
	}
}

// await waits until a line of a file matches, and keeps the first group in a variable.
//
//	await FILE REGEXP [VARIABLE]
func await(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[1])
	eventually(ts, func() error {
		body, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil {
			return err
		}
		match := want.FindSubmatch(body)
		switch {
		case match == nil:
			return fmt.Errorf("%s: no match of %q in %q", args[0], args[1], body)
		case len(args) > 2:
			ts.Setenv(args[2], string(match[1]))
		}
		return nil
	})
}

// signalTo sends a signal to a program in the background.
//
//	signal NAME INT|TERM|HUP|KILL
func signalTo(ts *testscript.TestScript, _ bool, args []string) {
	number, ok := map[string]os.Signal{
		"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL,
	}[args[1]]
	if !ok {
		ts.Fatalf("unknown signal %q", args[1])
	}
	ts.Check(storyOf(ts).spawned[args[0]].cmd.Process.Signal(number))
}

// join waits for a program in the background, which must end with the given code.
//
//	join NAME CODE
func join(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts).spawned[args[0]]
	select {
	case <-s.done:
	case <-time.After(patience):
		ts.Fatalf("%s still runs after %s", args[0], patience)
	}
	if got := codeOf(s.cmd.ProcessState); strconv.Itoa(got) != args[1] {
		ts.Fatalf("%s exits with %d, want %s", args[0], got, args[1])
	}
}

// jsonlines checks a file of events line by line against the documented output.
//
//	jsonlines FILE [EVENT...]   the events that must be among them
func jsonlines(ts *testscript.TestScript, _ bool, args []string) {
	needed := map[string][]string{
		"state":      {"state", "cluster", "local", "remote"},
		"ready":      {"local", "took_ms"},
		"connection": {"id", "protocol", "sent", "received", "took_ms"},
		"traffic":    {"sent", "received", "connections"},
		"closed":     {"reason"},
	}
	states := []string{"starting", "handshaking", "open", "resuming", "reopening", "asleep", "closed", "failed"}
	seen := map[string]bool{}
	lines := bufio.NewScanner(strings.NewReader(ts.ReadFile(args[0])))
	for lines.Scan() {
		var e map[string]any
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			ts.Fatalf("line %q: %v", lines.Text(), err)
		}
		kind, _ := e["event"].(string)
		fields, known := needed[kind]
		if !known {
			ts.Fatalf("line %q: event %q is not documented", lines.Text(), kind)
		}
		for _, field := range append(fields, "time", "tunnel") {
			if _, there := e[field]; !there {
				ts.Fatalf("line %q: no %s", lines.Text(), field)
			}
		}
		at, _ := e["time"].(string)
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", at); err != nil {
			ts.Fatalf("line %q: %v", lines.Text(), err)
		}
		if state, _ := e["state"].(string); kind == "state" && !slices.Contains(states, state) {
			ts.Fatalf("line %q: state %q is not documented", lines.Text(), state)
		}
		seen[kind] = true
	}
	for _, event := range args[1:] {
		if !seen[event] {
			ts.Fatalf("%s has no event %q", args[0], event)
		}
	}
}

// exports sets the variables that a file of shell exports names.
func exports(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if set, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			name, value, _ := strings.Cut(set, "=")
			ts.Setenv(name, strings.Trim(value, "'"))
		}
	}
}

// occupy listens on a free port of 127.0.0.1 until the story ends, and keeps its number in a variable.
func occupy(ts *testscript.TestScript, _ bool, args []string) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// closes waits until nothing listens on an address any more.
func closes(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, func() error {
		conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", args[0])
		if err != nil {
			return nil //nolint:nilerr // refused, as it should be
		}
		return errors.Join(fmt.Errorf("%s still accepts connections", args[0]), conn.Close())
	})
}

// gone waits until a process has ended.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	p, alive := control.Of(pid)
	eventually(ts, func() error {
		if alive && p.Alive() {
			return fmt.Errorf("process %d still runs", pid)
		}
		return nil
	})
}
