package screen

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/tunnel"
)

func forward(form string) tunnel.Forward {
	f, err := tunnel.ParseForward(form)
	if err != nil {
		panic(err)
	}
	return f
}

// savedPair are two saved tunnels in a group.
func savedPair() Saved {
	squid := aws.Target{Cluster: "automation", Service: "squid"}
	return Saved{
		Tunnels: []SavedTunnel{
			{Name: "squid", Target: squid, Forward: forward("3128")},
			{Name: "orders-db", Target: squid, Forward: forward("15432:orders-db.internal:5432")},
		},
		Groups: []SavedGroup{{Name: "dev", Tunnels: []string{"squid", "orders-db"}}},
	}
}

func TestSavedTunnelsAreMarkedWhileTheyRun(t *testing.T) {
	a := newTestApp(t, Options{Saved: savedPair()}, 100, 30)
	press(t, a, "S")
	want(t, a, "Saved tunnels", "– stopped")
	addRow(a, somewhere("127.0.0.1:3128")) // opened by hand, yet the same
	a.Update(tickMsg{a.beat})
	want(t, a, "◐ 1 of 2 running", "● open")
	db := somewhere("127.0.0.1:15432")
	db.Spec.Remote, db.Spec.Local = tunnel.Endpoint{Host: "orders-db.internal", Port: 5432}, forward("15432:orders-db.internal:5432").Local
	addRow(a, db)
	a.Update(tickMsg{a.beat})
	want(t, a, "● running")
	golden(t, "saved-100x30", shot(a))
	press(t, a, "enter")
	want(t, a, "dev runs already")
}

func TestSavingOffersWhatIsOpenAndNew(t *testing.T) {
	var got []SavedTunnel
	o := Options{Saved: savedPair(), Save: func(fresh []SavedTunnel) (string, error) { got = fresh; return "/home/kim/config.yaml", nil }}
	a := newTestApp(t, o, 100, 30)
	press(t, a, "s")
	want(t, a, "no tunnel is open")
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "s")
	want(t, a, "every open tunnel is saved already")
	other := somewhere("127.0.0.1:9999")
	other.Spec.Remote.Port = 8080
	other.Spec.Target.Task = "0123" // of the moment
	addRow(a, other)
	host := somewhere("127.0.0.1:5432")
	host.Spec.Remote = tunnel.Endpoint{Host: "10.0.0.7", Port: 5432}
	addRow(a, host)
	press(t, a, "s")
	want(t, a, "squid-2: automation/squid 9999:8080", "tunnel-10-0-0-7: automation/squid")
	press(t, a, "y")
	want(t, a, "saved 2 tunnels to /home/kim/config.yaml")
	if len(got) != 2 || got[0].Name != "squid-2" || got[0].Target.Task != "" || got[0].Forward.Local.Port() != 9999 || got[1].Forward != forward("5432:10.0.0.7:5432") {
		t.Errorf("got %+v", got)
	}
	press(t, a, "s")
	want(t, a, "every open tunnel is saved already")
}

func TestSavingThatFailsSaysWhatToDo(t *testing.T) {
	a := newTestApp(t, Options{Save: func([]SavedTunnel) (string, error) { return "", &NowhereError{} }}, 100, 30)
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "s", "enter")
	want(t, a, (&NowhereError{}).Error(), (&NowhereError{}).Remedy())
}

func TestTasksWithoutAServiceAreNotSaved(t *testing.T) {
	a := newTestApp(t, Options{Save: func([]SavedTunnel) (string, error) { return "", errors.New("called") }}, 100, 30)
	r := somewhere("127.0.0.1:3128")
	r.Spec.Target = aws.Target{Cluster: "c", Task: "0123"}
	addRow(a, r)
	press(t, a, "s")
	want(t, a, "cannot be saved")
}

func TestTunnelsForOthersAreAskedAbout(t *testing.T) {
	saved := savedPair()
	saved.Tunnels[0].Forward = forward("0.0.0.0:3128:3128")
	a := newTestApp(t, Options{Saved: saved}, 100, 30)
	press(t, a, "S", "enter")
	want(t, a, "squid listens on 0.0.0.0", "Everybody who reaches this machine")
	press(t, a, "esc")
	press(t, a, "G", "enter") // the other one needs no question
	want(t, a, "not signed in yet")
}

func TestAProjectFileIsNamedWhenItFirstHasAnEffect(t *testing.T) {
	saved := savedPair()
	for i := range saved.Tunnels {
		saved.Tunnels[i].Project = "/src/shop/.culvert.yaml"
	}
	a := newTestApp(t, Options{Saved: saved}, 100, 30)
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Keys: aws.Keys{ID: "AKIDEXAMPLE", Secret: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	a.here.client = client
	press(t, a, "S")
	wantNot(t, a, "/src/shop/.culvert.yaml")
	p := newSaved(a.look, a.accounts, a.tunnels, a.shelf, a.o)
	a.grant(p.startNow(saved.Tunnels[:1])) // what it would do next is not done here
	want(t, a, "using the project file /src/shop/.culvert.yaml")
	a.notice = notice{}
	a.grant(p.startNow(saved.Tunnels[1:]))
	wantNot(t, a, "using the project file")
}

func TestAnEmptyConfigShowsHowToFillIt(t *testing.T) {
	a := newTestApp(t, Options{}, 80, 24)
	press(t, a, "S")
	want(t, a, "no tunnels yet", "squid: {target: automation/squid")
	press(t, a, "S", "S", "esc") // S again stays here, one esc leaves
	wantNot(t, a, "Saved tunnels")
}

func TestPlainNamesNeedNoQuotes(t *testing.T) {
	for from, want := range map[string]string{"squid": "squid", "": "tunnel-", "10.0.0.7": "tunnel-10-0-0-7", "a b\x1b:c": "a-b--c", "-x-": "x", "サ": "tunnel-"} {
		if got := plainName(from); got != want || strings.ContainsAny(got, " :\x1b") {
			t.Errorf("%q: got %q, want %q", from, got, want)
		}
	}
}

func TestATunnelAskedForElsewhereIsNotTheSavedOne(t *testing.T) {
	anyPort := savedPair().Tunnels[0]
	for name, c := range map[string]struct {
		asked, got uint16
		runs       bool
	}{"any free port": {0, 40_000, true}, "the remote one's number": {3128, 3128, true}, "another by number": {9191, 9191, false}} {
		r := somewhere(fmt.Sprintf("127.0.0.1:%d", c.got))
		r.Spec.Local = netip.AddrPortFrom(netip.Addr{}, c.asked)
		if runs := anyPort.runs(&row{reading: r}); runs != c.runs {
			t.Errorf("%s: got %t, want %t", name, runs, c.runs)
		}
	}
}

func TestSavedARNDoesNotRunAsTheSameNameElsewhere(t *testing.T) {
	target, err := aws.ParseTarget("arn:aws:ecs:eu-west-1:111122223333:service/automation/squid")
	if err != nil {
		t.Fatal(err)
	}
	s := SavedTunnel{Name: "squid", Target: target, Forward: forward("3128")}
	running := func(region, account string) *row {
		r := &row{place: &place{region: region, identity: aws.Identity{Account: account}}}
		r.Spec = tunnel.Spec{Target: aws.Target{Cluster: "automation", Service: "squid"}, Remote: s.Forward.Remote}
		r.Local = netip.MustParseAddrPort("127.0.0.1:3128")
		return r
	}
	for _, test := range []struct {
		region, account string
		runs            bool
	}{{"eu-west-1", "111122223333", true}, {"eu-west-1", "", true}, {"us-east-1", "111122223333", false}, {"eu-west-1", "999922223333", false}} {
		if got := s.runs(running(test.region, test.account)); got != test.runs {
			t.Errorf("in %s of %q: got %v, want %v", test.region, test.account, got, test.runs)
		}
	}
}
