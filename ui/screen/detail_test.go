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

func TestRatesOfConnectionsFollowTheirBytes(t *testing.T) {
	p := pace{}.next(start(), 1000)
	if p = p.next(start().Add(300*time.Millisecond), 2000); p.rate != 0 {
		t.Errorf("after 0.3 s: got %g, want no figure yet", p.rate)
	}
	if p = p.next(start().Add(2*time.Second), 5000); p.rate != 2000 {
		t.Errorf("4000 bytes in 2 s: got %g a second, want 2000", p.rate)
	}
	if p = p.next(start().Add(-time.Hour), 6000); p.rate != 0 {
		t.Errorf("after the clock was set back: got %g, want 0", p.rate)
	}
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
