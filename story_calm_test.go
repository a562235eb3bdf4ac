package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// click presses and lets go the left button in a line, counted from 1, as a terminal sends it.
func (d *display) click(line int) {
	d.t.Helper()
	d.types(fmt.Sprintf("\x1b[<0;5;%dM\x1b[<0;5;%dm", line, line))
}

// opens makes a double click in the line that matches, and again where the machine was so busy that it became two clicks, or the line
// has moved meanwhile.
func (d *display) opens(row, pattern string) {
	d.t.Helper()
	opened := regexp.MustCompile(pattern)
	for end := time.Now().Add(2 * patience); !opened.MatchString(d.screen()); {
		if time.Now().After(end) {
			d.t.Fatalf("a double click does not lead to %q:\n%s", pattern, d.screen())
		}
		line := lineIn(d.screen(), row)
		once := fmt.Sprintf("\x1b[<0;5;%dM\x1b[<0;5;%dm", line, line)
		d.types(once + once)
		for until := time.Now().Add(10 * time.Second); time.Now().Before(until) && !opened.MatchString(d.screen()); {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// lineOf is the number of the first line that matches, from 1.
func (d *display) lineOf(pattern string) int {
	d.t.Helper()
	d.sees(pattern)
	line := lineIn(d.screen(), pattern)
	if line == 0 {
		d.t.Fatalf("no line matches %q:\n%s", pattern, d.screen())
	}
	return line
}

// lineIn is the number of the first line of a screen that matches, from 1; 0 for none, which is a line that no click hits.
func lineIn(screen, pattern string) int {
	re := regexp.MustCompile(pattern)
	return 1 + slices.IndexFunc(strings.Split(screen, "\n"), re.MatchString)
}

// resize gives the terminal another size.
func (d *display) resize(width, height int) {
	d.t.Helper()
	if out, err := exec.Command(d.tmux, "-S", d.socket, "resize-window", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height)).CombinedOutput(); err != nil {
		d.t.Fatalf("resize: %v\n%s", err, out)
	}
}

// coloured is the screen with its colours, ESC written as ␛.
func (d *display) coloured() string {
	d.t.Helper()
	out, err := exec.Command(d.tmux, "-S", d.socket, "capture-pane", "-p", "-e").Output()
	if err != nil {
		d.t.Fatalf("read the screen: %v", err)
	}
	return strings.ReplaceAll(string(out), "\x1b", "␛")
}

// paints waits until the screen shows something with its colours.
func (d *display) paints(what, pattern string) {
	d.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); !re.MatchString(d.coloured()); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("the screen lacks %s:\n%s", what, d.coloured())
		}
	}
}

// The mouse, the views and the panes, in a small terminal and in a large one, and what is left in one that is too small.
func TestStoryOfACalmScreen(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			var ports []string
			script := "culvert --demo --relay no -c automation -s squid" // twelve tunnels of eight sessions each would be another story
			for range 12 {
				ports = append(ports, calm(t))
				script += " -L " + ports[len(ports)-1] + ":3128"
			}
			d := onDisplay(t, size[0], size[1], script+"; exec sleep 600")
			d.sees(`(?m)^ culvert demo .*111122223333.*\n┏`) // a header of one line

			// A click selects, two soon after another open, a third does nothing more.
			d.keys("Escape")
			d.sees(`clusters 3`)
			line := d.lineOf(`│ shop .*active|┃ shop .*active`)
			d.click(line)
			d.sees(`▌shop `)
			const later = 2 * time.Second // than a double click, on a machine that draws for long; there is no event to wait for
			time.Sleep(later)
			d.click(line)
			time.Sleep(later)
			if !strings.Contains(d.screen(), "clusters") {
				t.Errorf("a second click, later, opened the row:\n%s", d.screen())
			}
			d.opens(`│ shop .*active|┃ shop .*active|▌shop .*active`, `shop › services`)
			d.keys("h")
			d.sees(`clusters`)
			d.keys("l")
			d.sees(`shop › services`)
			d.keys("x")
			d.sees(`x stops on a tunnel: t goes to them`)

			// The pane has a scroll mark where it needs one, and the whole window when it is asked for.
			d.sees(`Tunnels (\d+–\d+ of )?12`)
			d.keys("t", "+")
			d.sees(`(?s)Tunnels 12 .*\+ both panes`)
			for _, p := range ports {
				d.sees(fmt.Sprintf(`127\.0\.0\.1:%s .*● open`, p))
			}
			d.keys("g")
			d.paints("the ground of the row under the cursor", `48;(2|5);[^m]*m▌`)
			d.paints("the colour of the state under the cursor", `▌.*38;(2|5);[0-9;]*m● open`)
			d.keys("+")
			d.sees(`shop › services`)

			// A double click opens a tunnel; its views have numbers.
			d.opens(fmt.Sprintf(`127\.0\.0\.1:%s `, ports[0]), `Tunnel 127\.0\.0\.1:\d+ .*open`)
			d.sees(`1 \[connections \d+\]`)
			d.keys("2")
			d.sees(`2 \[hosts \d+\]`)
			d.keys("3")
			d.sees(`3 \[history \d+\]`)
			d.sees(`│.*now *│.*now`) // the time below the graphs

			d.resize(60, 15)
			d.sees(`3 \[history \d+\](?s:.*)WHEN +STATE .*\n.*\d +open `) // the oldest may be below the pane: the demo's tasks are replaced
			d.resize(40, 10)
			d.sees(`(?s)needs a window of 60 by 15.*40 by 10; q quits.*● open +127\.0\.0\.1`)
			d.keys("C-c")
		})
	}
}
