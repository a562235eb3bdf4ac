package screen

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"culvert/aws"
	"culvert/tunnel"
)

func TestTunnelsAreAlwaysInSight(t *testing.T) {
	for _, c := range []struct {
		name string
		w, h int
	}{{"tunnels-80x24", 80, 24}, {"tunnels-160x50", 160, 50}} {
		a := newTestApp(t, Options{}, c.w, c.h)
		r := addRow(a, somewhere("127.0.0.1:3128"))
		flow(r, 30)
		db := somewhere("127.0.0.1:15432")
		db.Spec.Remote = tunnel.Endpoint{Host: "orders-db.internal", Port: 5432}
		db.State, db.Err = tunnel.Reopening, &tunnel.EndedError{Session: "demo-1"}
		addRow(a, db)
		press(t, a, "t", "j")
		golden(t, c.name, shot(a))
	}
}

func TestStatesReadWithoutColour(t *testing.T) {
	for _, environment := range []string{"en_US.UTF-8", "C"} {
		a := newTestApp(t, Options{Getenv: func(string) string { return environment }}, 100, 40)
		signs := map[string]bool{}
		for s := tunnel.Starting; s <= tunnel.Failed; s++ {
			r := somewhere("127.0.0.1:1")
			r.State = s
			text, _ := a.tunnels.standing(addRow(a, r))
			if !strings.HasSuffix(text, " "+s.String()) {
				t.Errorf("state %s reads %q", s, text)
			}
			signs[strings.Fields(text)[0]] = true
			want(t, a, s.String())
		}
		if len(signs) < 4 {
			t.Errorf("%s: only %d signs for eight states", environment, len(signs))
		}
		if screen := a.View().Content; environment == "C" && strings.IndexFunc(screen, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			t.Errorf("a screen for LANG=C has characters that it cannot show:\n%s", shot(a))
		}
	}
}

func TestNoTunnelAndFiftyTunnelsFit(t *testing.T) {
	for _, n := range []int{0, 1, 50} {
		for _, size := range [][2]int{{60, 15}, {80, 24}, {200, 50}, {61, 100}} {
			a := newTestApp(t, Options{}, size[0], size[1])
			many(a, n)
			press(t, a, "t", "G")
			wellFormed(t, a)
			if n > 0 {
				last := a.tunnels.rows[n-1]
				want(t, a, last.local())
			} else {
				want(t, a, "none open")
			}
			press(t, a, "enter")
			wellFormed(t, a)
			press(t, a, "v")
			wellFormed(t, a)
			press(t, a, "v")
			wellFormed(t, a)
		}
	}
}

// wellFormed checks that a screen has the window's size and nothing in it acts on the terminal.
func wellFormed(t *testing.T, a *app) {
	t.Helper()
	content := a.View().Content
	lines := strings.Split(content, "\n")
	if len(lines) != a.height {
		t.Errorf("the screen has %d lines, want %d", len(lines), a.height)
	}
	for i, line := range lines {
		if w := ansi.StringWidth(line); w != a.width {
			t.Errorf("line %d is %d cells wide, want %d: %q", i+1, w, a.width, ansi.Strip(line))
		}
	}
	if bare := ansi.Strip(content); strings.ContainsAny(bare, "\x1b\x07\u202e") || strings.Contains(content, "\x1b[2J") || strings.Contains(content, "\x1b]0;") {
		t.Errorf("the screen holds control characters from outside: %q", bare)
	}
}

func TestHugeNumbersAndClocksThatJumpKeepTheColumns(t *testing.T) {
	a := newTestApp(t, Options{}, 200, 50)
	r := somewhere("127.0.0.1:3128")
	r.Stats = tunnel.Stats{Sent: math.MaxUint64, Received: math.MaxUint64, Connections: math.MaxInt, Resent: math.MaxUint64, Retries: math.MaxUint64, RoundTrip: math.MaxInt64}
	r.Opened, r.Since = start().Add(time.Hour), start().Add(time.Hour) // the clock was set back since
	line := addRow(a, r)
	line.meter.observe(start(), 0, 0)
	line.meter.observe(start().Add(time.Nanosecond), math.MaxUint64, math.MaxUint64)
	press(t, a, "t", "enter")
	wellFormed(t, a)
	want(t, a, "0s", "ZB/s")
}

func TestAnUnusualMessageSizeIsShown(t *testing.T) {
	for size, shown := range map[int]bool{0: false, tunnel.DefaultMessageSize: false, 16384: true} {
		a := newTestApp(t, Options{}, 160, 50)
		r := somewhere("127.0.0.1:3128")
		r.Stats = tunnel.Stats{MessageSize: size}
		addRow(a, r)
		press(t, a, "t", "enter")
		if shown {
			want(t, a, "messages of 16384 bytes")
		} else {
			wantNot(t, a, "messages of")
		}
	}
}

func TestWhatAilsATunnelShowsItsRemedy(t *testing.T) {
	a := newTestApp(t, Options{}, 120, 30)
	r := somewhere("127.0.0.1:3128")
	r.State, r.Err = tunnel.Reopening, fmt.Errorf("start session: %w", &tunnel.StuckError{Session: "s-1", For: 30 * time.Second})
	addRow(a, r)
	want(t, a, "◐ reopening: stuck (t d)") // the eye is elsewhere
	wantNot(t, a, "start session")
	press(t, a, "t")
	want(t, a, "! start session: ", "› "+(&tunnel.StuckError{}).Remedy()[:30])
	a.tunnels.rows[0].State = tunnel.Open
	wantNot(t, a, "! start session")
	silent := &tunnel.SilentError{Session: "s-1", Away: true}
	a.tunnels.rows[0].State, a.tunnels.rows[0].Err = tunnel.Resuming, silent
	want(t, a, "◐ resuming", "! the agent in", "does not answer", "› "+silent.Remedy()[:30])
	press(t, a, "esc")
	want(t, a, "◐ resuming: agent silent (t d)")
	press(t, a, "t")
	a.tunnels.rows[0].State = tunnel.Open
	a.tunnels.proofs[nil] = proof{state: unproved, err: &tunnel.RefusedError{Target: aws.Target{Cluster: "c"}, Remote: tunnel.Endpoint{Port: 3128}}}
	want(t, a, "no answer", "! ")
}

func TestLosingATunnelIsSaidWherever(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	addRow(a, somewhere("127.0.0.1:9"))
	other := somewhere("127.0.0.1:3128")
	other.ID = 2
	addRow(a, other)
	open := tunnel.Event{Tunnel: 2, State: tunnel.Open, At: start()}
	failed := tunnel.Event{Tunnel: 2, State: tunnel.Failed, At: start(), Err: &tunnel.EndedError{Session: "s-9"}}
	a.grant(a.tunnels.event(a.here, failed))
	want(t, a, "tunnel 127.0.0.1:3128 failed: session ended (t leads there)") // it was never open
	wantNot(t, a, "lost")
	a.grant(a.tunnels.event(a.here, open))
	a.notice = notice{}
	want(t, a, "21:40:03 127.0.0.1:3128 open")
	a.grant(a.tunnels.event(a.here, failed))
	want(t, a, "tunnel 127.0.0.1:3128 was lost: session ended", "✕ failed")
	a.tunnels.forget(a.tunnels.rows[0])
	a.notice = notice{}
	want(t, a, "✕ failed: session ended (t d)", "21:40:03 127.0.0.1:3128 lost: session ended")
	press(t, a, "t")
	want(t, a, "! "+(&tunnel.EndedError{Session: "s-9"}).Error())
	if a.tunnels.open() != 0 {
		t.Errorf("got %d open tunnels, want none", a.tunnels.open())
	}
	press(t, a, "t", "x") // a tunnel that is over goes out of sight without a question
	want(t, a, "none open")
}

func TestStoppingWithConnectionsAsks(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "t", "x")
	want(t, a, "stop 127.0.0.1:3128?", "2 open connections will be cut.")
	press(t, a, "esc")
	wantNot(t, a, "will be cut")
	press(t, a, "R")
	want(t, a, "reconnect 127.0.0.1:3128?")
}

func TestReadOnlyEndsNothing(t *testing.T) {
	a := newTestApp(t, Options{ReadOnly: true, Saved: savedPair()}, 100, 30)
	addRow(a, somewhere("127.0.0.1:3128"))
	for _, keys := range [][]string{{"t", "x"}, {"t", "R"}, {"tab", "S", "x"}, {"S", "G", "enter"}} {
		a.notice = notice{}
		press(t, a, keys...)
		want(t, a, "--read-only")
	}
}

func TestStoppedTunnelsLeaveAfterAWhile(t *testing.T) {
	now := start()
	a := newTestApp(t, Options{Now: func() time.Time { return now }}, 100, 30)
	r := addRow(a, somewhere("127.0.0.1:3128"))
	a.grant(a.tunnels.event(a.here, tunnel.Event{State: tunnel.Closed, At: now}))
	a.Update(tickMsg{a.beat})
	want(t, a, "closed")
	now = now.Add(lingerClosed + time.Second)
	a.Update(tickMsg{a.beat})
	wantNot(t, a, "│ "+r.local(), "│▌"+r.local())
}

func TestTheCursorStaysOnItsTunnel(t *testing.T) {
	a := newTestApp(t, Options{}, 160, 40)
	many(a, 12)
	press(t, a, "t", "j", "j", "j")
	under := func() string { r, _ := a.pane.table.Row(); return r.local() }
	before := under()
	a.tunnels.forget(a.tunnels.rows[0])
	press(t, a, "o", "o", "O")
	a.Update(tickMsg{a.beat})
	if got := under(); got != before {
		t.Errorf("the cursor went from %s to %s", before, got)
	}
	press(t, a, "/")
	typed(t, a, "10005")
	press(t, a, "enter")
	want(t, a, "1 of 10", "127.0.0.1:10005")
	wantNot(t, a, "127.0.0.1:10004")
}

func TestClickChoosesATunnel(t *testing.T) {
	a := newTestApp(t, Options{}, 120, 40)
	many(a, 5)
	in := a.layout().Below.Inner()
	a.Update(tea.MouseClickMsg{X: in.X + 3, Y: in.Y + 3, Button: tea.MouseLeft})
	if r, _ := a.pane.table.Row(); r != a.tunnels.rows[2] || !a.below {
		t.Errorf("the click on the third tunnel chose %s, keyboard below: %t", r.local(), a.below)
	}
	press(t, a, "enter")
	want(t, a, "Tunnel "+a.tunnels.rows[2].local())
}

func TestEventsOfOtherPlacesAreKeptApart(t *testing.T) {
	a := newTestApp(t, Options{}, 120, 40)
	here := addRow(a, somewhere("127.0.0.1:1"))
	other := &place{of: a.accounts, profile: "prod"}
	a.places = append(a.places, other)
	there := addRow(a, somewhere("127.0.0.1:2"))
	there.place = other
	a.grant(a.tunnels.event(other, tunnel.Event{State: tunnel.Asleep, At: start(), Err: errors.New("idle")}))
	if here.State != tunnel.Open || there.State != tunnel.Asleep {
		t.Errorf("got %s here and %s there, want open and asleep", here.State, there.State)
	}
}

func TestANewcomerIsLedToTheFirstTunnel(t *testing.T) {
	c := sampleAccount()
	o := Options{Demo: true, Begin: aws.Target{Cluster: c.Clusters[0].Name, Service: c.Clusters[0].Services[0].Name}}
	a := newTestApp(t, o, 80, 24)
	arrives(a, c)
	cluster, service := o.Begin.Cluster, o.Begin.Service
	want(t, a, "begin here: enter on "+cluster+", then F on "+service+", then enter")
	golden(t, "demo-80x24", shot(a))
	press(t, a, "enter")
	want(t, a, "begin here: F on "+service+", then enter")
	press(t, a, "G", "enter") // another service
	want(t, a, "begin here: esc, then look for "+cluster+"/"+service)
	press(t, a, "esc", "g", "enter")
	want(t, a, "begin here: F, then enter")
	press(t, a, "t")
	want(t, a, "S saved tunnels  esc back")
	wantNot(t, a, "x stop", "R reconnect") // there is nothing to stop
	press(t, a, "0")                       // among all services it is in sight
	want(t, a, "begin here: F on "+service+", then enter")
	addRow(a, somewhere("127.0.0.1:3128"))
	wantNot(t, a, "begin here")
	b := visiting(t, c, 80, 24) // an account of one's own
	wantNot(t, b, "begin here")
}
