package screen

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

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

// book is a config file that keeps what it is told.
type book struct {
	Saved

	changes []Change
	fails   error
}

func (b *book) save(changes []Change) (Written, error) {
	kept := func() Written { return Written{Path: "/home/kim/config.yaml", Saved: b.Saved} }
	if b.fails != nil {
		return kept(), b.fails
	}
	before := b.Saved
	for _, c := range changes {
		b.changes = append(b.changes, c)
		b.Tunnels = slices.DeleteFunc(slices.Clone(b.Tunnels), func(t SavedTunnel) bool { return t.Name == c.Was.Name })
		b.Groups = slices.DeleteFunc(slices.Clone(b.Groups), func(g SavedGroup) bool { return g.Name == c.WasGroup.Name })
		if c.Is.Name != "" {
			is := c.Is
			is.Profile, is.Region = is.Entry.Profile, is.Entry.Region
			b.Tunnels = append(b.Tunnels, is)
		}
		if c.IsGroup.Name != "" {
			b.Groups = append(b.Groups, c.IsGroup)
		}
	}
	out := kept()
	out.Undo = func() (Written, error) { b.Saved = before; return kept(), nil }
	return out, nil
}

// keeping is an interface with such a file.
func keeping(t *testing.T, s Saved) (*app, *book) {
	t.Helper()
	b := &book{Saved: s}
	return newTestApp(t, Options{Saved: s, Save: b.save, Profiles: func() []string { return []string{"dev", "prod"} }}, 100, 30), b
}

func TestSavingAsksForANameAndKeepsTheAccount(t *testing.T) {
	a, b := keeping(t, savedPair())
	press(t, a, "s")
	want(t, a, "no tunnel is open")
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "s")
	want(t, a, "this tunnel is saved already, as squid")
	other := somewhere("127.0.0.1:9999")
	other.Spec.Remote.Port = 8080
	other.Spec.Target.Task = "0123" // of the moment
	addRow(a, other)
	press(t, a, "s")
	want(t, a, "squid-2", "automation/squid", "9999:8080", "dev", "eu-west-1")
	golden(t, "save-100x30", shot(a))
	for range "squid-2" {
		press(t, a, "backspace")
	}
	want(t, a, "it needs a name")
	typed(t, a, "orders-db")
	want(t, a, "there is one of that name already: the tunnel automation/squid")
	press(t, a, "enter")
	if len(b.changes) > 0 {
		t.Fatalf("saved under a name that is taken: %+v", b.changes)
	}
	typed(t, a, "2")
	press(t, a, "enter")
	want(t, a, "saved orders-db2 in /home/kim/config.yaml")
	if is := b.changes[0].Is; is.Name != "orders-db2" || is.Target.Task != "" || is.Forward.Local.Port() != 9999 || is.Entry != (Account{Profile: "dev", Region: "eu-west-1"}) {
		t.Errorf("got %+v", is)
	}
	press(t, a, "s")
	want(t, a, "every open tunnel is saved already")
	press(t, a, "t", "G", "s")
	want(t, a, "this tunnel is saved already, as orders-db2")
}

func TestOfSeveralTunnelsOneOrAllAreSaved(t *testing.T) {
	a, b := keeping(t, Saved{})
	addRow(a, somewhere("127.0.0.1:3128"))
	host := somewhere("127.0.0.1:5432")
	host.Spec.Remote = tunnel.Endpoint{Host: "10.0.0.7", Port: 5432}
	addRow(a, host)
	press(t, a, "s")
	want(t, a, "all 2", "under these names", "tunnel-10-0-0-7")
	press(t, a, "enter")
	want(t, a, "saved 2 tunnels in /home/kim/config.yaml")
	if len(b.changes) != 2 || b.changes[1].Is.Forward != forward("5432:10.0.0.7:5432") {
		t.Errorf("got %+v", b.changes)
	}
}

func TestASavedTunnelIsEditedRenamedAndPutIntoGroups(t *testing.T) {
	a, b := keeping(t, savedPair())
	press(t, a, "S", "G", "e")
	want(t, a, "edit orders-db", "15432:orders-db.internal:5432", "dev")
	golden(t, "edit-100x30", shot(a))
	typed(t, a, "-new")
	press(t, a, "tab", "tab")
	typed(t, a, "x")
	want(t, a, "✕")
	press(t, a, "enter") // nothing happens
	press(t, a, "backspace", "tab", "tab")
	press(t, a, "right", "right") // of the profiles the second
	press(t, a, "tab", "tab")
	typed(t, a, ", night")
	press(t, a, "enter")
	want(t, a, "saved orders-db-new in /home/kim/config.yaml", "S u takes it back")
	c := b.changes[0]
	if c.Was.Name != "orders-db" || c.Is.Name != "orders-db-new" || c.Is.Entry.Profile != "prod" || strings.Join(c.Groups, " ") != "dev night" {
		t.Errorf("got %+v", c)
	}
	press(t, a, "u")
	want(t, a, "taken back: /home/kim/config.yaml is what it was", "orders-db ")
	wantNot(t, a, "orders-db-new")
}

func TestDeletingIsAskedAboutAndCanBeTakenBackForAWhile(t *testing.T) {
	a, b := keeping(t, savedPair())
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "S", "down", "ctrl+d")
	want(t, a, "delete the saved tunnel squid?", "It leaves the groups dev.", "What runs goes on.")
	press(t, a, "esc")
	if len(b.changes) > 0 {
		t.Fatal("esc deleted it")
	}
	press(t, a, "ctrl+d", "enter")
	want(t, a, "deleted squid in /home/kim/config.yaml")
	a.now = a.now.Add(undoChange + time.Second)
	press(t, a, "u")
	want(t, a, "there is no change of the last 10s to take back")
	press(t, a, "g", "ctrl+d")
	want(t, a, "delete the group dev?", "Its tunnels stay")
	press(t, a, "y")
	if c := b.changes[len(b.changes)-1]; c.WasGroup.Name != "dev" || c.Was.Name != "" {
		t.Errorf("got %+v", c)
	}
}

func TestAGroupIsEdited(t *testing.T) {
	a, b := keeping(t, savedPair())
	press(t, a, "S", "e")
	want(t, a, "edit group dev", "squid orders-db")
	press(t, a, "tab")
	typed(t, a, " nobody")
	want(t, a, "there is no tunnel nobody")
	for range " nobody" {
		press(t, a, "backspace")
	}
	press(t, a, "tab")
	typed(t, a, "s")
	press(t, a, "enter")
	if c := b.changes[0]; c.WasGroup.Name != "dev" || c.IsGroup.Name != "devs" || len(c.IsGroup.Tunnels) != 2 {
		t.Errorf("got %+v", c)
	}
}

func TestAProjectsTunnelsAreReadOnlyAndNamed(t *testing.T) {
	saved := savedPair()
	saved.Groups[0].Project, saved.Tunnels[0].Project, saved.Tunnels[1].Project = "/src/.culvert.yaml", "/src/.culvert.yaml", "/src/.culvert.yaml"
	a, b := keeping(t, saved)
	press(t, a, "S", "e")
	want(t, a, "dev is of the project file /src/.culvert.yaml, which culvert does not change")
	press(t, a, "ctrl+d")
	want(t, a, "which culvert does not change")
	press(t, a, "down")
	want(t, a, "of the project file /src/.culvert.yaml; e makes one of your own, which wins")
	press(t, a, "ctrl+d")
	want(t, a, "squid is of the project file")
	press(t, a, "e")
	want(t, a, "which stays as it is", "wins over that of /src/.culvert.yaml")
	press(t, a, "enter")
	if c := b.changes[0]; c.Was.Name != "" || c.Is.Name != "squid" {
		t.Errorf("got %+v, want a new one of that name", c)
	}
}

func TestAChangeThatIsRefusedStaysInTheDialogWithWhatTheFileSaysNow(t *testing.T) {
	a, b := keeping(t, savedPair())
	press(t, a, "S", "G", "e")
	b.fails = errors.New("the tunnel orders-db was changed by somebody else meanwhile")
	b.Tunnels = slices.Clone(b.Tunnels)
	b.Tunnels[1].Probe = "none"
	typed(t, a, "2")
	press(t, a, "enter")
	want(t, a, "changed by somebody else", "edit orders-db")
	b.fails = nil
	press(t, a, "enter")
	if c := b.changes[0]; c.Was.Probe != "none" || c.Is.Name != "orders-db2" {
		t.Errorf("the second try is about what was seen first: %+v", c)
	}
}

func TestSavingThatFailsSaysWhatToDo(t *testing.T) {
	a := newTestApp(t, Options{Save: func([]Change) (Written, error) { return Written{}, &NowhereError{} }}, 100, 30)
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "s", "enter")
	want(t, a, (&NowhereError{}).Error(), (&NowhereError{}).Remedy())
	a = newTestApp(t, Options{Saved: savedPair()}, 100, 30)
	press(t, a, "S", "e")
	want(t, a, (&NowhereError{}).Error())
	press(t, a, "ctrl+d")
	want(t, a, (&NowhereError{}).Remedy())
}

func TestTasksWithoutAServiceAreNotSaved(t *testing.T) {
	a := newTestApp(t, Options{Save: func([]Change) (Written, error) { return Written{}, errors.New("called") }}, 100, 30)
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
	want(t, a, "no tunnels yet", "squid: {target: automation/squid", "s save what is open")
	wantNot(t, a, "enter start", "delete") // of what there is not
	press(t, a, "S", "S", "esc")           // S again stays here, one esc leaves
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
