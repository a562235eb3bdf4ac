//go:build unix

package tunnel_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// The rows in which culvert itself is stopped or killed: they run the real program as a child.

// program builds culvert once for a test.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "culvert")
	build := exec.CommandContext(t.Context(), need.Command(t, "go"), "build", "-buildvcs=false", "-o", path, "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build culvert: %v\n%s", err, out)
	}
	return path
}

// printed is a line of culvert's output.
type printed struct {
	Event   string    `json:"event"`
	State   string    `json:"state"`
	Session string    `json:"session"`
	Local   string    `json:"local"`
	Error   string    `json:"error"`
	Tunnel  tunnel.ID `json:"tunnel"`
}

// child is a running culvert --headless.
type child struct {
	*testing.T
	cmd  *exec.Cmd
	done chan struct{}

	mu     sync.Mutex
	lines  []printed
	errors bytes.Buffer
}

// run starts culvert with forwards to the service of w's account, in a home of its own.
func (w *faultWorld) run(t *testing.T, path, home string, forwards ...string) *child {
	t.Helper()
	args := []string{"--headless", "-o", "json", "-c", "c", "-s", "s", "--wait", "60s", "--lanes", "1"}
	for _, f := range forwards {
		args = append(args, "-L", f)
	}
	c := &child{T: t, cmd: exec.CommandContext(context.Background(), path, args...), done: make(chan struct{})}
	c.cmd.Dir = home
	c.cmd.Env = append(w.account.Env(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_STATE_HOME="+home, "XDG_RUNTIME_DIR="+home)
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stderr = c
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var line printed
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				c.Errorf("culvert prints %q: %v", lines.Text(), err)
			}
			c.mu.Lock()
			c.lines = append(c.lines, line)
			c.mu.Unlock()
		}
		_ = c.cmd.Wait() // join reads the state
	}()
	t.Cleanup(func() {
		c.signal(syscall.SIGCONT)
		c.signal(syscall.SIGKILL)
		<-c.done
		if t.Failed() {
			t.Logf("culvert %s said %+v and %q", strings.Join(args, " "), c.lines, c.errors.String())
		}
	})
	return c
}

// Write takes what culvert writes to stderr.
func (c *child) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.errors.Write(p)
}

func (c *child) signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

// await waits for a line behind the first so many, and returns it and how many there are up to it.
func (c *child) await(what string, behind int, fits func(printed) bool) (line printed, upTo int) {
	c.Helper()
	need.Eventually(c.T, what, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := behind; i < len(c.lines); i++ {
			if fits(c.lines[i]) {
				line, upTo = c.lines[i], i+1
				return true
			}
		}
		return false
	})
	return line, upTo
}

// ready waits for every one of n tunnels to be proved.
func (c *child) ready(n int) {
	c.Helper()
	at := 0
	for range n {
		_, at = c.await("ready", at, func(p printed) bool { return p.Event == "ready" })
	}
}

// local is where a tunnel listens.
func (c *child) local(id tunnel.ID) string {
	c.Helper()
	line, _ := c.await("the listener", 0, func(p printed) bool { return p.Event == "state" && p.Tunnel == id })
	return line.Local
}

func (c *child) sessions() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for _, line := range c.lines {
		if line.Event == "state" && line.State == tunnel.Open.String() {
			ids = append(ids, line.Session)
		}
	}
	return ids
}

// path is the states of a tunnel, without repetitions.
func (c *child) path(id tunnel.ID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, line := range c.lines {
		if line.Event == "state" && line.Tunnel == id && (len(names) == 0 || names[len(names)-1] != line.State) {
			names = append(names, line.State)
		}
	}
	return strings.Join(names, " ")
}

// stop ends culvert as a user does; it must exit with 0 and leave no session.
func (c *child) stop() {
	c.Helper()
	c.signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(patience):
		c.Fatal("culvert does not end on TERM")
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		c.Errorf("culvert exits with %d, want 0", code)
	}
}

func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func trades(t *testing.T, address string) {
	t.Helper()
	for seed, one := range []trade{upload, download, echoed} {
		conn := connect(t, address)
		if err := one(conn, uint8(seed), 100_000); err != nil {
			t.Errorf("through %s: %v", address, err)
		}
		_ = conn.Close()
	}
}

// A row: the machine sleeps for an hour, which a process sees as a jump of the clock: it is stopped (SIGSTOP) here for
// long enough to tell, while the service closes what a service closes in an hour. protocol.md 9, P7.
func TestFaultMachineAsleep(t *testing.T) {
	skipInShort(t)
	t.Parallel()
	const nap = 12 * time.Second // culvert suspects a sleep behind a jump of ten seconds
	path := program(t)
	for name, row := range map[string]struct {
		meanwhile func(*emulator.Emulator)
		states    string
		or        string // what is as right: of two goroutines that wake up either may be the first
		saved     bool
	}{
		"the path is dead, the session lives": {
			meanwhile: func(e *emulator.Emulator) { e.FreezeClientLeg() },
			states:    "starting handshaking open resuming open", saved: true,
		},
		"the hourly close": {
			meanwhile: func(e *emulator.Emulator) { e.CloseClientLeg(1000) },
			states:    "starting handshaking open resuming open", saved: true,
		},
		"the session ran into its idle timeout": {
			meanwhile: func(e *emulator.Emulator) { e.Fault(func(f *emulator.Faults) { f.Idle = 5 * time.Second }) },
			states:    "starting handshaking open asleep reopening open",
			or:        "starting handshaking open resuming asleep reopening open",
		},
		"the session was ended and nobody heard it": {
			meanwhile: func(e *emulator.Emulator) {
				e.FreezeClientLeg()
				for _, one := range e.Sessions() {
					e.KillSession(one.ID, "")
				}
			},
			states: "starting handshaking open resuming reopening open",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFaultWorld(t, tunnel.Options{}, nil)
			c := w.run(t, path, t.TempDir(), fmt.Sprintf("127.0.0.1:0:%d", port))
			c.ready(1)
			address := c.local(1)
			conn := connect(t, address)
			if err := echoed(conn, 1, 10_000); err != nil {
				t.Fatal(err)
			}
			time.Sleep(500 * time.Millisecond) // an acknowledge that the sleep swallows would open another session beside
			c.signal(syscall.SIGSTOP)
			row.meanwhile(w.account)
			time.Sleep(nap)
			c.signal(syscall.SIGCONT)
			woke := time.Now()
			need.Eventually(t, "a change of state", func() bool { return strings.Count(c.path(1), " ") > 2 })
			t.Logf("noticed %s after waking up: %s", time.Since(woke), c.path(1))
			w.account.Fault(func(f *emulator.Faults) { f.Idle = time.Hour })
			if err := echoed(conn, 2, 10_000); (err == nil) != row.saved {
				t.Errorf("the connection from before: %v", err)
			}
			trades(t, address)
			if got := c.path(1); got != row.states && (row.or == "" || got != row.or) {
				t.Errorf("went %q, want %q", got, row.states)
			}
			c.stop()
		})
	}
}

// A row: kill -9 of culvert, in the middle of a transfer. What is left: the sessions, at the service, until its idle
// timeout, and the file of a unix socket. The next start listens on the same port and socket, works, says what was left
// and terminates it. protocol.md 9, P10 (nobody tells the agent) is nothing that a killed process could avoid.
func TestFaultKilled(t *testing.T) {
	skipInShort(t)
	w := newFaultWorld(t, tunnel.Options{}, nil)
	path, home := program(t), t.TempDir()
	socket := filepath.Join(home, "s")
	forwards := []string{fmt.Sprintf("127.0.0.1:0:%d", port), fmt.Sprintf("%s:%d", socket, port)}
	first := w.run(t, path, home, forwards...)
	first.ready(2)
	address := first.local(1)
	conn := connect(t, address)
	cut := make(chan error, 1)
	go func() { cut <- download(conn, 1, 1<<30) }()
	left := first.sessions()
	if len(left) != 2 {
		t.Fatalf("sessions %v, want 2", left)
	}
	need.Eventually(t, "bytes to flow", func() bool { return w.account.Sessions()[0].Down+w.account.Sessions()[1].Down > 1<<20 })
	first.signal(syscall.SIGKILL)
	<-first.done
	if err := ends(t, cut, 5*time.Second); err == nil {
		t.Error("a transfer outlived culvert")
	}
	need.Eventually(t, "the service to see both clients gone", func() bool {
		for _, one := range w.account.Sessions() {
			if one.Client {
				return false
			}
		}
		return len(w.account.Sessions()) == 2
	})
	if _, err := os.Stat(socket); err != nil {
		t.Errorf("the socket's file: %v", err)
	}

	forwards[0] = fmt.Sprintf("%s:%d", address, port)
	second := w.run(t, path, home, forwards...)
	second.ready(2)
	if got := second.local(1); got != address {
		t.Errorf("the next start listens on %s, want %s", got, address)
	}
	trades(t, address)
	trades(t, socket)
	second.mu.Lock()
	said := second.errors.String()
	for _, line := range second.lines {
		said += fmt.Sprintln(line)
	}
	second.mu.Unlock()
	for _, id := range left {
		if !strings.Contains(said, id) {
			t.Errorf("the next start does not say that session %s was left: %q", id, said)
		}
	}
	// What was left is not only named but ended.
	need.Eventually(t, "the sessions that were left to be terminated", func() bool {
		return !slices.ContainsFunc(w.account.Sessions(), func(one emulator.Session) bool { return slices.Contains(left, one.ID) })
	})
	second.stop()
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket's file is left: %v", err)
	}
}
