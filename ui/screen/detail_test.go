package screen

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"culvert/tunnel"
)

// busy are connections of every kind, oldest first, as the engine lists them.
func busyConnections() []tunnel.Connection {
	at := func(seconds int) time.Time { return start().Add(time.Duration(seconds) * time.Second) }
	return []tunnel.Connection{
		{ID: 1, Started: at(-60), Ended: at(-59), Protocol: tunnel.ProtocolHTTPConnect, Host: "billing.internal:443", Sent: 900, Received: 4200},
		{ID: 2, Started: at(-50), Ended: at(-20), Protocol: tunnel.ProtocolHTTP, Host: "blocked.internal", Sent: 130, Err: fmt.Errorf("read: %w", errors.New("connection reset by peer\x1b[2J"))},
		{ID: 3, Started: at(-40), Protocol: tunnel.ProtocolHTTPConnect, Host: "orders.internal:443", Sent: 12_000, Received: 48_000_000},
		{ID: 4, Started: at(-3), Protocol: tunnel.ProtocolUnknown, Sent: 1, Received: 2},
	}
}

func oldHistory() []tunnel.Event {
	link := somewhere("127.0.0.1:3128").Link
	first := link
	first.Session, first.Target.Task = "demo-000000000000000000000001", "1111111111111111111111111111aaaa"
	at := func(seconds int) time.Time { return start().Add(time.Duration(seconds) * time.Second) }
	return []tunnel.Event{
		{State: tunnel.Starting, At: at(-180)},
		{State: tunnel.Open, At: at(-178), Link: first},
		{State: tunnel.Reopening, At: at(-121), Link: first, Err: &tunnel.EndedError{Session: first.Session}},
		{State: tunnel.Open, At: at(-120), Link: link},
	}
}

// onPage opens the page about a tunnel with connections and a history.
func onPage(t *testing.T, a *app) *detail {
	t.Helper()
	r := addRow(a, somewhere("127.0.0.1:3128"))
	flow(r, 120)
	for _, c := range busyConnections()[:2] {
		r.hosts.end(c)
	}
	d := newDetail(a.look, a.tunnels, r)
	a.grant(show(d))
	d.fill(busyConnections(), oldHistory())
	return d
}

func TestOneTunnelTellsEverything(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		a := newTestApp(t, Options{}, size[0], size[1])
		d := onPage(t, a)
		name := fmt.Sprintf("detail-%dx%d", size[0], size[1])
		golden(t, name+"-connections", shot(a))
		press(t, a, "v")
		golden(t, name+"-hosts", shot(a))
		press(t, a, "v", "j")
		golden(t, name+"-history", shot(a))
		press(t, a, "v")
		if d.side != connectionSheet {
			t.Errorf("after the history comes %d, want the connections", d.side)
		}
		wellFormed(t, a)
	}
}

func TestConnectionsAreFilteredAndSorted(t *testing.T) {
	a := newTestApp(t, Options{}, 140, 40)
	d := onPage(t, a)
	press(t, a, "/")
	typed(t, a, "billing")
	press(t, a, "enter")
	want(t, a, "billing.internal:443", "[connections 1 of 4]")
	wantNot(t, a, "orders.internal:443")
	press(t, a, "esc")
	want(t, a, "orders.internal:443", "Tunnel 127.0.0.1:3128")
	for d.connections.SortedBy() != 2 { // bytes received
		press(t, a, "o")
	}
	press(t, a, "O")
	screen := shot(a)
	if strings.Index(screen, "orders.internal:443") > strings.Index(screen, "billing.internal:443") {
		t.Errorf("sorted by bytes received, the most first:\n%s", screen)
	}
	press(t, a, "esc")
	wantNot(t, a, "[connections")
}

func TestHowAConnectionEndedIsToldInFull(t *testing.T) {
	a := newTestApp(t, Options{}, 80, 30)
	onPage(t, a)
	press(t, a, "G", "k")
	want(t, a, "failed", `! read: connection reset by peer\x1b[2J`)
}

func TestARowAndItsTunnelTellOneRate(t *testing.T) {
	now := start()
	a := newTestApp(t, Options{Now: func() time.Time { return now }}, 200, 40)
	r := addRow(a, somewhere("127.0.0.1:3128"))
	old := tunnel.Connection{ID: 1, Started: start().Add(-time.Minute), Protocol: tunnel.ProtocolHTTP, Host: "old.internal"}
	young := tunnel.Connection{ID: 2, Protocol: tunnel.ProtocolHTTP, Host: "young.internal"}
	d := newDetail(a.look, a.tunnels, r)
	a.grant(show(d))
	pass := func(connections ...*tunnel.Connection) {
		now = now.Add(100 * time.Millisecond)
		a.now = now
		var all []tunnel.Connection
		r.Stats.Sent, r.Stats.Received = 0, 0
		for _, c := range connections {
			c.Sent, c.Received = c.Sent+100, c.Received+5000
			r.Stats.Sent, r.Stats.Received = r.Stats.Sent+c.Sent, r.Stats.Received+c.Received
			all = append(all, *c)
		}
		r.meter.observe(now, r.Stats.Sent, r.Stats.Received)
		d.fill(all, nil)
	}
	for range 5 {
		r.meter.observe(now, 0, 0)
		now = now.Add(100 * time.Millisecond)
	}
	pass(&old)
	if line := lineWith(t, a, "old.internal"); !strings.Contains(line, "…") {
		t.Errorf("before it was measured: got %q, want no figure", line)
	}
	for range 12 {
		pass(&old)
	}
	if line := lineWith(t, a, "old.internal"); !strings.Contains(line, "50 kB/s  1.0 kB/s") {
		t.Errorf("got %q, want the rates of the tunnel", line)
	}
	want(t, a, "received 50 kB/s", "sent 1.0 kB/s")
	young.Started = now
	for range 3 {
		pass(&old, &young)
	}
	want(t, a, "received 65 kB/s", "sent 1.3 kB/s")
	if line := lineWith(t, a, "young.internal"); !strings.Contains(line, "15 kB/s   300 B/s") {
		t.Errorf("a connection of 0.3 s: got %q, want its share of the second", line)
	}
}

// lineWith is the line of the screen that has a text.
func lineWith(t *testing.T, a *app, text string) string {
	t.Helper()
	for line := range strings.Lines(shot(a)) {
		if strings.Contains(line, text) {
			return line
		}
	}
	t.Fatalf("no line has %q:\n%s", text, shot(a))
	return ""
}

func TestHistoryTellsHowLongAStateLasted(t *testing.T) {
	got := steps(oldHistory(), start())
	if len(got) != 4 || got[0].lasted != 2*time.Minute || got[1].lasted != time.Second || got[3].State != tunnel.Starting {
		t.Errorf("got %+v", got)
	}
	if got := steps(nil, start()); len(got) != 0 {
		t.Errorf("got %+v of nothing", got)
	}
}

func TestStopAndCopyWorkOnThePageToo(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	onPage(t, a)
	asKnown(a, "http-proxy")
	press(t, a, "y")
	want(t, a, "http://127.0.0.1:3128")
	press(t, a, "esc", "x")
	want(t, a, "stop 127.0.0.1:3128?")
}

// Who comes back from a page has the keyboard where it was: the next key is for the tunnel that was looked at.
func TestEscLeadsBackToWhereThePageWasOpened(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "t", "enter")
	want(t, a, "[connections")
	press(t, a, "L", "esc")
	want(t, a, "[connections")
	press(t, a, "esc")
	if !a.below {
		t.Error("the keyboard is not with the tunnels, where the page was opened")
	}
	press(t, a, "tab", "L", "esc")
	if a.below {
		t.Error("the keyboard is with the tunnels, although the page was opened from elsewhere")
	}
}
