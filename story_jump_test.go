package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// calm is need.Port as a story types it: the story goes on for seconds before it listens there.
func calm(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(int(need.Port(t)))
}

// Faster to the goal: begun at a service, jumped with a palette, forwarded to several at once, stopped by one key, and opened
// again by the next interface.
func TestStoryOfTheShortestWay(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			account, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(account.Close)
			first, second := calm(t), calm(t)
			d := onDisplay(t, size[0], size[1], `culvert -c automation -s squid; echo "left with $?"; read -r _; culvert --target shop/web; echo "left with $?"; exec sleep 600`, account.Env()...)
			d.sees(`automation › services 3`)
			d.sees(`▌squid`)
			if n := account.Calls("ListClusters"); n != 0 {
				t.Errorf("beginning in a cluster listed all of them %d times", n)
			}
			forward := func(port string) {
				t.Helper()
				d.keys("F")
				d.sees(`remote port +\d`) // once the tasks are read
				d.keys("Tab", "Tab", "C-u")
				d.types(port)
				d.sees(`local port +` + port)
				d.keys("Enter")
				d.sees(`127\.0\.0\.1:` + port + ` .*● open`)
			}
			forward(first)
			d.keys("Tab")
			d.sees(`┏━ automation`)
			d.sees(`▌squid .*⇄ :` + first)

			d.keys(":")
			d.types("che")
			d.sees(`▌checkout +service`)
			d.keys("Enter")
			d.sees(`shop › services`)
			d.sees(`▌checkout`)
			forward(second)
			d.keys("Tab", "0")
			d.sees(`all services \d+`)
			d.types("/exec:off")
			d.sees(`▌reports`)
			d.keys("Enter", "C-p")
			d.types("kind:tunnel squid")
			d.sees(`▌squid:3128 +tunnel`)
			d.keys("Enter")
			d.sees(`▌127\.0\.0\.1:` + first)

			d.keys("q")
			d.sees(`2 tunnels are open`)
			d.keys("q")
			d.sees(`left with 0`)
			recent := filepath.Join(d.dir, "state", "culvert", "recent.json")
			info, err := os.Stat(recent)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("what is remembered: %v, %v; want a file of mode 600", info, err)
			}
			body, err := os.ReadFile(recent)
			key, secret := account.Credentials()
			if err != nil || strings.Contains(string(body), key) || strings.Contains(string(body), secret) {
				t.Errorf("secrets in what is remembered: %v\n%s", err, body)
			}

			d.keys("Enter") // and the next interface
			d.sees(`shop › services`)
			d.sees(`▌web`)
			d.sees(`2 tunnels were open when culvert last ended here; R opens again`)
			d.keys("R")
			d.sees(`enter open`)
			d.keys("Enter")
			d.sees(`127\.0\.0\.1:` + first + ` .*● open`)
			d.sees(`127\.0\.0\.1:` + second + ` .*● open`)
			d.keys("t", "g", "Space", "Space", "x")
			d.sees(`stop 2 tunnels\?`)
			d.keys("Enter")
			d.sees(`closed(?s:.*)closed`)
			d.sees(`none open`)
			d.keys("q")
			d.sees(`(?s)left with 0.*left with 0`)
			if left := account.Sessions(); len(left) > 0 {
				t.Errorf("sessions are left: %+v", left)
			}
		})
	}
}
