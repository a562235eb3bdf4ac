//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// colours is what can be read with the colours that it has.
func (d *display) colours() string {
	d.t.Helper()
	out, err := exec.Command(d.tmux, "-S", d.socket, "capture-pane", "-p", "-e").Output()
	if err != nil {
		d.t.Fatalf("read the screen: %v", err)
	}
	return string(out)
}

// red reports whether a text stands on the screen in the colour of failures: that of the dark theme, of 256.
func (d *display) red(text string) bool {
	d.t.Helper()
	return regexp.MustCompile(`\x1b\[38;5;209m` + text).MatchString(d.colours())
}

// becomes waits until something is as it should be.
func (d *display) becomes(want string, look func() string) {
	d.t.Helper()
	for deadline := time.Now().Add(patience); look() != want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("got %q, want %q", look(), want)
		}
	}
}

// goTo puts the cursor on the one of two rows that begins with a text. Its key may be late: it does nothing then but this.
func (d *display) goTo(text string) {
	d.t.Helper()
	d.sees(`[▌ ┃│]` + regexp.QuoteMeta(text))
	key := "G"
	if first := regexp.MustCompile(`(?m)^[┃│][▌ ](\S+\.internal)`).FindStringSubmatch(d.screen()); first != nil && first[1] == text {
		key = "g"
	}
	d.keys(key)
	d.sees(`▌` + regexp.QuoteMeta(text))
}

// What the screen says is so: the cursor stands on what was just opened, a refusal is red and can be examined, a stop can be
// undone, a tunnel whose port is taken stays and is mended, a loss is told.
func TestStoryNeverWrong(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			curl := need.Command(t, "curl")
			account, err := emulator.Start(emulator.Options{Fleet: emulator.Demo()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(account.Close)
			squatter, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer squatter.Close()
			_, taken, _ := net.SplitHostPort(squatter.Addr().String())
			first, mended := calm(t), calm(t)
			command := "culvert -c automation -s squid -L 127.0.0.1:" + taken + ":3128 -L " + first + ":3128"
			d := onDisplay(t, size[0], size[1], "set -m; "+strings.Replace(usersShell, "culvert demo", command, 1), account.Env()...)
			bells := filepath.Join(d.dir, "bells")
			for _, hook := range [][]string{
				{"set-option", "-g", "monitor-bell", "on"}, {"set-option", "-g", "bell-action", "any"}, {"set-hook", "-g", "alert-bell", "run-shell 'echo rang >>" + bells + "'"},
			} {
				if out, err := exec.Command(d.tmux, append([]string{"-S", d.socket}, hook...)...).CombinedOutput(); err != nil {
					t.Fatalf("tmux %q: %v\n%s", hook, err, out)
				}
			}

			// Both have a row, in their order; what ails the first stands there in a word, and whole where the keyboard is.
			d.sees(`(?s)127\.0\.0\.1:` + taken + ` .*✕ failed.*127\.0\.0\.1:` + first + ` .*● open`)
			d.keys("t", "g")
			d.sees(`! 127\.0\.0\.1:` + taken + ` is in use by`)
			d.keys("R")
			d.sees(`(?s)Tunnels 2.*✕ failed.*is in use by`)
			const refusal = "it is being opened" // while it is tried it cannot be changed
			for d.keys("e"); d.sees(`(change automation/squid|`+refusal+`)`) == refusal; d.keys("e") {
				d.becomes("not any more", func() string {
					if strings.Contains(d.screen(), refusal) {
						return refusal
					}
					return "not any more"
				})
			}
			d.keys("Tab", "Tab", "C-u")
			d.types(mended)
			d.sees(`local port +` + mended + ` +free`)
			d.keys("Enter")
			d.sees(`(?s)Tunnels 2.*▌127\.0\.0\.1:` + mended + ` .*● open`) // in its place, under the cursor
			d.becomes("culvert ● 2", func() string { return d.ask("#{pane_title}") })

			// The stop that was a mistake.
			d.keys("x")
			d.sees(`stopped 127\.0\.0\.1:` + mended + `; u opens it again`)
			d.keys("u")
			d.sees(`▌127\.0\.0\.1:` + mended + ` .*● open`)

			// A host that the proxy refuses, another one that it does not.
			for host, answer := range map[string]string{"blocked.internal": "403", "orders.internal": "200"} {
				out, err := exec.Command(curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", "http://127.0.0.1:"+mended, "http://"+host+"/").Output()
				if err != nil || string(out) != answer {
					t.Fatalf("curl of %s: got %s and error %v, want %s", host, out, err, answer)
				}
			}
			d.keys("Enter")
			d.sees(`blocked\.internal .*403 ERR_ACCESS_DENIED`)
			d.keys("v")
			d.sees(`(?s)FAILED +WHY.*blocked\.internal .* 1 +403 ERR_ACCESS_DENIED`)
			d.goTo("orders.internal") // what is under the cursor has other colours
			d.becomes("the refused host alone", func() string {
				if d.red(`blocked\.internal`) && d.red(`403 ERR_ACCESS_DENIED`) && !d.red(`orders\.internal`) {
					return "the refused host alone"
				}
				return "in red:\n" + strings.ReplaceAll(d.colours(), "\x1b", "^")
			})
			d.goTo("blocked.internal")
			d.keys("d")
			d.sees(`Doctor +fails at probe-1`)
			d.sees(`http://blocked\.internal/|ERR_ACCESS_DENIED`)
			d.keys("v")
			d.sees(`● pass`)
			d.sees(`▌✕ fail +probe-1`)
			d.keys("Escape")
			d.sees(`\[hosts 2\]`)
			d.keys("d")
			d.sees(`Doctor +fails at probe-1 F3 \d+s ago`)
			d.sees(`▌✕ fail +probe-1`)
			d.keys("!")
			d.sees(`┏━ what failed`) // the box, before the key that closes it
			d.keys("Escape")
			d.sees(`esc back|ctrl\+r all again`)
			d.keys("Escape")
			d.sees(`\[hosts 2\]`)
			d.keys("Escape")
			d.sees(`services 3`) // where the tunnels lead, and so where the screen began
			d.keys("Tab", "G", "d")
			d.sees(`URL to reach`)
			d.keys("Escape")

			// The sessions end, all at once. A busy machine may not show that at once, and then the bell rings for each tunnel.
			killed := time.Now()
			for _, s := range account.Sessions() {
				account.KillSession(s.ID, "ended by the test")
			}
			d.sees(`\d\d:\d\d:\d\d 127\.0\.0\.1:\d+ open again after`)
			d.becomes("culvert ● 2", func() string { return d.ask("#{pane_title}") })
			late := time.Since(killed) > 2*time.Second // ringsAgain of ui/screen
			d.becomes("rang", func() string {
				rang, _ := os.ReadFile(bells) // there is none before the first
				text := strings.TrimSpace(string(rang))
				if late {
					text = strings.TrimSuffix(text, "\nrang")
				}
				return text
			})

			// The shell has the terminal only after a question.
			d.keys("C-z")
			d.sees(`2 tunnels stand still until fg`)
			d.keys("Escape")
			d.sees(`q quit`)
			d.keys("C-c")
			d.sees(`left with 0`)
		})
	}
}
