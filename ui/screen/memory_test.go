package screen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/ui/control"
	"culvert/ui/recent"
)

// before writes down that tunnels to the service web were open in an interface that is gone.
func before(t *testing.T, profile string, forwards ...string) recent.File {
	t.Helper()
	f := recent.File(filepath.Join(t.TempDir(), "recent.json"))
	gone := control.Process{PID: os.Getpid(), Started: "another time"}
	for _, form := range forwards {
		change := recent.Change{Tunnel: recent.Tunnel{Account: account, Profile: profile, Region: "eu-west-1", Target: "c/web", Forward: form}}
		if _, err := f.Note(start(), gone, change); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// remembered waits until the file holds what is wanted.
func remembered(l *loop, f recent.File, what string, holds func([]recent.Tunnel) bool) {
	l.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		all, err := f.Read()
		if err == nil && holds(all) {
			return
		}
		if time.Now().After(end) {
			l.Fatalf("%s: the file has %+v, %v", what, all, err)
		}
		l.step()
	}
}

func TestWhatWasOpenCanBeOpenedAgain(t *testing.T) {
	first, second := need.Port(t), need.Port(t)
	f := before(t, "default", fmt.Sprintf("%d:7000", first), fmt.Sprintf("%d:db.internal:5432", second))
	l, account := newWorld(t, Options{Recent: f})
	l.until("2 tunnels were open when culvert last ended here; R opens again", "as of")
	if n := account.Calls("StartSession"); n != 0 || len(l.a.tunnels.rows) > 0 {
		t.Errorf("%d sessions and %d tunnels were opened by themselves", n, len(l.a.tunnels.rows))
	}
	l.press("R")
	l.until("Open again what was open", fmt.Sprintf("c/web %d:7000", first), "db.internal:5432", "enter open")
	l.press("esc")
	l.until("2 tunnels were open") // nobody has said that they are not wanted
	l.press("R", "enter")
	l.until("Tunnels 2", fmt.Sprintf("127.0.0.1:%d", first), fmt.Sprintf("127.0.0.1:%d", second))
	l.press("R")
	if l.a.dialog != nil {
		t.Errorf("what was opened again is offered once more:\n%s", shot(l.a))
	}
	remembered(l, f, "opened again", func(all []recent.Tunnel) bool {
		return len(all) == 2 && all[0].Times == 2 && all[1].Times == 2 && all[0].Open != nil && *all[0].Open == control.Self()
	})
	l.until("● open")
	l.press("t", "g", "x")
	remembered(l, f, "stopped", func(all []recent.Tunnel) bool {
		return len(all) == 2 && (all[0].Open == nil) != (all[1].Open == nil)
	})
}

func TestWhatWasOpenElsewhereIsNotOffered(t *testing.T) {
	f := before(t, "prod", "7000", "8000")
	far := recent.Tunnel{Account: account, Profile: "default", Region: "us-east-1", Target: "c/web", Forward: "7000"}
	if _, err := f.Note(start(), control.Process{PID: os.Getpid(), Started: "another time"}, recent.Change{Tunnel: far}); err != nil {
		t.Fatal(err)
	}
	l, _ := newWorld(t, Options{Recent: f})
	l.until("as of", "as user/demo")
	for range 5 {
		l.step()
	}
	if screen := shot(l.a); strings.Contains(screen, "last ended") {
		t.Errorf("tunnels of another profile are offered:\n%s", screen)
	}
	l.press("R")
	if l.a.dialog != nil {
		t.Error("R offers tunnels of another profile")
	}
	l.press(":") // there they are among what was used
	l.until("web:7000", "recent", "profile prod")
}

func TestATunnelThatIsUsedIsRemembered(t *testing.T) {
	f := recent.File(filepath.Join(t.TempDir(), "recent.json"))
	local := need.Port(t)
	l, _ := newWorld(t, Options{Recent: f, Saved: Saved{
		Tunnels: []SavedTunnel{{Name: "site", Target: aws.Target{Cluster: "c", Service: "web"}, Forward: forward(fmt.Sprintf("%d:7000", local))}},
	}})
	l.until("as of", "as user/demo")
	l.press(":", "s", "i", "enter") // a saved one is started
	l.until("● open")
	remembered(l, f, "opened", func(all []recent.Tunnel) bool { return len(all) == 1 })
	all, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	if got := all[0]; got.Account != account || got.Region != "eu-west-1" || got.Profile != "default" || got.Target != "c/web" || got.Forward != fmt.Sprintf("%d:7000", local) || got.Times != 1 {
		t.Errorf("remembered %+v", got)
	}
	l.press("t", "x")
	l.until("closed")
	remembered(l, f, "closed", func(all []recent.Tunnel) bool { return all[0].Open == nil })
	l.until("stopped")
	l.press(":", "w", "e", "b", ":")
	if line := underIn(t, l.a, l.a.dialog); !holdsAll(line, "web:7000", "recent", "c/web") {
		t.Errorf("the best match for web: is %q, want the recent tunnel", line)
	}
	l.press("enter")
	l.until("● open")
	remembered(l, f, "opened again", func(all []recent.Tunnel) bool { return all[0].Times == 2 && all[0].Open != nil })
}

// A tunnel that the interface notices before it is told that it listens gets its place, and the row of one before it, only then.
func TestATunnelThatTakesItsPlaceLaterStaysRemembered(t *testing.T) {
	f := recent.File(filepath.Join(t.TempDir(), "recent.json"))
	l, _ := newWorld(t, Options{Recent: f})
	l.until("as of", "as user/demo")
	a := l.a
	tick := func() {
		a.tunnels.tick()
		l.run(a.grant(a.memory.tick()))
	}
	spec := tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "web", Container: "app"}, Remote: tunnel.Endpoint{Port: 7000}, Local: addrPort(tunnel.Spec{}, need.Port(t))}
	w := wanted{place: a.here, spec: spec, count: a.tunnels.next()}
	for times := 1; times <= 2; times++ {
		a.tunnels.next() // another one is wanted meanwhile
		opened, err := a.here.openNow(w.spec)
		if err != nil {
			t.Fatal(err)
		}
		tick()
		l.run(a.grant(a.tunnels.opened(w, opened)))
		tick()
		is := func(open bool) func([]recent.Tunnel) bool {
			return func(all []recent.Tunnel) bool {
				return !a.memory.writing && len(a.memory.pending) == 0 && len(all) == 1 && all[0].Times == times && (all[0].Open != nil) == open
			}
		}
		remembered(l, f, "opened", is(true))
		l.run(a.grant(a.tunnels.stopNow(a.tunnels.rows[0])))
		remembered(l, f, "stopped", is(false))
		w = a.tunnels.rows[0].again()
	}
}

func TestAMemoryThatCannotBeUsedIsToldOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recent.json")
	if err := os.WriteFile(path, []byte("my notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ := newWorld(t, Options{Recent: recent.File(path), Saved: Saved{
		Tunnels: []SavedTunnel{{Name: "site", Target: aws.Target{Cluster: "c", Service: "web"}, Forward: forward(fmt.Sprintf("%d:7000", need.Port(t)))}},
	}})
	l.until("! recent tunnels in ", "remove the file", "as of")
	l.press("S", "enter")
	l.until("● open")
	if got, _ := os.ReadFile(path); string(got) != "my notes" {
		t.Errorf("the file was written over: %q", got)
	}
}

// Those that an interface has open when it ends can be opened again, but not those that go on in the background.
func TestTunnelsThatGoOnAreNotLeft(t *testing.T) {
	for _, kept := range []bool{false, true} {
		f := recent.File(filepath.Join(t.TempDir(), "recent.json"))
		a := newTestApp(t, Options{Recent: f}, 100, 30)
		a.here.identity.Account = account
		addRow(a, somewhere("127.0.0.1:3128"))
		a.grant(a.memory.tick()) // and what it begins is never run: the end comes first
		a.memory.pending = []recent.Change{{Tunnel: *a.tunnels.rows[0].noted}}
		a.memory.flush(kept)
		all, err := f.Read()
		if err != nil || len(all) != 1 || (all[0].Open == nil) != kept {
			t.Errorf("kept %t: the file has %+v, %v", kept, all, err)
		}
	}
}

// What was remembered is a file that others may have changed.
func TestRememberedNonsenseIsLeftOut(t *testing.T) {
	m := newMemory(nil, &tunnels{}, Options{})
	m.list = []recent.Tunnel{
		{Target: "a", Forward: "1", Region: "r"}, {Target: "a/b", Forward: "x", Region: "r"}, {Target: "a/b", Forward: "1"}, {Target: "a/b/c/d/e", Forward: "1", Region: "r"},
	}
	if goals := recentGoals(m.tunnels, m, 0); len(goals) > 0 {
		t.Errorf("got %+v, want nothing", goals)
	}
}
