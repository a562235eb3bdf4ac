package screen

import (
	"context"
	"errors"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

func TestQuittingAsksWhileTunnelsAreOpen(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	if _, cmd := a.Update(pressed("q")); cmd == nil || cmd() != tea.Quit() {
		t.Error("q without tunnels did not quit")
	}
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "q")
	want(t, a, "One tunnel is open.", "q    quit: cuts what goes through", "q quit", "esc stay")
	wantNot(t, a, "in the background") // nobody could keep it
	press(t, a, "esc")
	wantNot(t, a, "One tunnel is open")
	press(t, a, "q")
	a.tunnels.rows[0].State = tunnel.Closed // while it is asked
	want(t, a, "No tunnel is open any more.")
	a.tunnels.rows[0].State = tunnel.Open
	press(t, a, "esc")
	for _, again := range []string{"q", "enter", "y"} {
		press(t, a, "q")
		if _, cmd := a.Update(pressed(again)); cmd == nil || cmd() != tea.Quit() {
			t.Errorf("%s did not quit", again)
		}
	}
}

func TestLeavingOffersToKeepWhatIsOpen(t *testing.T) {
	var failing error
	var given []Kept
	a := newTestApp(t, Options{Demo: true, Keep: func(_ context.Context, kept []Kept) (string, error) {
		given = kept
		return "kept", failing
	}}, 100, 30)
	arrives(a, sampleAccount())
	r := addRow(a, somewhere("127.0.0.1:3128"))
	r.hosts.end(tunnel.Connection{ID: 7, Host: "orders.internal:443", Protocol: tunnel.ProtocolHTTPConnect, Received: 5})
	r.hosts.end(tunnel.Connection{ID: 8, Protocol: tunnel.ProtocolRedis, Sent: 3})
	a.tunnels.hold(nil)
	press(t, a, "q")
	want(t, a, "b    keep it in the background", "b keep in background", "q quit", "esc stay")

	failing = errors.New("no room")
	press(t, a, "b")
	want(t, a, "! no room")
	if a.kept != "" || len(a.going) > 0 {
		t.Error("the tunnels are taken for kept")
	}

	failing = nil
	press(t, a, "q")
	_, cmd := a.Update(pressed("b"))
	if _, cmd = a.Update(cmd()); cmd == nil || cmd() != tea.Quit() {
		t.Error("the interface did not end")
	}
	if a.kept != "kept" || len(a.going) != 1 {
		t.Errorf("kept as %q with %d engines", a.kept, len(a.going))
	}
	if len(given) != 1 || given[0].Local != "127.0.0.1:3128" || len(given[0].Hosts) != 2 || len(given[0].Counted) != 2 {
		t.Fatalf("got %+v", given)
	}
	if got, want := strings.Join(given[0].Flags, " "), "--demo --target automation/squid -L 3128:3128"; got != want {
		t.Errorf("got flags %s, want %s", got, want)
	}
	for _, h := range given[0].Hosts {
		if h.Host != "orders.internal:443" && h.Host != "redis" {
			t.Errorf("got host %q, want it as holders name it", h.Host)
		}
	}
}

// What is kept is found again as it was opened, by the flags of the account too.
func TestWhatIsKeptNamesTheAccountsOwnDocument(t *testing.T) {
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Keys: aws.Keys{ID: "a", Secret: "b"}, Document: "Acme-Port"})
	if err != nil {
		t.Fatal(err)
	}
	a := newTestApp(t, Options{}, 100, 30)
	arrives(a, sampleAccount())
	what := somewhere("127.0.0.1:3128")
	what.Spec.Client = client
	if flags := strings.Join((&keeper{}).of(addRow(a, what)).Flags, " "); !strings.Contains(flags, "--document Acme-Port") {
		t.Errorf("got flags %s", flags)
	}
}

func TestWhereTunnelsAreReopenedThatIsSaid(t *testing.T) {
	a := newTestApp(t, Options{Demo: true, Reopens: true, Keep: func(context.Context, []Kept) (string, error) { return "kept", nil }}, 80, 24)
	arrives(a, sampleAccount())
	addRow(a, somewhere("127.0.0.1:3128"))
	addRow(a, somewhere("127.0.0.1:3129"))
	press(t, a, "q")
	want(t, a, "2 tunnels are open.", "b    reopen them in the background: cuts what goes through")
	for _, size := range [][2]int{{80, 24}, {40, 10}} {
		a.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		want(t, a, "b    reopen them in the", "esc  stay", "q    quit: cuts what goes through")
		wellFormed(t, a)
	}
	press(t, a, "b")
	if a.kept != "kept" || len(a.going) != 0 {
		t.Errorf("kept as %q with %d engines that go on, want the engines to be closed", a.kept, len(a.going))
	}
}

// An account that does not answer keeps the sessions of no other account from being terminated.
func TestClosingWaitsForNoAccountWithAnother(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for closeWithin")
	}
	t.Parallel()
	a := newTestApp(t, Options{}, 100, 30)
	a.places = nil
	var accounts []*emulator.Emulator
	for range 2 {
		account, err := emulator.Start(emulator.Options{Fleet: emulator.Demo()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(account.Close)
		key, secret := account.Credentials()
		client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: account.URL(), Keys: aws.Keys{ID: key, Secret: secret}})
		if err != nil {
			t.Fatal(err)
		}
		engine := tunnel.New(tunnel.Options{Client: client})
		_, err = engine.Open(tunnel.Spec{Target: aws.Target{Cluster: "automation", Service: "squid", Container: "squid"}, Remote: tunnel.Endpoint{Port: 3128}})
		if err != nil {
			t.Fatal(err)
		}
		need.Eventually(t, "a session", func() bool { return len(account.Sessions()) > 0 })
		a.places = append(a.places, &place{engine: engine})
		accounts = append(accounts, account)
	}
	accounts[0].Fault(func(f *emulator.Faults) { f.API = []emulator.APIFault{{Action: "*", Kind: emulator.Unreachable}} })
	accounts[0].FreezeClientLeg()
	if err := a.close(); err == nil && len(a.unended()) == 0 {
		t.Error("the account that does not answer has answered")
	}
	if left := accounts[1].Sessions(); len(left) > 0 {
		t.Errorf("the other account has sessions left: %+v", left)
	}
}
