//go:build unix

package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// inSquidForm is culvert on a terminal, in the form of the squid service of an account of its own.
func inSquidForm(t *testing.T, size [2]int, before func(*emulator.Emulator)) (*display, *emulator.Emulator) {
	t.Helper()
	account, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	before(account)
	d := onDisplay(t, size[0], size[1], strings.Replace(usersShell, "culvert demo", "culvert -c automation", 1), account.Env()...)
	t.Cleanup(func() { _, _ = d.fromShell(account.Env(), "down") })
	d.sees(`automation › services`)
	d.keys("/")
	d.types("sqd")
	d.sees(`services 1 of 3`)
	d.keys("Enter", "F")
	d.sees(`forward automation/squid`)
	return d, account
}

// nothingRuns waits until nothing is left in an account that culvert has started there.
func nothingRuns(t *testing.T, account *emulator.Emulator) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		tasks, sessions := account.Running("automation"), account.Sessions()
		if len(tasks)+len(sessions) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left are the tasks %v and the sessions %+v", tasks, sessions)
		}
	}
}

// A task runs as long as the tunnel of the interface that wanted it: why it does not come up is seen, it is used, it ends with
// the tunnel, it can be called off, it goes on with a tunnel in the background, and it ends with the interface.
func TestStoryOfATaskForATunnel(t *testing.T) {
	t.Parallel()
	curl := need.Command(t, "curl")
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			d, account := inSquidForm(t, size, func(account *emulator.Emulator) {
				account.Fault(func(f *emulator.Faults) { f.Starts = []emulator.StartFault{{Kind: emulator.NoCapacity}} })
			})
			d.sees(`start +nothing: what is there is used`)
			port := calm(t)
			d.keys("Down", "Down", "C-u")
			d.types(port)
			d.keys("Down", "Down", "Down", "Right", "Right")
			d.sees(`definition +squid`)
			d.keys("Down", "Right") // to the module's
			d.sees(`definition +culvert-squid`)
			d.sees(`--run\W+culvert-squid`)
			d.keys("Enter")
			d.sees(`Capacity is unavailable`)
			d.sees(`✕ failed`)

			account.Fault(func(f *emulator.Faults) { f.Starts = []emulator.StartFault{{Kind: emulator.NeverStarts}} })
			d.keys("R")
			d.sees(`◐ starting`)
			d.sees(`is not ready`)
			if n := len(account.Running("automation")); n != 1 {
				t.Errorf("%d tasks are starting, want 1", n)
			}
			d.keys("x")
			d.sees(`nothing is opened`)
			nothingRuns(t, account)
			account.Fault(func(f *emulator.Faults) { f.Starts = nil })

			d.keys("Tab", "F")
			d.sees(`start +nothing`)
			d.keys("Down", "Down", "C-u")
			d.types(port)
			d.keys("Down", "Down", "Down", "Right", "Right", "Down", "Right")
			d.sees(`definition +culvert-squid`)
			d.keys("Enter")
			d.sees(`127\.0\.0\.1:` + port + ` .*● open`)
			out, err := exec.CommandContext(t.Context(), curl, "-sS", "--fail", "--proxytunnel", "-x", "http://127.0.0.1:"+port, "http://orders.internal/export?bytes=321000").Output()
			if err != nil || len(out) != 321000 {
				t.Errorf("curl through the tunnel: got %d bytes and error %v, want 321,000 bytes", len(out), err)
			}
			d.keys("x")
			if d.sees(`(u opens the tunnel again|esc stay)`) == "esc stay" { // what has ended is counted until it is drawn
				d.keys("Enter")
			}
			d.sees(`stopped task [0-9a-f]{32}; u opens the tunnel again`)
			nothingRuns(t, account)
			d.keys("u")
			d.sees(`127\.0\.0\.1:` + port + ` .*● open`)

			d.keys("q")
			d.sees(`b +keep it in the background`)
			d.keys("b")
			d.sees(`left with 0`)
			d.sane()
			if n := len(account.Running("automation")); n != 1 {
				t.Errorf("%d tasks run for the tunnel in the background, want 1", n)
			}
			out, err = exec.CommandContext(t.Context(), curl, "-sS", "--fail", "--proxytunnel", "-x", "http://127.0.0.1:"+port, "http://orders.internal/export?bytes=32100").Output()
			if err != nil || len(out) != 32100 {
				t.Errorf("curl through the kept tunnel: got %d bytes and error %v, want 32,100 bytes", len(out), err)
			}
			if out, err := d.fromShell(account.Env(), "down", "kept"); err != nil || !strings.Contains(out, "kept is down") {
				t.Errorf("down: %v\n%s", err, out)
			}
			nothingRuns(t, account)
		})
	}
}

// A service that is scaled to zero runs as long as the tunnel to it, and no longer than the interface.
func TestStoryOfAServiceForATunnel(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			d, account := inSquidForm(t, size, func(account *emulator.Emulator) {
				if err := account.Scale("automation", "squid", 0); err != nil {
					t.Fatal(err)
				}
			})
			d.sees(`! the service is scaled to zero: start, below, has it run for the tunnel`)
			d.types("3128")
			d.keys("Down", "Down", "C-u")
			d.types(calm(t))
			d.keys("Down", "Down", "Down", "Right")
			d.sees(`start +the service`)
			d.sees(`--start`)
			d.keys("Enter")
			d.sees(`● open`)
			if n := account.Desired("automation", "squid"); n != 1 {
				t.Errorf("the service wants %d tasks, want 1", n)
			}
			d.keys("C-c") // whatever is open
			d.sees(`left with 0`)
			if n := account.Desired("automation", "squid"); n != 0 {
				t.Errorf("the service wants %d tasks, want none", n)
			}
			nothingRuns(t, account)
		})
	}
}
