//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/ui/control"
)

// fromShell runs culvert with the files of the display, as another terminal of its user would.
func (d *display) fromShell(env []string, args ...string) (string, error) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.t.Context()), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "culvert", args...)
	cmd.Env = append(os.Environ(), append(env, d.homes()...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Tunnels that are kept lose no byte of a download, which takes six seconds by the pace of the agent: the terminal is back at once, and may even go away.
func TestStoryOfKeepingTunnels(t *testing.T) {
	t.Parallel()
	curl := need.Command(t, "curl")
	for _, c := range []struct {
		name, command string
		width, height int
		signalled     bool // instead of culvert down
	}{
		{"demo", "culvert demo -c automation -s squid -L 0:3128", 80, 24, false},
		{"account", "culvert -c automation -s squid -L 0:3128", 160, 50, false},
		{"signal", "culvert -c automation -s squid -L 0:3128", 110, 34, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var account *emulator.Emulator
			var env []string
			if c.name != "demo" {
				var err error
				if account, err = emulator.Start(emulator.Options{Fleet: emulator.Unbonded()}); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(account.Close)
				env = account.Env()
			}
			d := onDisplay(t, c.width, c.height, strings.Replace(usersShell, "culvert demo", c.command, 1), env...)
			t.Cleanup(func() { _, _ = d.fromShell(env, "down") })
			port := d.sees(`127\.0\.0\.1:(\d+) .*● open`)
			guard := onlyChild(t, d.ask("#{pane_pid}"))
			holder := onlyChild(t, guard)

			download := exec.CommandContext(t.Context(), curl, "-sS", "--fail", "--proxytunnel", "-x", "http://127.0.0.1:"+port, "http://orders.internal/export?bytes=6000000")
			body, err := download.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var complaint bytes.Buffer
			download.Stderr = &complaint
			if err := download.Start(); err != nil {
				t.Fatal(err)
			}
			sum := sha256.New()
			if _, err := io.CopyN(sum, body, 100_000); err != nil {
				t.Fatalf("the beginning of the download: %v %s", err, &complaint)
			}
			d.keys("q")
			d.sees(`b +keep it in the background`)
			d.keys("b")
			d.sees(`left with 0`)
			d.sane()
			if screen := d.screen(); !strings.Contains(screen, "the tunnels go on in the background as kept (process "+holder+")") || !strings.Contains(screen, "culvert down kept ends them") {
				t.Errorf("the screen that is left does not say what became of the tunnels:\n%s", screen)
			}
			if alive(t, guard) {
				t.Error("the guard is still there")
			}
			if out, err := exec.Command("ps", "-o", "tty=", "-p", holder).Output(); err != nil || strings.TrimLeft(strings.TrimSpace(string(out)), "?-") != "" {
				t.Errorf("the holder has the terminal %q (%v)", out, err)
			}
			files, _ := filepath.Glob(filepath.Join("/proc", holder, "fd", "*")) // there are none elsewhere than on Linux
			for _, file := range files {
				if to, err := os.Readlink(file); err == nil && strings.HasPrefix(to, "/dev/pts/") {
					t.Errorf("the holder has %s open as %s", to, filepath.Base(file))
				}
			}
			if out, err := exec.Command(d.tmux, "-S", d.socket, "kill-server").CombinedOutput(); err != nil { // a hang-up for all that is on it
				t.Fatalf("close the terminal: %v %s", err, out)
			}

			var status struct {
				Sets []control.Set `json:"sets"`
			}
			out, err := d.fromShell(env, "status", "-o", "json")
			if err != nil || json.Unmarshal([]byte(out), &status) != nil || len(status.Sets) != 1 || len(status.Sets[0].Tunnels) != 1 {
				t.Fatalf("status: %v\n%s", err, out)
			}
			if set := status.Sets[0]; set.Name != "kept" || set.Tunnels[0].State != "open" || set.Tunnels[0].Connections < 1 {
				t.Errorf("got %+v, want the download to go on", set)
			}

			n, err := io.Copy(sum, body)
			if err != nil || download.Wait() != nil || n+100_000 != 6_000_000 {
				t.Fatalf("the download ended after %d bytes: %v %s", n+100_000, err, &complaint)
			}
			again := exec.CommandContext(t.Context(), curl, "-sS", "--fail", "-x", "http://127.0.0.1:"+port, "http://orders.internal/export?bytes=6000000")
			whole, err := again.Output()
			if err != nil {
				t.Fatalf("curl through the kept tunnel: %v", err)
			}
			if want := sha256.Sum256(whole); !bytes.Equal(sum.Sum(nil), want[:]) {
				t.Error("the download is another than one that nobody has disturbed")
			}

			if c.signalled {
				if out, err := exec.Command("kill", "-TERM", holder).CombinedOutput(); err != nil {
					t.Fatalf("kill: %v\n%s", err, out)
				}
			} else if out, err := d.fromShell(env, "down", "kept"); err != nil || !strings.Contains(out, "kept is down") {
				t.Errorf("down: %v\n%s", err, out)
			} else if alive(t, holder) {
				t.Error("the holder is still there")
			}
			for end := time.Now().Add(patience); alive(t, holder); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the holder does not end")
				}
			}
			if c.signalled { // by itself, as the next down tells
				if out, err := d.fromShell(env, "down"); err != nil || !strings.Contains(out, "kept ended by itself") {
					t.Errorf("down: %v\n%s", err, out)
				}
			}
			if out, err := d.fromShell(env, "status"); err != nil || !strings.Contains(out, "nothing is up") {
				t.Errorf("status: %v\n%s", err, out)
			}
			if account != nil && len(account.Sessions()) > 0 {
				t.Errorf("sessions are left: %+v", account.Sessions())
			}
			left, err := filepath.Glob(filepath.Join(d.dir, "tmp", "*"))
			if err != nil || len(left) > 0 {
				t.Errorf("got %q left in the temporary directory (%v), want nothing", left, err)
			}
		})
	}
}

// What another process holds is seen like one's own: its connections while they are open, its hosts, its history, and of any host
// its destinations, one of which can be ended.
func TestStoryOfSomebodyElsesTunnels(t *testing.T) {
	t.Parallel()
	curl := need.Command(t, "curl")
	d := onDisplay(t, 110, 34, `culvert up --demo --name dev --target automation/squid -L `+calm(t)+`:3128 -D 0 -o json >up; culvert --demo; exec sleep 600`) // others use port 3128
	t.Cleanup(func() { _, _ = d.fromShell(nil, "down") })
	d.sees(`automation .*active`)
	var status struct {
		Sets []control.Set `json:"sets"`
	}
	if err := json.Unmarshal([]byte(d.file("up")), &status); err != nil {
		t.Fatal(err)
	}
	d.sees(`held by culvert up dev`)
	d.keys("t", "Enter")
	d.sees(`no connection has come to`)
	download := exec.CommandContext(t.Context(), curl, "-sS", "--proxytunnel", "-x", status.Sets[0].Tunnels[0].ProxyURL, "http://orders.internal/export?bytes=4000000")
	if err := download.Start(); err != nil {
		t.Fatal(err)
	}
	d.sees(`orders\.internal:80 .*open`)
	if err := download.Wait(); err != nil {
		t.Fatal(err)
	}
	d.sees(`orders\.internal:80 +4\.0 MB .*done`)
	d.keys("v")
	d.sees(`(?s)\[hosts 1\].*orders\.internal:80 +4\.0 MB`)
	d.keys("v")
	d.sees(`(?s)\[history \d\].*open.*handshaking.*starting`)

	d.keys("Escape")
	d.sees(`┏━ Tunnels `) // a key right behind would be one with alt
	d.keys("j", "Enter")
	d.sees(`\[destinations 0\]`)
	fetch := exec.CommandContext(t.Context(), curl, "-sS", "--fail", "-x", status.Sets[0].Tunnels[1].ProxyURL, "http://orders.internal/export?bytes=321000")
	if out, err := fetch.Output(); err != nil || len(out) != 321_000 {
		t.Fatalf("curl to any host: got %d bytes and error %v, want 321,000 bytes", len(out), err)
	}
	d.sees(`▌orders\.internal:80 +● open`)
	d.keys("x")
	if d.sees(`(ended orders\.internal:80|will be cut)`) == "will be cut" { // the connection may still be kept
		d.keys("Enter")
	}
	d.sees(`ended orders\.internal:80; who asks for it opens it anew`)
	d.sees(`(?s)\[destinations 0\].*no destination is open now`)
	d.keys("C-c")
}

// Where no guard could give the terminal back, as on Windows, the tunnels are closed and culvert up opens them again, on the
// same ports; that is said before and after.
func TestStoryOfReopeningTunnels(t *testing.T) {
	t.Parallel()
	curl := need.Command(t, "curl")
	account, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	// Ports of their own: the remote's would be wanted by the tests beside this one as soon as they are closed.
	port, other := calm(t), calm(t)
	command := "culvert -c automation -s squid -L " + port + ":3128 -L " + other + ":orders.internal:80"
	d := onDisplay(t, 110, 34, strings.Replace(usersShell, "culvert demo", command, 1), append(account.Env(), "CULVERT_GUARDED=no")...)
	t.Cleanup(func() { _, _ = d.fromShell(account.Env(), "down") })
	d.sees(`127\.0\.0\.1:` + port + ` .*squid:3128.*● open`)
	d.sees(`squid › ord.*● open`)
	d.keys("q")
	d.sees(`b +reopen them in the background: cuts what goes through`)
	d.keys("b")
	d.sees(`left with 0`)
	d.sane()
	screen := d.screen()
	for _, want := range []string{"opening 127.0.0.1:" + port + " again in the background, as kept", "opening 127.0.0.1:" + other, "as kept;", "as kept-2;", "open connections have ended"} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q on the screen that is left:\n%s", want, screen)
		}
	}
	out, err := exec.CommandContext(t.Context(), curl, "-sS", "--fail", "--proxytunnel", "-x", "http://127.0.0.1:"+port, "http://orders.internal/export?bytes=321000").Output()
	if err != nil || len(out) != 321000 {
		t.Errorf("curl through the tunnel: got %d bytes and error %v, want 321,000 bytes", len(out), err)
	}
	if out, err := d.fromShell(account.Env(), "down"); err != nil || !strings.Contains(out, "kept-2 is down") {
		t.Errorf("down: %v\n%s", err, out)
	}
	if left := account.Sessions(); len(left) > 0 {
		t.Errorf("sessions are left: %+v", left)
	}
}
