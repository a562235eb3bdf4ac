package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// In a tmux as it is set by default, what a program sends to its terminal's clipboard goes nowhere: set-clipboard is
// external. y puts the text into tmux's buffer, says so, and shows it.
func TestStoryOfCopyingInTmux(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			d := onDisplay(t, size[0], size[1], `unset DISPLAY WAYLAND_DISPLAY; culvert demo; echo "left with $?"; exec sleep 600`)
			buffer := func() string {
				t.Helper()
				out, err := exec.Command(d.tmux, "-S", d.socket, "show-buffer").Output()
				if err != nil {
					t.Fatalf("tmux has nothing in its buffer: %v", err)
				}
				return string(out)
			}
			if got, err := exec.Command(d.tmux, "-S", d.socket, "show-options", "-sv", "set-clipboard").Output(); err != nil || string(got) != "external\n" {
				t.Errorf("set-clipboard is %q by default (%v), want external", got, err)
			}
			d.sees(`automation .*active`)
			d.keys("Enter")
			d.sees(`▌batch`)
			d.keys("G")
			d.sees(`▌squid`)
			d.keys("y")
			d.sees(`copied to tmux's buffer: automation/squid`)
			if got := buffer(); got != "automation/squid" {
				t.Errorf("tmux has %q, want the target", got)
			}

			d.keys("F")
			d.sees(`local port +\d+ +free`)
			d.forwards()
			port := d.sees(`127\.0\.0\.1:(\d+) .*● open`)
			d.keys("t")
			// The demo's far end says that it is a proxy a moment after the tunnel is open: until then there is its address alone.
			for d.keys("y"); d.sees(`(1  exports|copied to tmux's buffer: 127)`) != "1  exports"; d.keys("y") {
				d.sees(`┛\n +\d\d:\d\d:\d\d 127`) // nothing else is said any more
			}
			d.keys("1")
			d.sees(`copied the exports to tmux's buffer`)
			exports := buffer()
			shown := regexp.MustCompile(` ┃\n *┃ `).ReplaceAllString(d.screen(), "") // what is too long goes on in the next line
			for line := range strings.Lines(exports) {
				if line = strings.TrimSuffix(line, "\n"); !strings.Contains(shown, line) {
					t.Errorf("the box does not show %q:\n%s", line, d.screen())
				}
			}
			if want := "export https_proxy=http://127.0.0.1:" + port + "\n"; !strings.Contains(exports, want) {
				t.Errorf("tmux has %q, want %q in it", exports, want)
			}
			if got := d.ask("#{mouse_any_flag}"); got != "0" {
				t.Error("the mouse is culvert's while a text is there to be selected")
			}
			d.keys("Enter")
			d.sees(`enter details`)
			d.keys("q")
			d.sees(`esc stay`)
			d.keys("Enter")
			d.sees(`left with 0`)
		})
	}
}
