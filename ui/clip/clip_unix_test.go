//go:build unix

package clip

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/internal/need"
)

// programs makes a directory of scripts the only one in PATH, beside the shell's own.
func programs(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"cat", "sleep", "head"} {
		if err := os.Symlink(need.Command(t, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv("DIR", dir)
	return dir
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const keeps = `printf '%s ' "$@" >"$DIR/args"; cat >"$DIR/text"`

// Which clipboards there are says the environment, and the first program that works for the desktop's is enough.
func TestTheProgramsOfASystem(t *testing.T) {
	for _, c := range []struct {
		name, goos string
		env        []string
		programs   []string
		took       string // what is known to have the text
		args       string
	}{
		{"macOS", "darwin", nil, []string{"pbcopy", "xclip"}, "the clipboard (pbcopy)", " "},
		{"Windows", "windows", nil, []string{"clip.exe"}, "the clipboard (clip.exe)", " "},
		{"WSL", "linux", []string{"WSL_DISTRO_NAME=Debian", "WAYLAND_DISPLAY=wayland-0"}, []string{"clip.exe", "wl-copy"}, "the clipboard (clip.exe)", " "},
		{"Wayland", "linux", []string{"WAYLAND_DISPLAY=wayland-0", "DISPLAY=:0"}, []string{"wl-copy", "xclip"}, "the clipboard (wl-copy)", "--type text/plain "},
		{"Wayland without its program", "linux", []string{"WAYLAND_DISPLAY=wayland-0", "DISPLAY=:0"}, []string{"xclip"}, "the clipboard (xclip)", "-selection clipboard -in "},
		{"X11", "freebsd", []string{"DISPLAY=:0"}, []string{"xsel", "wl-copy"}, "the clipboard (xsel)", "--clipboard --input "},
		{"a console", "linux", nil, []string{"xclip", "wl-copy", "pbcopy", "clip.exe", "tmux"}, "", ""},
		{"over SSH", "linux", []string{"DISPLAY=localhost:10.0", "SSH_CONNECTION=192.0.2.1 5 192.0.2.2 22"}, []string{"xclip"}, "", ""},
		{"a terminal of SSH", "darwin", []string{"SSH_TTY=/dev/ttys001"}, []string{"pbcopy"}, "", ""},
		{"tmux", "linux", []string{"TMUX=/tmp/tmux-0/default,1,0"}, []string{"tmux"}, "tmux's buffer", "load-buffer -w - "},
		{"tmux over SSH", "linux", []string{"TMUX=/tmp/x,1,0", "SSH_TTY=/dev/pts/1", "DISPLAY=:0"}, []string{"tmux", "xclip"}, "tmux's buffer", "load-buffer -w - "},
	} {
		t.Run(c.name, func(t *testing.T) {
			scripts := map[string]string{}
			for _, p := range c.programs {
				scripts[p] = keeps
			}
			dir := programs(t, scripts)
			const text = "export HTTP_PROXY=http://127.0.0.1:3128\n'$(touch x)' é🌸"
			o := Find(c.goos, of(c.env...)).Copy(t.Context(), text)
			if got := strings.Join(o.Took, ", "); got != c.took {
				t.Fatalf("got it in %q, want in %q (%v)", got, c.took, o.Err)
			}
			if o.Certain() != (c.took != "") {
				t.Errorf("got certain %t of %q", o.Certain(), o.Took)
			}
			if o.Terminal == "" {
				t.Error("the terminal is sent nothing")
			}
			if c.took == "" {
				if o.Err != nil || o.Where() != "the terminal (OSC 52)" {
					t.Errorf("got it in %q, and %v", o.Where(), o.Err)
				}
				if _, err := os.Stat(filepath.Join(dir, "text")); err == nil {
					t.Error("a program was given the text")
				}
				return
			}
			if o.Err != nil || o.Where() != c.took {
				t.Errorf("got it in %q, and %v", o.Where(), o.Err)
			}
			want := text
			if slices.Contains(c.programs, "clip.exe") {
				want = inUTF16(text)
			}
			if got := content(t, dir, "text"); got != want {
				t.Errorf("the program got %q, want %q", got, want)
			}
			if got := content(t, dir, "args"); got != c.args {
				t.Errorf("the program was called with %q, want %q: the text is no argument", got, c.args)
			}
		})
	}
}

func TestDesktopAndTmuxHaveIt(t *testing.T) {
	programs(t, map[string]string{"xclip": keeps, "tmux": keeps})
	o := Find("linux", of("DISPLAY=:0", "TMUX=/tmp/x,1,0")).Copy(t.Context(), "x")
	if got, want := o.Where(), "the clipboard (xclip) and tmux's buffer"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a program says about a text is no reason to believe that it was copied: only its end is.
func TestAProgramThatFailsIsNotBelieved(t *testing.T) {
	programs(t, map[string]string{"wl-copy": "cat >/dev/null; exit 1", "xsel": "cat >/dev/null; exit 3"})
	o := Find("linux", of("WAYLAND_DISPLAY=w", "DISPLAY=:0")).Copy(t.Context(), "x")
	if o.Certain() {
		t.Errorf("got it in %q, want nowhere", o.Took)
	}
	for _, want := range []string{"wl-copy: exit status 1", "xclip: not found in PATH", "xsel: exit status 3"} {
		if o.Err == nil || !strings.Contains(o.Err.Error(), want) {
			t.Errorf("got %v, want %q in it", o.Err, want)
		}
	}
}

// xclip leaves a process behind that has its standard output and error: whoever waits for their end waits until something
// else is copied.
func TestAProcessThatStaysIsNotWaitedFor(t *testing.T) {
	dir := programs(t, map[string]string{"xclip": `cat >"$DIR/text"; sleep 600 & echo $! >"$DIR/pid"`})
	began := time.Now()
	o := Find("linux", of("DISPLAY=:0")).Copy(t.Context(), "x")
	if took := time.Since(began); took >= within || !o.Certain() {
		t.Errorf("got it in %q after %s (%v)", o.Where(), took, o.Err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(content(t, dir, "pid")))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the process that holds the text is gone: %v", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

// A program that hangs costs two seconds, and is ended with what it has started.
func TestAProgramThatHangsIsEnded(t *testing.T) {
	dir := programs(t, map[string]string{"pbcopy": `sleep 600 & echo $! >"$DIR/pid"; wait`})
	began := time.Now()
	o := Find("darwin", of()).Copy(t.Context(), strings.Repeat("longer than a pipe ", 10_000))
	if took := time.Since(began); took < within || took > 2*within {
		t.Errorf("it took %s, want %s", took, within)
	}
	if o.Certain() || o.Err == nil || !strings.Contains(o.Err.Error(), "pbcopy: did not end within 2s") {
		t.Errorf("got it in %q, and %v", o.Where(), o.Err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(content(t, dir, "pid")))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); runs(t, pid); {
		if time.Now().After(end) {
			t.Fatalf("process %d is left", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// runs tells whether a process is there and no mere entry that its parent has yet to read.
func runs(t *testing.T, pid int) bool {
	t.Helper()
	if stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat")); err == nil {
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z")
	}
	return syscall.Kill(pid, 0) == nil && runtime.GOOS != "linux"
}

func TestTheEndOfTheRunEndsAProgram(t *testing.T) {
	programs(t, map[string]string{"pbcopy": `sleep 600`})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if o := Find("darwin", of()).Copy(ctx, "x"); o.Certain() || time.Since(began) >= within {
		t.Errorf("got it in %q after %s", o.Where(), time.Since(began))
	}
}

// A program of the directory that somebody happens to be in is not run.
func TestAProgramOfTheWorkingDirectoryIsNotRun(t *testing.T) {
	dir := programs(t, map[string]string{"xclip": keeps})
	t.Chdir(dir)
	for _, path := range []string{".", ""} {
		t.Setenv("PATH", path)
		if o := Find("linux", of("DISPLAY=:0")).Copy(t.Context(), "secret"); o.Certain() {
			t.Errorf("with PATH=%q: %s", path, o.Where())
		}
	}
}

// tmux before 3.2 knows no -w.
func TestAnOldTmuxHasItInItsBuffer(t *testing.T) {
	dir := programs(t, map[string]string{"tmux": `[ "$2" = - ] || { echo "unknown option" >&2; exit 1; }; cat >"$DIR/text"`})
	o := Find("linux", of("TMUX=/tmp/x,1,0")).Copy(t.Context(), "text")
	if got := content(t, dir, "text"); got != "text" || o.Where() != "tmux's buffer" {
		t.Errorf("got %q in %q", got, o.Where())
	}
}

// A real tmux as it is set by default, with text that is no good as an argument or for a shell.
func TestTmuxsBufferHasTheText(t *testing.T) {
	tmux := need.Command(t, "tmux")
	dir, err := os.MkdirTemp("", "clip") //nolint:usetesting // the path of a socket may have no more than about a hundred characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	ask := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(tmux, append([]string{"-S", socket, "-f", os.DevNull}, args...)...).Output()
		if err != nil {
			t.Fatalf("tmux %q: %v", args, err)
		}
		return string(out)
	}
	ask("new-session", "-d", "sleep 600")
	t.Cleanup(func() { _ = exec.Command(tmux, "-S", socket, "kill-server").Run() })
	if got := strings.TrimSpace(ask("show-options", "-sv", "set-clipboard")); got != "external" {
		t.Errorf("set-clipboard is %q by default, want external", got)
	}
	t.Setenv("TMUX", socket+",1,0")
	const text = "-w 'a' $HOME `id`\nsecond line, ünïcode, and no line's end"
	o := Find("linux", os.Getenv).Copy(t.Context(), text)
	if !slices.Contains(o.Took, "tmux's buffer") {
		t.Errorf("got it in %q, and %v", o.Where(), o.Err)
	}
	if got := ask("show-buffer"); got != text {
		t.Errorf("tmux has %q, want %q", got, text)
	}

	_ = exec.Command(tmux, "-S", socket, "kill-server").Run()
	if o := Find("linux", os.Getenv).Copy(t.Context(), text); slices.Contains(o.Took, "tmux's buffer") || !strings.Contains(o.Err.Error(), "tmux: exit status 1") {
		t.Errorf("with no tmux there: got it in %q, and %v", o.Where(), o.Err)
	}
}
