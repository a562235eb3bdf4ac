package screen

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/internal/need"
	"culvert/tunnel"
)

// underBelow is what the tunnels' cursor is on.
func underBelow(t *testing.T, a *app) *row {
	t.Helper()
	r, ok := a.pane.table.Row()
	if !ok {
		t.Fatalf("the tunnels' cursor is on nothing:\n%s", shot(a))
	}
	return r
}

// when takes messages until something holds.
func (l *loop) when(what string, holds func() bool) {
	l.Helper()
	for late := time.After(20 * time.Second); !holds(); {
		select {
		case msg := <-l.messages:
			_, cmd := l.a.Update(msg)
			l.run(cmd)
		case <-late:
			l.Fatalf("after 20 s it is not so that %s:\n%s", what, shot(l.a))
		}
	}
}

// webOn is a saved tunnel to the test's service on a local port.
func webOn(name string, port uint16) SavedTunnel {
	return SavedTunnel{Name: name, Target: aws.Target{Cluster: "c", Service: "web"}, Forward: forward(fmt.Sprintf("%d:7000", port)), Probe: "tcp"}
}

func TestTheCursorGoesToTheTunnelJustOpened(t *testing.T) {
	one, two, three := need.Port(t), need.Port(t), need.Port(t)
	l, _ := newWorld(t, Options{Saved: Saved{Tunnels: []SavedTunnel{webOn("one", one), webOn("two", two), webOn("three", three)}}})
	l.until("as of")
	local := func(port uint16) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	l.press("S", "enter")
	l.until(local(one))
	l.press("j", "enter")
	l.until(local(two))
	l.when("the cursor is on the second tunnel", func() bool { return underBelow(t, l.a).local() == local(two) })
	// Beside a row that is over, and with a filter that would hide it.
	l.until("● open")
	l.press("t", "x")
	l.until("stopped "+local(two)+"; u opens it again", "closed")
	l.press("/")
	for _, r := range fmt.Sprint(one) {
		l.press(string(r))
	}
	l.press("enter", "tab", "j", "enter")
	l.until(local(three))
	l.when("the cursor is on the third tunnel", func() bool { return underBelow(t, l.a).local() == local(three) })
	// From the dialog.
	l.press("esc", "enter", "F")
	l.submit()
	l.until("listening on 127.0.0.1:")
	if r := underBelow(t, l.a); r != l.a.tunnels.rows[len(l.a.tunnels.rows)-1] || !l.a.below {
		t.Errorf("after the dialog the cursor is on %s, keyboard below: %t", r.local(), l.a.below)
	}
}

func TestAStopCanBeUndone(t *testing.T) {
	port := need.Port(t)
	l, _ := newWorld(t, Options{Saved: Saved{Tunnels: []SavedTunnel{webOn("one", port)}}})
	l.until("as of")
	l.press("u")
	l.until("nothing was stopped in the last 10 s")
	l.press("S", "enter")
	l.until("● open")
	before := *l.a.tunnels.rows[0]
	l.press("t", "x", "u") // before the stop has ended
	l.when("another tunnel is open", func() bool {
		r := l.a.tunnels.rows[0]
		return r.tunnel != before.tunnel && r.State == tunnel.Open
	})
	after := l.a.tunnels.rows[0]
	if len(l.a.tunnels.rows) != 1 || after.tunnel == before.tunnel || after.local() != before.local() || after.probe != "tcp" || after.place != before.place {
		t.Errorf("got %d rows, %s, probe %q, the same tunnel: %t", len(l.a.tunnels.rows), after.local(), after.probe, after.tunnel == before.tunnel)
	}
	if got := after.Spec.Target.Service; got != "web" {
		t.Errorf("got a tunnel to %q", got)
	}
	l.press("x")
	l.when("the stop is told", func() bool { return strings.Contains(shot(l.a), "stopped ") })
	if got := shot(l.a); !strings.Contains(got, "closed") {
		t.Errorf("the tunnel is said to be stopped and not shown as closed:\n%s", got)
	}
	l.a.tunnels.undos[0].until = l.a.tunnels.undos[0].until.Add(-undoWithin)
	l.press("u")
	l.until("nothing was stopped")
}

func TestATunnelThatCannotBeOpenedStaysAndIsTriedAgain(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).AddrPort()
	free := need.Port(t)
	spec := func(local uint16) Start {
		f := forward(fmt.Sprintf("127.0.0.1:%d:7000", local))
		return Start{Query: aws.Query{Cluster: "c", Service: "web"}, Spec: f.Spec(aws.Target{}), Probe: "tcp"}
	}
	lost := spec(free)
	lost.Query.Service = "wbe"
	l, _ := newWorld(t, Options{Start: []Start{spec(port.Port()), spec(free), lost}})
	l.until("Tunnels 3", port.String(), "✕ failed", "● open")
	if got := []string{l.a.tunnels.rows[0].local(), l.a.tunnels.rows[1].local()}; got[0] != port.String() {
		t.Errorf("the rows stand in the order %q, want that of the forwards", got)
	}
	l.press("t", "G")
	l.until(`"wbe"`, "web") // the nearest name
	l.press("x")
	l.until("Tunnels 2")

	l.press("g", "R")
	l.until("is in use")
	l.when("the second try is over", func() bool { return !l.a.tunnels.rows[0].opening })
	l.until("Tunnels 2", "✕ failed")

	l.press("e")
	l.until("change c/web", "local port    "+port.String(), "remote port   7000", "probe         tcp")
	other := need.Port(t)
	l.press("tab", "tab", "ctrl+u")
	for _, r := range fmt.Sprint(other) {
		l.press(string(r))
	}
	l.press("enter")
	l.until(fmt.Sprintf("listening on 127.0.0.1:%d", other))
	l.when("it is open", func() bool { return l.a.tunnels.rows[0].State == tunnel.Open })
	if rows := l.a.tunnels.rows; len(rows) != 2 || !strings.HasSuffix(rows[0].local(), fmt.Sprint(other)) || rows[0].probe != "tcp" {
		t.Errorf("got %d rows, the first %s", len(rows), rows[0].local())
	}
	l.press("e")
	l.until("stop it first, with x")
}
