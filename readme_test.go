package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/internal/need"
)

// commands says for every command of the documentation how it is run: as it stands, but with the program just built, and
// with the account of a running `culvert emulator` where the reader has their own. A command that is not here fails.
func commands() map[string]func(*testing.T, *reader) {
	return map[string]func(*testing.T, *reader){
		"go run . demo": staysUntil("curl -x http://", "demo"),
		"make test":     makeKnows("test"), // it is what runs this
		"make check":    makeKnows("check"),
		"make quick":    makeKnows("quick"),
		"make swarm":    makeKnows("swarm"),    // minutes; 200 seeds are part of make test
		"make capacity": makeKnows("capacity"), // a quarter of an hour; its small form is part of make test

		"culvert deploy terraform infra/culvert": writesTheModule,

		"go build -o bin/culvert .": func(t *testing.T, _ *reader) {
			t.Helper()
			build(t, filepath.Join(t.TempDir(), "culvert"))
		},

		"culvert": func(t *testing.T, r *reader) {
			t.Helper()
			d := onDisplay(t, 100, 30, r.culvert+`; echo "left with $?"; exec sleep 600`, r.env...)
			d.sees(`automation .*active`)
			d.keys("q")
			d.sees(`left with 0`)
		},
		"culvert list":       lists("automation  squid"),
		"culvert list hosts": lists("orders-db  ", "hosts"),
		"culvert list hosts -c automation -s squid -o json": lists(`"verdict": "admitted"`, "hosts", "-c", "automation", "-s", "squid", "-o", "json"),
		"culvert list --demo":                               lists("automation  squid", "--demo"),
		"culvert list tasks -c automation -o json":          tasksOfAutomation,

		"culvert --headless -c automation -s squid -L 3128":                staysUntil("ready", "--headless", "-c", "automation", "-s", "squid", "-L", "3128"),
		"culvert --headless -c automation -s squid -L 3128 -o json":        staysUntil(`"event":"ready"`, "--headless", "-c", "automation", "-s", "squid", "-L", "3128", "-o", "json"),
		"curl -x http://127.0.0.1:3128 http://orders.internal/":            curlThroughTunnel,
		"culvert --headless --demo --target automation/squid -L 8080:3128": staysUntil("ready", "--headless", "--demo", "--target", "automation/squid", "-L", "0:3128"),
		"culvert --headless --target automation/squid -L 3128 -L 15432:orders-db.internal:5432 -o json": func(t *testing.T, r *reader) {
			t.Helper()
			p := r.start(t, "--headless", "--target", "automation/squid", "-L", "3128", "-L", "0:orders-db.internal:5432", "-o", "json")
			p.until(t, `"event":"ready","tunnel":1`) // either may be the first, and who stops it before both are is told so
			p.until(t, `"event":"ready","tunnel":2`)
			p.stop(t)
		},

		"culvert --headless -c automation -s squid -L 3128 -- curl -sSf http://orders.internal/": func(t *testing.T, r *reader) {
			t.Helper()
			need.Command(t, "curl")
			r.ends(t, "<h1>Orders</h1>", r.culvert, "--headless", "-c", "automation", "-s", "squid", "-L", "3128", "--", "curl", "-sSf", "http://orders.internal/")
		},
		"culvert --headless -c automation -s squid -D 1080 --via '*.internal' -- curl -sSf http://orders.internal/": func(t *testing.T, r *reader) {
			t.Helper()
			need.Command(t, "curl")
			r.ends(t, "<h1>Orders</h1>", r.culvert, "--headless", "-c", "automation", "-s", "squid", "-D", "0", "--via", "*.internal", "--", "curl", "-sSf", "http://orders.internal/")
		},
		"culvert up --target automation/squid -L 3128": runs("squid", "up", "--target", "automation/squid", "-L", "3128"),
		"culvert status": runs("automation/squid", "status"),
		"culvert down":   runs("default is down", "down"),

		"culvert doctor -c automation -s squid --probe http://orders.internal/": runs("Nothing fails.", "doctor", "-c", "automation", "-s", "squid", "--probe", "http://orders.internal/"),
		"culvert doctor policy -c automation":                                   runs("arn:aws:ecs:eu-west-1:111122223333:task/automation/*", "doctor", "policy", "-c", "automation"),

		"culvert --headless --target shop/mail -D 1080":                 staysUntil("ready", "--headless", "--target", "shop/mail", "-D", "0"),
		"curl -x http://127.0.0.1:1080 http://orders.internal/":         curlToAnyHost("-x", "http://"),
		"curl --socks5-hostname 127.0.0.1:1080 http://orders.internal/": curlToAnyHost("--socks5-hostname", ""),
		"culvert doctor policy -c shop -D":                              runs("document/AWS-StartPortForwardingSessionToRemoteHost", "doctor", "policy", "-c", "shop", "-D"),
		"culvert doctor --target shop/mail -D --probe http://orders.internal/ --probe orders-db.internal:5432": runs("Nothing fails.",
			"doctor", "--target", "shop/mail", "-D", "--probe", "http://orders.internal/", "--probe", "orders-db.internal:5432"),

		"culvert exec -c automation -s squid -- cat /etc/squid/squid.conf": runs("http_port 3128", "exec", "-c", "automation", "-s", "squid", "--", "cat", "/etc/squid/squid.conf"),
		"culvert exec -c automation -s squid": func(t *testing.T, r *reader) {
			t.Helper()
			d := onDisplay(t, 100, 30, r.culvert+` exec -c automation -s squid; echo "left with $?"; exec sleep 600`, r.env...)
			d.sees(`(?m)^#$`)
			d.types("exit")
			d.keys("Enter")
			d.sees(`left with 0`)
		},
		"culvert doctor policy -c automation --exec --container squid": runs(`"ecs:container-name": "squid"`, "doctor", "policy", "-c", "automation", "--exec", "--container", "squid"),

		"culvert --headless --to orders-db -- psql 'host={{.Host}} port={{.Port}} user=shop dbname=orders sslmode=disable' -c 'select 1'": func(t *testing.T, r *reader) {
			t.Helper()
			need.Command(t, "psql")
			const way = "host={{.Host}} port={{.Port}} user=shop dbname=orders sslmode=disable password=demo" // so that nobody is asked for it
			r.ends(t, "(1 row)", r.culvert, "--headless", "--demo", "--to", "orders-db", "--", "psql", way, "-c", "select 1")
		},
		"culvert db orders-db --iam app -- psql -c 'table orders' orders": func(t *testing.T, r *reader) {
			t.Helper()
			need.Command(t, "psql") // the emulator's authority is not AWS's
			r.ends(t, "Mei Tanaka", r.culvert, "db", "orders-db", "--demo", "--iam", "app", "--", "psql", "-c", "table orders", "orders")
		},
		"culvert --headless --demo -c automation -s squid --run -L 0:3128 -- true": runs("", "--headless", "--demo", "-c", "automation", "-s", "squid", "--run", "-L", "0:3128", "--", "true"),
		"culvert doctor policy --demo -c automation --run":                         runs(`"ecs:RunTask"`, "doctor", "policy", "--demo", "-c", "automation", "--run"),

		"culvert emulator": staysUntil("export AWS_ENDPOINT_URL=http://127.0.0.1:", "emulator"),
		"aws ecs list-clusters": func(t *testing.T, r *reader) {
			t.Helper()
			r.ends(t, "cluster/automation", need.Command(t, "aws"), "ecs", "list-clusters")
		},
	}
}

func TestEveryCommandOfTheDocumentationRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and starts it many times: make test")
	}
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, file := range append([]string{"README.md"}, files...) {
		text, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			t.Fatal(err)
		}
		found := shellCommands(string(text))
		if len(found) == 0 && file == "README.md" {
			t.Fatal("README.md has no sh block")
		}
		for _, c := range found {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	r := newReader(t)
	for _, command := range all {
		t.Run(command, func(t *testing.T) {
			run, known := commands()[command]
			if !known {
				t.Fatalf("%q is documented, but nobody says how to run it", command)
			}
			run(t, r)
		})
	}
	for command := range commands() {
		if !slices.Contains(all, command) {
			t.Errorf("%q is run, but no longer documented", command)
		}
	}
}

func TestTheReadmeBeginsWithTheTwoCommands(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := shellCommands(string(text))
	if want := []string{"go run . demo", "make test"}; len(found) < 2 || !slices.Equal(found[:2], want) {
		t.Errorf("got %q first, want %q", found, want)
	}
}

func TestTheSchemaOfEventsIsJSON(t *testing.T) {
	text, err := os.ReadFile("docs/headless.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(text)
	if block == nil || !json.Valid(block[1]) {
		t.Error("the schema in docs/headless.md is missing or no JSON")
	}
}

// shellCommands returns the lines of all sh blocks, continued lines joined, comments left out.
func shellCommands(markdown string) []string {
	var found []string
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(markdown, -1) {
		joined := strings.ReplaceAll(block[1], "\\\n", " ")
		for line := range strings.Lines(joined) {
			line, _, _ = strings.Cut(line, " #")
			if line = strings.Join(strings.Fields(line), " "); line != "" && !strings.HasPrefix(line, "#") {
				found = append(found, line)
			}
		}
	}
	return found
}

// reader is somebody who follows the documentation: with the program built, a home of their own and an AWS account, which
// is a running `culvert emulator`.
type reader struct {
	culvert string
	env     []string
}

func newReader(t *testing.T) *reader {
	t.Helper()
	home := t.TempDir()
	r := &reader{culvert: filepath.Join(t.TempDir(), "culvert")}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "CULVERT_") && !strings.HasPrefix(name, "GITHUB_") &&
			!strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			r.env = append(r.env, v)
		}
	}
	build(t, r.culvert)
	r.env = append(r.env, "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_STATE_HOME="+home, "XDG_RUNTIME_DIR="+home)

	// The account lives as long as the test that asked for it.
	account := r.start(t, "emulator", "-o", "json")
	t.Cleanup(func() { account.stop(t) })
	var variables map[string]string
	if err := json.Unmarshal([]byte(account.until(t, "\n}")), &variables); err != nil {
		t.Fatalf("read what culvert emulator prints: %v", err)
	}
	for name, value := range variables {
		if strings.HasPrefix(name, "AWS_") {
			r.env = append(r.env, name+"="+value)
		}
	}
	return r
}

// build builds the program, with the caches of whoever runs the test.
func build(t *testing.T, to string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need.Command(t, "go"), "build", "-o", to, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build culvert: %v\n%s", err, out)
	}
}

// commandTime bounds what one command of the documentation may take on a busy machine.
const commandTime = 90 * time.Second

// ends runs a command that ends by itself and wants its output to contain something.
func (r *reader) ends(t *testing.T, want, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = r.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	if !strings.Contains(string(out), want) {
		t.Errorf("got %s\nwant %q in it", out, want)
	}
	return string(out)
}

// running is a command that stays.
type running struct {
	cmd   *exec.Cmd
	more  chan struct{} // something was printed
	ended chan error    // how it ended

	mu   sync.Mutex
	said bytes.Buffer
}

// Write takes the output of the command.
func (p *running) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	return p.said.Write(b)
}

func (p *running) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

func (r *reader) start(t *testing.T, args ...string) *running {
	t.Helper()
	p := &running{more: make(chan struct{}, 1), ended: make(chan error, 1)}
	p.cmd = exec.CommandContext(context.Background(), r.culvert, args...)
	p.cmd.Env = r.env
	p.cmd.Stdout, p.cmd.Stderr = p, p
	// A standard input that stays open, as a terminal's does.
	if _, err := p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	return p
}

// until waits until the command has printed something and returns all it printed so far.
func (p *running) until(t *testing.T, want string) string {
	t.Helper()
	late := time.NewTimer(commandTime)
	defer late.Stop()
	for {
		if said := p.output(); strings.Contains(said, want) {
			return said
		}
		select {
		case <-p.more:
		case err := <-p.ended:
			p.ended <- err
			t.Fatalf("got %s\nwant %q in it, but it ended: %v", p.output(), want, err)
		case <-late.C:
			_ = p.cmd.Process.Kill()
			t.Fatalf("got %s\nwant %q in it within %s", p.output(), want, commandTime)
		}
	}
}

// stop tells the command to stop, as ctrl+c does, and wants it to end well.
func (p *running) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Errorf("interrupt: %v", err)
	}
	late := time.AfterFunc(commandTime, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err := <-p.ended; err != nil {
		t.Errorf("after ctrl+c: %v\n%s", err, p.output())
	}
}

// staysUntil starts the program, waits for what it should print, and ends it with ctrl+c.
func staysUntil(want string, args ...string) func(*testing.T, *reader) {
	return func(t *testing.T, r *reader) {
		t.Helper()
		p := r.start(t, args...)
		p.until(t, want)
		p.stop(t)
	}
}

func lists(want string, args ...string) func(*testing.T, *reader) {
	return func(t *testing.T, r *reader) {
		t.Helper()
		r.ends(t, want, r.culvert, append([]string{"list"}, args...)...)
	}
}

// runs is culvert with a command line that ends by itself.
func runs(want string, args ...string) func(*testing.T, *reader) {
	return func(t *testing.T, r *reader) {
		t.Helper()
		r.ends(t, want, r.culvert, args...)
	}
}

func tasksOfAutomation(t *testing.T, r *reader) {
	t.Helper()
	out := r.ends(t, "squid", r.culvert, "list", "tasks", "-c", "automation", "-o", "json")
	var list struct {
		Tasks []struct {
			Cluster string `json:"cluster"`
		} `json:"tasks"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("decode the list: %v", err)
	}
	for _, task := range list.Tasks {
		if task.Cluster != "automation" {
			t.Errorf("got a task of %s, want automation's", task.Cluster)
		}
	}
	if len(list.Tasks) == 0 {
		t.Error("got no tasks")
	}
}

func curlThroughTunnel(t *testing.T, r *reader) {
	t.Helper()
	p := r.start(t, "--headless", "-c", "automation", "-s", "squid", "-L", "0:3128", "-o", "json")
	said := p.until(t, `"proxy_url":"`)
	proxy, _, _ := strings.Cut(said[strings.Index(said, `"proxy_url":"`)+len(`"proxy_url":"`):], `"`)
	r.ends(t, "200", need.Command(t, "curl"), "-sS", "-o", os.DevNull, "-w", "%{http_code}", "-x", proxy, "http://orders.internal/")
	p.stop(t)
}

// curlToAnyHost asks a tunnel to any host for a page, with the flag that names it as a proxy.
func curlToAnyHost(flag, scheme string) func(*testing.T, *reader) {
	return func(t *testing.T, r *reader) {
		t.Helper()
		p := r.start(t, "--headless", "--target", "shop/mail", "-D", "0", "-o", "json")
		said := p.until(t, `"proxy_url":"http://`)
		_, proxy, _ := strings.Cut(said, `"proxy_url":"http://`)
		proxy, _, _ = strings.Cut(proxy, `"`)
		r.ends(t, "<h1>Orders</h1>", need.Command(t, "curl"), "-sSf", flag, scheme+proxy, "http://orders.internal/")
		p.stop(t)
	}
}

func writesTheModule(t *testing.T, r *reader) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "infra", "culvert")
	r.ends(t, "wrote      "+filepath.Join(dir, "variables.tf"), r.culvert, "deploy", "terraform", dir)
}

// makeKnows checks a target of the Makefile without running it.
func makeKnows(target string) func(*testing.T, *reader) {
	return func(t *testing.T, _ *reader) {
		t.Helper()
		text, err := os.ReadFile("Makefile")
		if err != nil {
			t.Fatal(err)
		}
		if rule := fmt.Sprintf("\n%s:", target); !strings.Contains(string(text), rule) {
			t.Errorf("the Makefile has no rule for %s", target)
		}
	}
}
