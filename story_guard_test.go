//go:build unix

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// culvert on a terminal is two processes: the interface, and the one that puts the terminal right after it. With this
// variable the interface of the tests panics in a goroutine that nobody guards, when the named file appears.
const panicsWith = "CULVERT_TEST_PANIC"

func init() { //nolint:gochecknoinits // before main, which testscript calls
	file := os.Getenv(panicsWith)
	if file == "" || os.Getenv("CULVERT_GUARDED") == "" {
		return
	}
	go func() {
		for {
			if _, err := os.Stat(file); err == nil {
				panic("a pipe burst")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
}

// abused is a shell that notes how the terminal was set before and after, and the exit code of culvert.
const abused = `stty -a >before; culvert demo; echo "left with $?"; stty -a >after; echo done; exec sleep 600`

// sane wants the terminal to be what it was before culvert.
func (d *display) sane() {
	d.t.Helper()
	d.sees(`(?m)^done$`)
	if before, after := d.file("before"), d.file("after"); before != after {
		d.t.Errorf("the terminal was set like this before\n%s\nand afterwards\n%s", before, after)
	}
	if got, want := d.ask("#{alternate_on} #{cursor_flag} #{mouse_any_flag}"), "0 1 0"; got != want {
		d.t.Errorf("alternate screen, cursor, mouse: got %s, want %s", got, want)
	}
}

// children are the processes that a process has started.
func children(t *testing.T, of string) []string {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,comm=").Output()
	if err != nil {
		t.Fatalf("list processes: %v", err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == of && strings.HasPrefix(f[2], "culvert") {
			found = append(found, f[0])
		}
	}
	return found
}

// onlyChild is the culvert that a process has started.
func onlyChild(t *testing.T, of string) string {
	t.Helper()
	found := children(t, of)
	if len(found) != 1 {
		t.Fatalf("process %s has started culverts %q, want one", of, found)
	}
	return found[0]
}

// alive reports whether a process runs; one that nobody has buried yet does not.
func alive(t *testing.T, pid string) bool {
	t.Helper()
	out, _ := exec.Command("ps", "-o", "stat=", "-p", pid).Output() // an error for none
	stat := strings.TrimSpace(string(out))
	return stat != "" && !strings.HasPrefix(stat, "Z")
}

// A panic in any goroutine is told on the user's own screen, with the terminal as it was.
func TestStoryOfAPanicInAGoroutine(t *testing.T) {
	t.Parallel()
	d := onDisplay(t, 110, 34, abused, panicsWith+"=burst")
	d.sees(`automation .*active`)
	if err := os.WriteFile(d.dir+"/burst", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.sees(`left with 125`)
	d.sane()
	screen := d.screen()
	for _, want := range []string{"panic: a pipe burst", "goroutine ", "story_guard_test.go", "culvert: culvert made an error and had to stop: a pipe burst", "remedy: report the lines above"} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q on the screen that is left:\n%s", want, screen)
		}
	}
}

// What kills either of the two leaves no terminal astray, and nothing behind.
func TestStoryOfAKill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, signal string
		screen       bool // not the guard
		sees         string
	}{
		{"the interface", "KILL", true, `left with 137`},
		{"the guard", "KILL", false, ``}, // the shell is back at once, and speaks on the screen that the interface takes away
		{"politely", "TERM", false, `left with 143`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// A guard that is killed lets the shell speak while the interface restores the terminal: a line that the shell ends
			// then is not followed by the start of the next one.
			d := onDisplay(t, 110, 34, strings.Replace(abused, "stty -a >after", "until [ -e gone ]; do sleep 0.1; done; echo; stty -a >after", 1))
			d.sees(`automation .*active`)
			guard := onlyChild(t, d.ask("#{pane_pid}"))
			screen := onlyChild(t, guard)
			victim := guard
			if c.screen {
				victim = screen
			}
			if out, err := exec.Command("kill", "-"+c.signal, victim).CombinedOutput(); err != nil {
				t.Fatalf("kill: %v\n%s", err, out)
			}
			d.sees(c.sees)
			for end := time.Now().Add(patience); alive(t, guard) || alive(t, screen); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("one of %s and %s is still there", guard, screen)
				}
			}
			if err := os.WriteFile(d.dir+"/gone", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			d.sane()
		})
	}
}
