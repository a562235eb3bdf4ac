package screen

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
)

func TestRowsWithATunnelBearAMarkThatLeadsToIt(t *testing.T) {
	a := visiting(t, sampleAccount(), 120, 34)
	other := somewhere("127.0.0.1:8080")
	other.Spec.Target, other.Link = aws.Target{Cluster: "shop", Service: "web"}, tunnel.Link{}
	over := somewhere("127.0.0.1:4000")
	over.State = tunnel.Closed
	addRow(a, other)
	addRow(a, over)
	squid := somewhere("127.0.0.1:3130")
	squid.Link.Target.Task = sampleAccount().Clusters[0].Tasks[1].ID
	addRow(a, squid)
	want(t, a, "⇄ :3130", "⇄ :8080")
	wantNot(t, a, "⇄ :4000")
	press(t, a, "enter", "G", "up") // squid
	if line := under(t, a); !holdsAll(line, "squid", "⇄ :3130") {
		t.Errorf("the row of the service is %q, want its mark", line)
	}
	for _, key := range []string{"f", "t"} {
		press(t, a, key)
		if r, _ := a.pane.table.Row(); !a.below || r != a.tunnels.rows[2] {
			t.Errorf("%s on squid: the keyboard is below: %t, the cursor on %s; want its tunnel", key, a.below, r.local())
		}
		press(t, a, "esc")
	}
	press(t, a, "enter", "G")
	if line := under(t, a); !holdsAll(line, squid.Link.Target.Task[:12], "⇄ :3130") {
		t.Errorf("the row of the task that carries it is %q, want the mark", line)
	}
	press(t, a, "g")
	if line := under(t, a); strings.Contains(line, "⇄") {
		t.Errorf("another task of the service has a mark: %q", line)
	}
	press(t, a, "f") // leads to the tunnels, where the cursor stays
	if r, _ := a.pane.table.Row(); !a.below || r != a.tunnels.rows[2] {
		t.Errorf("f on a row without a tunnel: below %t, cursor on %s", a.below, r.local())
	}
	press(t, a, "esc", "enter")
	second := squid
	second.Local = other.Local
	addRow(a, second)
	press(t, a, "esc", "esc")
	want(t, a, "⇄ 2")
	prod := addRow(a, squid)
	prod.place = &place{of: a.accounts, profile: "prod"}
	want(t, a, "⇄ 2")
}

func TestMarkedTunnelsAreStoppedAfterOneQuestion(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 34)
	for i := range 7 {
		r := addRow(a, somewhere(fmt.Sprintf("127.0.0.1:%d", 3000+i)))
		r.State = tunnel.Failed // a stop takes it out of sight
		r.Stats.Connections = i
	}
	held := somewhere("127.0.0.1:9000")
	addRow(a, held).holder = &holder{name: "dev", tunnels: 2}
	press(t, a, "t", "g", "space", "space", "j", "space")
	want(t, a, "Tunnels 8, 3 marked", "x stop 3", "esc unmark")
	press(t, a, "x")
	want(t, a, "stop 3 tunnels?", "127.0.0.1:3000 automation/squid:3128", "127.0.0.1:3001", "127.0.0.1:3003", "4 open connections will be cut.")
	wellFormed(t, a)
	press(t, a, "esc")
	want(t, a, "3 marked")
	press(t, a, "x", "enter")
	want(t, a, "Tunnels 5 ")
	wantNot(t, a, "127.0.0.1:3000", "127.0.0.1:3001", "127.0.0.1:3003", "marked")
	press(t, a, "g", "space", "space", "space", "space", "space", "x")
	want(t, a, "stop 5 tunnels?", "culvert up dev ends as a whole: 2 tunnels.")
	press(t, a, "esc", "esc")
	wantNot(t, a, "marked")
	if !a.below {
		t.Error("esc left the tunnels before it took the marks away")
	}

	ro := newTestApp(t, Options{ReadOnly: true}, 100, 30)
	addRow(ro, somewhere("127.0.0.1:3128"))
	press(t, ro, "t", "space", "x")
	want(t, ro, (&ReadOnlyError{}).Error())
	press(t, ro, "R")
	want(t, ro, (&ReadOnlyError{}).Error())
}

func TestMarkedTunnelsAloneAreSaved(t *testing.T) {
	var wrote []Change
	a := newTestApp(t, Options{Save: func(c []Change) (Written, error) { wrote = c; return Written{Path: "f.yaml"}, nil }}, 100, 34)
	for i := range 3 {
		r := somewhere(fmt.Sprintf("127.0.0.1:%d", 3000+i))
		r.Spec.Target.Service = fmt.Sprintf("s%d", i)
		addRow(a, r)
	}
	press(t, a, "t", "g", "space", "j", "space", "s")
	want(t, a, "all 2", "automation/s0", "automation/s2")
	wantNot(t, a, "automation/s1 ")
	press(t, a, "enter")
	if len(wrote) != 2 {
		t.Errorf("saved %v, want the two that are marked", wrote)
	}
}

// Several services and one dialog: real tunnels to real ports, the local ones free and no two alike.
func TestMarkedServicesAreForwardedToAtOnce(t *testing.T) {
	fleet := fleetOf("a")
	fleet.Clusters[0].Services = append(fleet.Clusters[0].Services, emulator.Service{Name: "a-two", Count: 1, Task: emulator.Task{Containers: []emulator.Container{
		{Name: "side", Ports: map[uint16]string{4317: ""}}, {Name: "app", Ports: map[uint16]string{8080: emulator.Web, 8443: emulator.Web}},
	}}}, emulator.Service{Name: "a-none", Count: 1, Task: emulator.Task{Containers: []emulator.Container{{Name: "app"}}}})
	l, _ := worldOf(t, Options{}, fleet)
	l.until("clusters 1", "as of")
	l.press("enter")
	l.until("a › services 4", "a-two", "8080,8443,4317")
	l.press("space", "space", "space", "space")
	l.until("4 marked", "F forward 4")
	l.press("F")
	l.until("forward 3 tunnels", "a/a-jobs", "a/a-web", "a/a-two//app", "a/a-two//side", "maps no port; F on it alone asks for one")
	several := l.a.dialog.(*several)
	locals := map[uint16]bool{}
	for several.forks[0].local == 0 && several.forks[1].local == 0 {
		l.step()
	}
	for _, f := range several.forks {
		if f.port != 0 && (f.local == 0 || locals[f.local]) {
			t.Errorf("%s:%d gets the local port %d, want a free one of its own", f.to, f.port, f.local)
		}
		locals[f.local] = true
	}
	// Somebody takes one of them before enter.
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", several.table.Marked()[0].local))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	l.press("enter")
	l.until("is in use", "open  ")
	for several.table.Marked()[0].local == uint16(taken.Addr().(*net.TCPAddr).Port) {
		l.step()
	}
	l.press("enter")
	l.until("3 tunnels opened", "Tunnels 3", "⇄ :")
	if marked := l.a.browse.table().Marked(); len(marked) > 0 {
		t.Errorf("%d rows are still marked after their tunnels were opened", len(marked))
	}
	for end := time.Now().Add(10 * time.Second); ; {
		open := 0
		for _, r := range l.a.tunnels.rows {
			if r.State == tunnel.Open {
				open++
			}
		}
		if open == 3 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of 3 tunnels are open:\n%s", open, shot(l.a))
		}
		l.step()
	}
	l.press("esc", "g", "space", "j", "space", "x")
	l.until("stop 2 tunnels?")
	l.press("enter")
	l.until("stopped")
}

// Whichever of several tunnels listens first, their rows stand in the order in which they were wanted.
func TestTunnelsOpenedAtOnceStandInTheOrderTheyWereWantedIn(t *testing.T) {
	l, _ := worldOf(t, Options{}, fleetOf("a"))
	l.until("clusters 1", "as of")
	l.press("enter")
	l.until("a › services", "a-web")
	l.press("space", "space")
	l.press("F")
	l.until("forward 2 tunnels")
	d := l.a.dialog.(*several)
	for d.forks[0].local == 0 || d.forks[1].local == 0 {
		l.step()
	}
	d.open()
	for _, f := range slices.Backward(d.forks) { // the last is the first that listens
		spec := tunnel.Forward{Remote: tunnel.Endpoint{Port: f.port}}.Spec(f.to)
		spec.Local = netip.AddrPortFrom(netip.Addr{}, f.local)
		opened, err := d.place.openNow(spec)
		d.ended(f, opened, err)
	}
	rows := l.a.tunnels.rows
	if len(rows) != 2 || rows[0].Local.Port() != d.forks[0].local || rows[1].Local.Port() != d.forks[1].local {
		t.Errorf("the rows are not in the order of the dialog: %v", rows)
	}

	a := newTestApp(t, Options{}, 100, 30)
	first, second := somewhere("127.0.0.1:4001"), somewhere("127.0.0.1:4002")
	a.tunnels.begun(wanted{place: a.here, spec: first.Spec}) // nothing is opened, as nobody grants these
	a.tunnels.begun(wanted{place: a.here, spec: second.Spec})
	if third := a.tunnels.next(); third != 3 {
		t.Errorf("the next row has number %d, want 3: the others are wanted already", third)
	}
}
