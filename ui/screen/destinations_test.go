package screen

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/control"
)

// anywhereFrom is the reading of an open tunnel to any host, with destinations of every kind.
func anywhereFrom() reading {
	r := somewhere("127.0.0.1:1080")
	r.Spec.Remote, r.Spec.Dynamic = tunnel.Endpoint{}, &tunnel.Dynamic{}
	lead(&r, someDestinations())
	return r
}

func someDestinations() []tunnel.Destination {
	at := func(seconds int) time.Time { return start().Add(time.Duration(seconds) * time.Second) }
	link := func(n int) tunnel.Link {
		return tunnel.Link{Session: fmt.Sprintf("ecs-execute-command-00000000000000000%d", n), Target: aws.Target{Task: fmt.Sprintf("%d111111111111111111111111111aaaa", n)}, Agent: "3.3.987.0"}
	}
	return []tunnel.Destination{
		{Endpoint: tunnel.Endpoint{Host: "orders.internal", Port: 80}, State: tunnel.Open, Link: link(1), Stats: tunnel.Stats{Sent: 1290, Received: 48_211, Connections: 2}, Opened: at(-120), Used: at(-1)},
		{Endpoint: tunnel.Endpoint{Host: "billing.internal", Port: 443}, State: tunnel.Open, Link: link(2), Stats: tunnel.Stats{Sent: 90, Received: 1200}, Opened: at(-90), Used: at(-65)},
		{Endpoint: tunnel.Endpoint{Host: "orders-db.internal", Port: 5432}, State: tunnel.Open, Link: link(1), Warm: true, Opened: at(-180), Used: at(-180)},
		{Endpoint: tunnel.Endpoint{Host: "nowhere.internal", Port: 80}, State: tunnel.Reopening, Err: fmt.Errorf("connect to nowhere.internal:80: %w", errors.New("no such host\x1b[2J")), Opened: at(-3)},
		{Endpoint: tunnel.Endpoint{Host: "registry.npmjs.org", Port: 443}, State: tunnel.Open, Direct: true, Opened: at(-30), Used: at(-30)},
		{Endpoint: tunnel.Endpoint{Host: "fd00::7", Port: 8080}, State: tunnel.Starting},
	}
}

// onDestinations opens the page about such a tunnel.
func onDestinations(t testing.TB, a *app) *detail {
	t.Helper()
	r := addRow(a, anywhereFrom())
	flow(r, 120)
	d := newDetail(a.look, a.tunnels, r)
	a.grant(show(d))
	return d
}

func TestATunnelToAnyHostListsItsDestinations(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {160, 50}, {200, 50}} {
		a := newTestApp(t, Options{}, size[0], size[1])
		onDestinations(t, a)
		wellFormed(t, a)
		golden(t, fmt.Sprintf("destinations-%dx%d", size[0], size[1]), shot(a))
		press(t, a, "j", "enter") // nowhere.internal
		wellFormed(t, a)
		press(t, a, "esc", "4")
		wellFormed(t, a)
		if size[0] == 60 {
			want(t, a, "[history 0]")
		}
	}
	a := newTestApp(t, Options{}, 200, 50)
	onDestinations(t, a)
	want(t, a, "127.0.0.1:1080", "squid › any host 5/48", "1 [destinations 6]", "2  connections 0", "3  hosts 0", "4  history 0")
	for host, wants := range map[string][]string{
		"orders.internal:80":     {"● open", "11111111", "ecs-exec", "2m00s", " 2 "},
		"billing.internal:443":   {"● open", "1m05s", " 0 "},
		"registry.npmjs.org:443": {"● direct", "direct"},
		"nowhere.internal:80":    {"◐ reopening", `no such host\x1b[2J`},
		"[fd00::7]:8080":         {"◐ starting", "–"},
	} {
		line := lineWith(t, a, host)
		for _, text := range wants {
			if !strings.Contains(line, text) {
				t.Errorf("%s: got %q, want %q in it", host, line, text)
			}
		}
	}
	if line := lineWith(t, a, "[fd00::7]:8080"); strings.Contains(line, "ago") || strings.Contains(line, "48y") || strings.Contains(line, "h") {
		t.Errorf("what is not known is shown as a figure: %q", line)
	}
	press(t, a, "j", "j") // nowhere.internal, by its name
	want(t, a, `! connect to nowhere.internal:80: no such host\x1b[2J`)
	press(t, a, "/")
	typed(t, a, "orders")
	press(t, a, "enter")
	want(t, a, "[destinations 2 of 6]")
	wantNot(t, a, "billing.internal:443")
}

func TestTheCursorStaysOnItsDestination(t *testing.T) {
	a := newTestApp(t, Options{}, 120, 40)
	d := onDestinations(t, a)
	press(t, a, "G")
	before := d.destinations.At()
	lead(&d.row.reading, append([]tunnel.Destination{{Endpoint: tunnel.Endpoint{Host: "a.internal", Port: 1}, State: tunnel.Open}}, someDestinations()...))
	d.tick()
	if got := d.destinations.At(); got != before || before == "" {
		t.Errorf("the cursor is on %s, was on %s", got, before)
	}
	press(t, a, "o", "o", "o", "O") // by connections, the most first
	screen := shot(a)
	if strings.Index(screen, "orders.internal:80") > strings.Index(screen, "billing.internal:443") {
		t.Errorf("not sorted by connections:\n%s", screen)
	}
}

func TestADestinationHasAPageOfItsOwn(t *testing.T) {
	a := newTestApp(t, Options{}, 120, 40)
	d := onDestinations(t, a)
	d.destinations.MoveTo("orders.internal:80")
	press(t, a, "enter")
	p, ok := a.page().(*destinationPage)
	if !ok {
		t.Fatalf("enter opened no page:\n%s", shot(a))
	}
	want(t, a, "no connection has gone there yet")
	p.fill(busyConnections())
	want(t, a, "orders.internal:80  ● open", "127.0.0.1:1080 › squid › any host 5/48", "session ecs-execute-command-000000000000000001", "48 MB", "failed", "48 kB received · 1.3 kB sent · open for 2m00s", "x end")
	press(t, a, "G", "k")
	want(t, a, "! read: connection reset by peer")
	lead(&d.row.reading, someDestinations()[1:])
	p.tick()
	want(t, a, "– not open", "the next client that asks for it opens it")
	press(t, a, "esc")
	a.Update(tickMsg{a.beat})
	want(t, a, "[destinations 5]")
	in := a.layout().Body.Inner()
	click := tea.MouseClickMsg{X: in.X + 3, Y: in.Y + d.above + 3, Button: tea.MouseLeft}
	a.Update(click)
	a.Update(click)
	if p, ok := a.page().(*destinationPage); !ok || p.name != "nowhere.internal:80" {
		t.Errorf("a double click on the third row shows\n%s", shot(a))
	}
}

func TestAThousandDestinationsAreDrawnQuicklyEnough(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("timings mean nothing with -race, and take too long with -short")
	}
	now := start()
	a := newTestApp(t, Options{Now: func() time.Time { return now }}, 200, 50)
	d := onDestinations(t, a)
	var all []tunnel.Destination
	for i := range 1000 {
		one := someDestinations()[i%6]
		one.Endpoint.Host = fmt.Sprintf("host-%d.production.internal", i)
		all = append(all, one)
	}
	beat := func() {
		now = now.Add(100 * time.Millisecond)
		a.now = now
		for i := range all {
			all[i].Stats.Received += uint64(i)
		}
		lead(&d.row.reading, all)
		d.tick()
		a.View()
	}
	for range 20 {
		beat()
	}
	want(t, a, "[destinations 1,000]")
	tick := best(50, beat)
	t.Logf("a tick with 1,000 destinations: %s", tick)
	if tick > 3*time.Millisecond {
		t.Errorf("a tick with 1,000 destinations took %s, want 3 ms at the most", tick)
	}
	lead(&d.row.reading, all[:10])
	d.tick()
	if len(d.rates) != 10 {
		t.Errorf("%d destinations are remembered, want the 10 that are open", len(d.rates))
	}
}

func TestWhatIsCopiedOfATunnelToAnyHost(t *testing.T) {
	r := anywhereFrom()
	r.Spec.Dynamic = &tunnel.Dynamic{Via: rules(t, "*.internal"), Deny: rules(t, "db?.internal:22"), Destinations: 9}
	a := newTestApp(t, Options{}, 120, 40)
	row := addRow(a, r)
	texts := map[string]string{}
	for _, c := range proxyCopies(row.reading, a.tunnels.commandOf(row)) {
		texts[c.Name] = c.Text
	}
	for name, want := range map[string]string{
		"curl line": "curl -x http://127.0.0.1:1080 https://HOST/", "PAC URL": "http://127.0.0.1:1080/proxy.pac", "URL": "http://127.0.0.1:1080",
		"SOCKS URL": "socks5h://127.0.0.1:1080", "address": "127.0.0.1:1080",
		"culvert line": "culvert --headless --profile dev --region eu-west-1 --target automation/squid -D 1080 --via '*.internal' --deny 'db?.internal:22' --destinations 9",
	} {
		if texts[name] != want {
			t.Errorf("%s: got %q, want %q", name, texts[name], want)
		}
	}
	for _, c := range []struct {
		host     string
		port     uint16
		answered tunnel.Protocol
		want     string
	}{
		{"orders.internal", 80, tunnel.ProtocolHTTP, "curl -x http://127.0.0.1:1080 http://orders.internal/"},
		{"billing.internal", 443, tunnel.ProtocolUnknown, "curl -x http://127.0.0.1:1080 https://billing.internal/"},
		{"admin.internal", 8443, tunnel.ProtocolTLS, "curl -x http://127.0.0.1:1080 https://admin.internal:8443/"},
		{"fd00::7", 8080, tunnel.ProtocolUnknown, "curl -x http://127.0.0.1:1080 'http://[fd00::7]:8080/'"},
		{"orders-db.internal", 5432, tunnel.ProtocolUnknown, "socat TCP4-LISTEN:15432,bind=127.0.0.1,reuseaddr,fork PROXY:127.0.0.1:orders-db.internal:5432,proxyport=1080 & psql 'host=orders-db.internal hostaddr=127.0.0.1 port=15432 user=USER dbname=DATABASE'"},
		{"git.internal", 22, tunnel.ProtocolSSH, "ssh -o 'ProxyCommand=nc -X 5 -x 127.0.0.1:1080 %h %p' USER@git.internal"},
		{"x,exec=id #", 5432, tunnel.ProtocolPostgres, "x,exec=id #:5432"}, // no host: it comes into no line
	} {
		if got := destinationCopies(row.reading, tunnel.Endpoint{Host: c.host, Port: c.port}, c.answered)[0].Text; got != c.want {
			t.Errorf("%s:%d %s: got %s, want %s", c.host, c.port, c.answered, got, c.want)
		}
	}
	press(t, a, "t", "enter", "2", "y")
	want(t, a, "1  exports", "4  PAC URL", "culvert line")
	press(t, a, "esc", "1", "G", "y")
	want(t, a, "1  curl line", "https://registry.npmjs.org/")
}

func TestHeldDestinationsAreShown(t *testing.T) {
	set := devSet()
	set.Tunnels[0].Dynamic, set.Tunnels[0].Remote = &control.Dynamic{Via: []string{"*.internal"}, Destinations: 12}, "any host"
	set.Tunnels[0].Destinations = []control.Destination{
		{Destination: "orders.internal:80", State: "open", Task: "0123", Session: "s-1", Connections: 3, Opened: start().Add(-time.Minute), Used: start()},
		{Destination: "[fd00::7]:443", State: "reopening", Error: "no route\x1b[2J", Remedy: "ask"},
	}
	behind := map[string][]control.Connection{"orders.internal:80": {
		{ID: 1, Started: start(), Ended: start(), Protocol: "http", Host: "orders.internal\x1b[2J", Sent: 130, Error: "reset\x1b[2J", Remedy: "ask its owner"},
		{ID: 2, Started: start(), Protocol: "http", Host: "orders.internal", Received: 48_000_000},
	}}
	up := answers(t, control.Holder{Destination: func(id int, to string) (control.Detail, bool) {
		return control.Detail{ID: id, Omitted: 1844, Connections: behind[to]}, id == 1
	}})
	a := newTestApp(t, Options{Up: up}, 200, 40)
	a.tunnels.hold([]control.Set{set})
	want(t, a, "squid › any host 2/12", "up dev")
	press(t, a, "t", "enter")
	want(t, a, "[destinations 2]", "orders.internal:80", "[fd00::7]:443", `no route\x1b[2J`)
	press(t, a, "enter")
	want(t, a, "asking culvert up dev")
	p := a.page().(*destinationPage)
	to := hostPort(p.at.Endpoint)
	settle(t, a, a.grant(p.ask()))
	if to != "[fd00::7]:443" { // the table begins with it
		t.Errorf("the page is about %s", to)
	}
	want(t, a, "no connection has gone there yet")
	press(t, a, "esc", "j", "enter")
	p = a.page().(*destinationPage)
	settle(t, a, a.grant(p.ask()))
	want(t, a, "orders.internal", "48 MB", "failed", `reset\x1b[2J`, "1,844 older connections are not shown")
	wellFormed(t, a)
	behind["orders.internal:80"][1].Received += 2_000_000
	if p.ask() != nil {
		t.Error("the holder is asked again at once")
	}
	a.now = a.now.Add(2 * askDetail)
	settle(t, a, a.grant(p.ask()))
	want(t, a, "50 MB", "1.0 MB/s")
	a.now = a.now.Add(askDetail)
	a.tunnels.up.Runtime += "gone"
	settle(t, a, a.grant(p.ask()))
	want(t, a, "50 MB") // what it said last
}

// A culvert of before tells of no destination's connections, and the page says whose fault it is.
func TestAnOlderHolderDoesNotTellWhatGoesToADestination(t *testing.T) {
	set := devSet()
	set.Tunnels[0].Dynamic, set.Tunnels[0].Remote = &control.Dynamic{Destinations: 12}, "any host"
	set.Tunnels[0].Destinations = []control.Destination{{Destination: "orders.internal:80", State: "open"}}
	set.Name = "old"
	a := newTestApp(t, Options{Up: holdsOld(t)}, 160, 40)
	a.tunnels.hold([]control.Set{set})
	press(t, a, "t", "enter", "enter")
	settle(t, a, a.grant(a.page().(*destinationPage).ask()))
	want(t, a, "culvert up old is held by an older culvert, which does not tell which connections go there")
	press(t, a, "x")
	want(t, a, "! culvert up old is held by an older culvert, which cannot end one destination alone", "› it ends when it has been idle for a while, or with the set")
	wantNot(t, a, "ended orders")
}

// A real tunnel to any host: what clients ask for appears, has a page, is ended and opened again.
func TestDestinationsOfARealTunnel(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(server.Close)
	address := netip.MustParseAddrPort(server.Listener.Addr().String())
	fleet := fleetOf("c")
	fleet.Hosts = map[string]string{fmt.Sprintf("web.internal:%d", 80): address.String()}
	l, account := worldOf(t, Options{}, fleet)
	l.until("as of")
	l.press("enter")
	l.until("c › services")
	l.press("D")
	l.until("any host through c/")
	l.submit()
	l.until("● open", "any host 0/48")
	r := l.a.tunnels.rows[0]
	through, err := url.Parse("http://" + r.local())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(through)}}
	answer, err := client.Get("http://web.internal/")
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(answer.Body); string(body) != "hello" {
		t.Fatalf("got %s %q", answer.Status, body)
	}
	_ = answer.Body.Close()
	l.press("t", "enter")
	l.until("[destinations 1]", "web.internal:80", "● open", "any host 1/48")
	l.press("enter")
	l.until("web.internal:80  ● open", "session ")
	l.press("x")
	if l.a.dialog != nil {
		l.press("enter")
	}
	l.until("ended web.internal:80; who asks for it opens it anew, and u does", "– not open")
	l.press("u")
	l.until("web.internal:80 is open again", "● open")
	l.press("esc")
	l.until("[destinations 1]", "any host 1/48")
	l.press(":")
	for _, letter := range "web.int" {
		l.press(string(letter))
	}
	l.until("web.internal:80")
	l.press("enter")
	l.until("[destinations 1]")
	client.CloseIdleConnections()
	l.press("2", "x")
	if l.a.dialog != nil {
		l.press("enter")
	}
	l.until("closed")
	for end := time.Now().Add(10 * time.Second); len(account.Sessions()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("sessions are left after the stop: %+v", account.Sessions())
		}
	}
}
