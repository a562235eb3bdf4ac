package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
)

// display is a terminal of tmux's with culvert on it.
type display struct {
	t      *testing.T
	tmux   string
	socket string
	dir    string // of the files that the shell around culvert writes
}

// onDisplay runs a shell script on a terminal of its own; culvert is in its PATH, and env is added to its environment.
func onDisplay(t *testing.T, width, height int, script string, env ...string) *display {
	t.Helper()
	if testing.Short() {
		t.Skip("plays in a real terminal, in real time: make test")
	}
	d := &display{t: t, tmux: need.Command(t, "tmux"), dir: t.TempDir()}
	culvert, err := exec.LookPath("culvert")
	if err != nil {
		t.Fatalf("the tests' own culvert: %v", err)
	}
	// The path of a socket may have no more than about a hundred characters, which t.TempDir may exceed.
	sockets, err := os.MkdirTemp("", "tmux") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	d.socket = filepath.Join(sockets, "s")
	t.Cleanup(func() {
		_ = exec.Command(d.tmux, "-S", d.socket, "kill-server").Run() // may have ended by itself
		_ = os.RemoveAll(sockets)
	})
	temp := filepath.Join(d.dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	start := exec.Command(d.tmux, "-S", d.socket, "-f", os.DevNull, "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "sh", "-c", script)
	start.Dir = d.dir
	start.Env = slices.Concat(env, d.homes(), []string{
		"PATH=" + filepath.Dir(culvert) + string(os.PathListSeparator) + os.Getenv("PATH"), "TMPDIR=" + temp, "LANG=C.UTF-8", "TERM=xterm-256color",
	})
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("start tmux: %v\n%s", err, out)
	}
	return d
}

// homes are where culvert keeps files, as the environment says it.
func (d *display) homes() []string {
	return []string{
		"HOME=" + d.dir, "XDG_CONFIG_HOME=" + filepath.Join(d.dir, "config"), "XDG_STATE_HOME=" + filepath.Join(d.dir, "state"), "XDG_RUNTIME_DIR=" + filepath.Join(d.dir, "run"),
	}
}

// keys are typed, by tmux's names for them.
func (d *display) keys(keys ...string) {
	d.t.Helper()
	d.tell(append([]string{"send-keys"}, keys...)...)
}

// tell gives tmux a command.
func (d *display) tell(words ...string) {
	d.t.Helper()
	if out, err := exec.Command(d.tmux, append([]string{"-S", d.socket}, words...)...).CombinedOutput(); err != nil {
		d.t.Fatalf("tell tmux %q: %v\n%s", words, err, out)
	}
}

// types sends text as it is.
func (d *display) types(text string) {
	d.t.Helper()
	d.keys("-l", text)
}

// screen is what can be read.
func (d *display) screen() string {
	d.t.Helper()
	out, err := exec.Command(d.tmux, "-S", d.socket, "capture-pane", "-p").Output()
	if err != nil {
		d.t.Fatalf("read the screen: %v", err)
	}
	return string(out)
}

// sees waits until the screen shows something, and returns what its group matched.
func (d *display) sees(pattern string) string {
	d.t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		screen := d.screen()
		if found := re.FindStringSubmatch(screen); found != nil {
			return found[len(found)-1]
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("the screen does not show %q:\n%s", pattern, screen)
		}
	}
}

// forwards presses enter in the dialog of a forward until the tunnel is open: where another test took the local port before, the
// dialog proposes the next free one.
func (d *display) forwards() {
	d.t.Helper()
	for range 10 {
		port := d.sees(`local port +(\d+) +free`)
		d.keys("Enter")
		if d.sees(`(● open|! 127\.0\.0\.1:`+port+` is in use)`) == "● open" {
			return
		}
	}
	d.t.Fatalf("somebody else takes every port that is proposed:\n%s", d.screen())
}

// ask asks tmux about its terminal.
func (d *display) ask(format string) string {
	d.t.Helper()
	out, err := exec.Command(d.tmux, "-S", d.socket, "display-message", "-p", format).Output()
	if err != nil {
		d.t.Fatalf("ask tmux for %s: %v", format, err)
	}
	return strings.TrimSpace(string(out))
}

// file is what the shell around culvert has written.
func (d *display) file(name string) string {
	d.t.Helper()
	body, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(body)
}

// The shell that a user comes back to: it notes how the terminal was set before and after, and stays.
const usersShell = `stty -a >before; culvert demo; echo "left with $?"; stty -a >after; echo done; exec sleep 600`

// A newcomer's first minute: find the proxy in the demo, forward to it, use it, see it, leave.
func TestStoryOfTheDemoOnATerminal(t *testing.T) {
	t.Parallel()
	curl := need.Command(t, "curl")
	d := onDisplay(t, 110, 34, usersShell)
	d.sees(`automation .*active`)
	d.keys("/")
	d.types("auto")
	d.sees(`clusters 1 of 3`)
	d.keys("Enter", "Enter")
	d.sees(`automation › services`)
	d.keys("/")
	d.types("sqd")
	d.sees(`services 1 of 3`)
	d.keys("Enter", "F")
	d.sees(`forward automation/squid`)
	d.sees(`local port +\d+ +free`)
	d.forwards()
	port := d.sees(`127\.0\.0\.1:(\d+) .*● open`)

	// The demo's own visitors never use CONNECT for this host, so that the line can be nobody else's.
	out, err := exec.Command(curl, "-sS", "--fail", "--proxytunnel", "-x", "http://127.0.0.1:"+port, "http://orders.internal/export?bytes=321000").Output()
	if err != nil || len(out) != 321000 {
		t.Fatalf("curl through the tunnel: got %d bytes and error %v, want 321,000 bytes", len(out), err)
	}
	d.keys("Enter")
	d.sees(`orders\.internal:80 +32\d kB`)
	d.keys("Escape")
	d.sees(`services 1 of 3`)
	d.keys("t", "x")
	if d.sees(`(closed|esc stay)`) == "esc stay" { // the demo's visitors may be in the tunnel just now
		d.keys("Enter")
	}
	d.sees(`127\.0\.0\.1:` + port + ` .*closed`)
	d.keys("q")
	d.sees(`left with 0`)
	d.sees(`(?m)^done$`)

	if before, after := d.file("before"), d.file("after"); before != after {
		t.Errorf("the terminal was set like this before\n%s\nand afterwards\n%s", before, after)
	}
	if got, want := d.ask("#{alternate_on} #{cursor_flag} #{mouse_any_flag}"), "0 1 0"; got != want {
		t.Errorf("alternate screen, cursor, mouse: got %s, want %s", got, want)
	}
	left, err := filepath.Glob(filepath.Join(d.dir, "tmp", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("got %q left in the temporary directory (%v), want nothing", left, err)
	}
	// The listener ends with its process. Its port says nothing: another test may have it by now.
	if processes := d.ask("#{pane_current_command}"); processes != "sleep" {
		t.Errorf("got %s on the terminal, want only the shell's sleep", processes)
	}
}

// Ctrl+z hands the terminal back, fg takes it again, ctrl+c ends it.
func TestStoryOfSuspending(t *testing.T) {
	t.Parallel()
	d := onDisplay(t, 80, 24, `set -m; culvert demo; echo suspended; read -r _; fg; echo "left with $?"; exec sleep 600`)
	d.sees(`automation .*active`)
	d.keys("C-z")
	d.sees(`(?m)^suspended$`)
	if got := d.ask("#{alternate_on}"); got != "0" {
		t.Errorf("while culvert is suspended the alternate screen is on")
	}
	d.keys("Enter")
	d.sees(`automation .*active`)
	d.keys("Enter")
	d.sees(`automation › services`)
	d.keys("C-c")
	d.sees(`left with 0`)
}
