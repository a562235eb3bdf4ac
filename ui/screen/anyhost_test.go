package screen

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/tunnel/front"
)

// rules are patterns of a test.
func rules(t testing.TB, forms ...string) []front.Pattern {
	t.Helper()
	parsed, err := patterns(forms)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestTheDialogLeadsToAnyHost(t *testing.T) {
	a := dialog(t, Options{}, "enter", "G", "up", "D")
	a.dialog.(*connect).local.Set("1080") // whatever is free on this machine
	want(t, a, "any host through automation/squid", "any ready task of the service, now 2 of 2", "remote host   any host", "local port    1080", "everything goes through the task", "destinations  48")
	if got := command(t, a); got != "culvert --headless --profile dev --region eu-west-1 --target automation/squid -D 1080" {
		t.Errorf("got %s", got)
	}
	typed(t, a, "*.internal, 10.0.0.0/8") // the keyboard is on via
	press(t, a, "tab")
	typed(t, a, "db?.internal:22")
	press(t, a, "tab")
	typed(t, a, "0")
	want(t, a, "a number from 1 to 1,000")
	if _, ok := a.dialog.(*connect).valid(); ok {
		t.Error("no destination at all is taken")
	}
	clearField(t, a)
	typed(t, a, "12")
	says(t, a, `-D 1080 --via '*.internal' --via 10.0.0.0/8 --deny 'db?.internal:22' --destinations 12`)
	want(t, a, `dynamic: "1080"`, "via: |", "*.internal", `deny: "db?.internal:22"`)
	press(t, a, "up", "up", "up")
	clearField(t, a)
	typed(t, a, "10.1.2.3:1080")
	want(t, a, "others could use the tunnel", "--bind 10.1.2.3")
	clearField(t, a)
	typed(t, a, "x")
	want(t, a, `"x"`)
	if _, ok := a.dialog.(*connect).valid(); ok {
		t.Error("a port that is none is taken")
	}
}

func TestTheForwardDialogOffersAnyHost(t *testing.T) {
	a := dialog(t, Options{}, "enter", "G", "up", "F")
	d := a.dialog.(*connect)
	press(t, a, "tab", "right")
	want(t, a, "▌ remote host   any host", "local port    ", "destinations  48")
	wantNot(t, a, "remote port")
	if f, err := d.forward(); err != nil || f.Dynamic == nil || f.Remote != (tunnel.Endpoint{}) {
		t.Errorf("got %+v, %v, want one to any host", f, err)
	}
	press(t, a, "right") // and back
	want(t, a, "the container itself", "remote port   3128")
	press(t, a, "right")
	typed(t, a, "d") // a host after all
	want(t, a, "▌ remote host   d", "remote port   3128")
	if at := d.fields()[d.at]; at != d.host {
		t.Errorf("the keyboard is on %s, want the field that it was on", at.Name)
	}
	clearField(t, a)
	press(t, a, "right", "backspace")
	if got := d.host.Value(); got != "" || d.any {
		t.Errorf("after backspace: %q, any host %t, want nothing", got, d.any)
	}
}

func TestALocalPortThatIsTakenGivesWayToTheNext(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	a := dialog(t, Options{}, "enter", "G", "up", "D")
	d := a.dialog.(*connect)
	d.local.Set(fmt.Sprint(port))
	settle(t, a, a.grant(d.askFree()))
	if got := d.local.Value(); got == fmt.Sprint(port) {
		t.Errorf("port %s is proposed and in use", got)
	}
	want(t, a, "in use")
	typed(t, a, "?") // a pattern that is not done yet keeps nobody from asking
	d.chosen = true
	d.local.Set(fmt.Sprint(port))
	settle(t, a, a.grant(d.askFree()))
	if !strings.Contains(d.local.Wrong, "in use") {
		t.Errorf("a port that was chosen and is taken: got %q", d.local.Wrong)
	}
}

func TestAnyHostThroughAClusterAsksForTheService(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 40)
	press(t, a, "D")
	want(t, a, "any host through", "squid", "2 ready tasks")
	press(t, a, "1")
	want(t, a, "any host through automation/squid", "local port")
	press(t, a, "esc", "down", "D")
	want(t, a, "open it with enter and choose a service or a task")
	press(t, a, "t", "D")
	want(t, a, "D leads to any host through a service, task or container")
	a = newTestApp(t, Options{ReadOnly: true}, 100, 40)
	arrives(a, sampleAccount())
	press(t, a, "enter", "D")
	want(t, a, "--read-only")
}

func TestTheAnyHostDialogFitsEverySize(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {200, 50}} {
		a := visiting(t, sampleAccount(), size[0], size[1])
		press(t, a, "G", "enter", "D") // of several containers
		d := a.dialog.(*connect)
		want(t, a, "via", "deny", "destinations", "keep-alive")
		typed(t, a, strings.Repeat("*.internal ", 30))
		wellFormed(t, a)
		d.failure = &tunnel.PortTakenError{Address: "127.0.0.1:1080"}
		want(t, a, "! 127.0.0.1:1080 is in use")
		wellFormed(t, a)
		if got := d.fields()[d.at]; got != d.via {
			t.Errorf("at %v the keyboard is on %s, want via", size, got.Name)
		}
	}
}

// anywhere is a saved tunnel to any host.
func savedAnywhere(t *testing.T) SavedTunnel {
	t.Helper()
	f, err := tunnel.ParseDynamic("1080")
	if err != nil {
		t.Fatal(err)
	}
	f.Dynamic.Via, f.Dynamic.Deny, f.Dynamic.Warm = rules(t, "*.internal", "10.0.0.0/8"), rules(t, "secret.internal"), []tunnel.Endpoint{{Host: "fd00::7", Port: 443}}
	return SavedTunnel{Name: "private", Target: aws.Target{Cluster: "automation", Service: "squid"}, Forward: f}
}

func TestATunnelToAnyHostIsSavedEditedAndKnownAgain(t *testing.T) {
	a, b := keeping(t, Saved{Tunnels: []SavedTunnel{savedAnywhere(t)}})
	press(t, a, "S")
	want(t, a, "-D 1080 --via *.int", "– stopped")
	r := anywhereFrom()
	r.Spec.Dynamic = &tunnel.Dynamic{Via: rules(t, "*.internal"), Deny: rules(t, "secret.internal")}
	row := addRow(a, r)
	a.Update(tickMsg{a.beat})
	want(t, a, "– stopped") // by other rules it is another tunnel
	press(t, a, "e")
	want(t, a, "edit private", "any host at   1080", "*.internal 10.0.0.0/8", "secret.internal", "destinations  48")
	press(t, a, "down", "down", "down")
	typed(t, a, " db?.internal:99999")
	press(t, a, "enter")
	if len(b.changes) > 0 || a.dialog == nil {
		t.Fatalf("a pattern that is none was saved: %+v", b.changes)
	}
	clearField(t, a)
	typed(t, a, "*.internal")
	press(t, a, "down")
	clearField(t, a)
	press(t, a, "down")
	typed(t, a, "12")
	press(t, a, "enter")
	want(t, a, "saved private in /home/kim/config.yaml")
	is := b.changes[0].Is
	if d := is.Forward.Dynamic; d == nil || d.Destinations != 12 || len(d.Via) != 1 || len(d.Deny) != 0 || len(d.Warm) != 1 {
		t.Fatalf("got %+v, want what was typed, and what no field is for", is.Forward.Dynamic)
	}
	row.Spec.Dynamic = &tunnel.Dynamic{Via: rules(t, "*.internal"), Destinations: 12, Wait: time.Minute}
	a.Update(tickMsg{a.beat})
	want(t, a, "● open")
	press(t, a, "esc", "t", "s")
	want(t, a, "this tunnel is saved already, as private")
	row.Spec.Dynamic = &tunnel.Dynamic{}
	press(t, a, "s")
	want(t, a, "squid-any", "any host at   1080", "everything goes through the task")
}

func TestATunnelToAnyHostIsChangedWithItsOwnValues(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 40)
	arrives(a, sampleAccount())
	r := anywhereFrom()
	r.Spec.Dynamic = savedAnywhere(t).Forward.Dynamic
	r.Spec.Dynamic.Destinations, r.State = 7, tunnel.Failed
	addRow(a, r)
	press(t, a, "t", "e")
	d, ok := a.dialog.(*connect)
	if !ok {
		t.Fatalf("e opened no dialog:\n%s", shot(a))
	}
	want(t, a, "change automation/squid", "any host", "*.internal 10.0.0.0/8", "secret.internal", "destinations  7")
	if f, err := d.forward(); err != nil || !f.Dynamic.Same(r.Spec.Dynamic) {
		t.Errorf("the form says %+v, %v, want what the tunnel was", f.Dynamic, err)
	}
}

func TestWhatWasOpenToAnyHostIsRemembered(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 40)
	r := addRow(a, anywhereFrom())
	r.Spec.Dynamic = savedAnywhere(t).Forward.Dynamic
	r.Spec.Dynamic.Destinations = 7
	a.memory.opened(r)
	if len(a.memory.pending) != 1 {
		t.Fatal("it was not noted")
	}
	noted := a.memory.pending[0].Tunnel
	back, ok := saved(noted)
	if !ok || back.Forward.String() != "1080" || !sameFar(back.Forward, forwardOf(r.Spec, 1080)) || len(back.Forward.Dynamic.Warm) != 1 || back.Forward.Dynamic.Warm[0].Host != "fd00::7" {
		t.Errorf("got %+v, %t, want the tunnel that was open", back.Forward.Dynamic, ok)
	}
	noted.Dynamic.Via = []string{"[", "*.internal"}
	if _, ok := saved(noted); ok {
		t.Error("a file with a pattern that is none is believed")
	}
	kept := (&keeper{tunnels: a.tunnels, demo: true}).of(r)
	if got := strings.Join(kept.Flags, " "); !strings.Contains(got, "-D 1080 --via *.internal --via 10.0.0.0/8 --deny secret.internal --destinations 7 --warm [fd00::7]:443") {
		t.Errorf("it goes on with %s", got)
	}
}
