package main

import (
	"fmt"
	"os/exec"
	"testing"

	"culvert/internal/need"
)

// Somebody opens one listener for any host, uses it with curl, sees the destination come, looks at its connections, ends it.
func TestStoryOfAnyHost(t *testing.T) {
	t.Parallel()
	curl := need.Command(t, "curl")
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			d := onDisplay(t, size[0], size[1], usersShell)
			d.sees(`automation .*active`)
			d.keys("Enter")
			d.sees(`automation › services`)
			d.keys("/")
			d.types("sqd")
			d.sees(`services 1 of 3`)
			d.keys("Enter", "D")
			d.sees(`any host through automation/squid`)
			d.sees(`local port +\d+ +free`)
			d.types("*.internal")
			d.forwards()
			port := d.sees(`127\.0\.0\.1:(\d+) .*● open`)
			d.keys("Enter")
			d.sees(`\[destinations 0\]`)
			out, err := exec.Command(curl, "-sS", "--fail", "-x", "http://127.0.0.1:"+port, "http://orders.internal/export?bytes=321000").Output()
			if err != nil || len(out) != 321000 {
				t.Fatalf("curl through the tunnel: got %d bytes and error %v, want 321,000 bytes", len(out), err)
			}
			d.sees(`\[destinations 1\]`)
			d.sees(`▌orders\.internal:80 +● open`)
			d.sees(`any host 1/48`)
			d.keys("y")
			d.sees(`curl -x http://127\.0\.0\.1:` + port + ` http:`)
			d.keys("Escape")
			d.sees(`┏━ Tunnel `) // an enter right behind would be alt+enter
			d.keys("Enter")
			d.sees(`━ orders\.internal:80 +● open`)
			d.sees(`session `)
			d.keys("x")
			if d.sees(`(not open|will be cut)`) == "will be cut" { // the connection may still be kept
				d.keys("Enter")
			}
			d.sees(`not open`)
			d.keys("u")
			d.sees(`orders\.internal:80 is open again`)
			d.sees(`orders\.internal:80 +● open`)
			d.keys("Escape")
			d.sees(`\[destinations 1\]`)
			d.keys("C-c")
			d.sees(`left with 0`)
		})
	}
}
