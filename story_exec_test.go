//go:build linux

package main

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// usersExec is a shell whose user runs a command in a container: it notes how the terminal was set before and after, and
// then reads what is typed itself.
const usersExec = `stty -a >before; sh -c 'echo $$ >pid; exec culvert exec -c automation -s squid'; echo "left with $?"; stty -a >after; read -r word; echo "got $word"; exec sleep 600`

// onAccount is a display with the demo account behind it.
func onAccount(t *testing.T, script string) (*display, *emulator.Emulator) {
	t.Helper()
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	e.Fault(func(f *emulator.Faults) { f.TerminalStart = 0 })
	return onDisplay(t, 100, 30, script, append(e.Env(), "AWS_EC2_METADATA_DISABLED=true")...), e
}

// isLeft checks that the terminal is as it was, that what is typed goes to its shell again, and that no session is left.
func (d *display) isLeft(e *emulator.Emulator, code int) {
	d.t.Helper()
	d.sees(`left with ` + strconv.Itoa(code))
	d.types("next")
	d.keys("Enter")
	d.sees(`(?m)^(# ?)*got next$`)
	settings := func(name string) string { // all but the size, which the stories change
		return regexp.MustCompile(`rows \d+; columns \d+;`).ReplaceAllString(d.file(name), "")
	}
	if before, after := settings("before"), settings("after"); before != after {
		d.t.Errorf("the terminal was set like this before\n%s\nand afterwards\n%s", before, after)
	}
	if got, want := d.ask("#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{keypad_cursor_flag}"), "0 1 0 0"; got != want {
		d.t.Errorf("alternate screen, cursor, mouse, cursor keys: got %s, want %s", got, want)
	}
	need.Eventually(d.t, "no session", func() bool { return len(e.Sessions()) == 0 })
}

// signals sends culvert a signal.
func (d *display) signals(number syscall.Signal) {
	d.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(d.file("pid")))
	if err == nil {
		err = syscall.Kill(pid, number)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func TestStoryOfAShellInAContainer(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]func(*emulator.Faults){"plain": func(*emulator.Faults) {}, "encrypted": func(f *emulator.Faults) { f.KMS = true }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, e := onAccount(t, "read -r _; "+usersExec)
			e.Fault(faults)
			d.keys("Enter")
			d.sees(`(?m)^#$`)
			d.types("stty size")
			d.keys("Enter")
			d.sees(`(?m)^(# ?)*30 100$`)
			d.tell("resize-window", "-x", "87", "-y", "27")
			for late := time.Now().Add(patience); !strings.Contains(d.screen(), "\n27 87\n"); {
				if time.Now().After(late) {
					t.Fatalf("the container does not hear of the new size:\n%s", d.screen())
				}
				d.types("stty size")
				d.keys("Enter")
				time.Sleep(100 * time.Millisecond)
			}
			d.types("echo Grüße '世界'") // the echo has the quotes
			d.keys("Enter")
			d.sees(`(?m)^(# ?)*Grüße 世界$`)
			d.types("sleep 600")
			d.keys("Enter", "C-c")
			d.types("echo code ''$?")
			d.keys("Enter")
			d.sees(`(?m)^(# ?)*code 130$`)
			e.CloseClientLeg(1000) // as the service does every hour
			d.types("echo still ''there")
			d.keys("Enter")
			d.sees(`(?m)^(# ?)*still there$`)
			d.types("erased")
			d.keys("C-u")
			d.keys("C-d")
			d.isLeft(e, 0)
		})
	}
}

// However the session ends, the terminal is what it was: out of the alternate screen, with a cursor, with echo.
func TestStoryOfACommandThatIsCutOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(*display, *emulator.Emulator)
		code int
	}{
		"by a signal": {func(d *display, _ *emulator.Emulator) { d.signals(syscall.SIGTERM) }, 128 + int(syscall.SIGTERM)},
		// Who kills it a second time, because it takes so long, has the terminal all the same.
		"by a signal while the service is slow": {func(d *display, e *emulator.Emulator) {
			e.Fault(func(f *emulator.Faults) {
				f.API = []emulator.APIFault{{Action: "ssm:TerminateSession", Kind: emulator.Throttle}}
			})
			d.signals(syscall.SIGTERM)
			tty := d.ask("#{pane_tty}")
			need.Eventually(d.t, "the terminal", func() bool {
				set, err := exec.Command("stty", "-a", "-F", tty).Output()
				return err == nil && strings.Contains(string(set), " icanon ")
			})
			d.signals(0) // it is still there
			e.Fault(func(f *emulator.Faults) { f.API = nil })
		}, 128 + int(syscall.SIGTERM)},
		"by the service": {func(_ *display, e *emulator.Emulator) {
			e.KillSession(e.Sessions()[0].ID, "Your session timed out due to inactivity.")
		}, 125},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, e := onAccount(t, usersExec)
			d.sees(`(?m)^#$`)
			d.types("printf '\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1h\x1b[31min the midst'") // as an editor does
			d.keys("Enter")
			need.Eventually(t, "the alternate screen", func() bool { return d.ask("#{alternate_on} #{cursor_flag} #{mouse_any_flag}") == "1 0 1" })
			c.end(d, e)
			d.isLeft(e, c.code)
		})
	}
}
