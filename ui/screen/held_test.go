package screen

import (
	"testing"
	"time"

	"culvert/tunnel"
	"culvert/ui/control"
)

// dev is a set of two tunnels that another process holds.
func devSet() control.Set {
	return control.Set{Name: "dev", State: control.Ready, PID: 4711, Since: start().Add(-time.Hour), Tunnels: []control.Tunnel{
		{
			ID: 1, State: "open", Local: "127.0.0.1:3128", Remote: "3128", Cluster: "automation", Service: "squid", Container: "squid",
			Sent: 1290, Received: 48_211, Connections: 1, Accepted: 9, Retries: 2, RoundTripMS: 12,
			Hosts: []control.Host{{Host: "api.internal:443", Connections: 9, Sent: 1290, Received: 48_211}},
		},
		{ID: 2, State: "reopening", Local: "/run/x\x1b[2J.sock", Remote: "db.internal:5432", Cluster: "automation", Service: "squid", Error: "the session is over", Remedy: "nothing to do"},
	}}
}

func TestTunnelsThatUpHoldsAreInSight(t *testing.T) {
	a := newTestApp(t, Options{Saved: savedPair()}, 200, 40)
	addRow(a, somewhere("127.0.0.1:9999"))
	want(t, a, "HELD BY") // also while nobody does: columns do not come and go
	a.tunnels.hold([]control.Set{devSet(), {Name: "gone", State: control.Crashed, Tunnels: devSet().Tunnels}})
	want(t, a, "Tunnels 3", "HELD BY", "up dev", "127.0.0.1:3128", `/run/x\x1b[2J.sock`, "squid › db.internal:5432")
	wantNot(t, a, "up gone")
	if n := a.tunnels.open(); n != 1 {
		t.Errorf("got %d tunnels that quitting would close, want 1", n)
	}
	press(t, a, "S")
	want(t, a, "1 of 2 running")
	press(t, a, "esc", "t", "G")
	want(t, a, "! the session is over", "› nothing to do")
	held := &heldError{text: "automation/batch/d51fa461b7fdca2df427a41b8acdc263/batch is not ready: its exec agent is still starting"}
	if got := word(held); got != "not ready" {
		t.Errorf("what a holder says at length is %q in a word, want not ready", got)
	}
	press(t, a, "k", "enter", "v")
	want(t, a, "api.internal:443", "48 kB")
	wellFormed(t, a)

	set := devSet()
	set.Tunnels = set.Tunnels[:1]
	set.Tunnels[0].Received += 500_000
	set.Tunnels[0].State = "asleep"
	a.tunnels.hold([]control.Set{set})
	want(t, a, "asleep", "548 kB")
	wantNot(t, a, "db.internal")
	press(t, a, "esc")
	a.tunnels.hold(nil)
	wantNot(t, a, "up dev")
}

func TestStoppingAHeldTunnelAsksForItsWholeSet(t *testing.T) {
	a := newTestApp(t, Options{Up: control.Dir{Runtime: t.TempDir(), State: t.TempDir()}}, 100, 30)
	a.tunnels.hold([]control.Set{devSet()})
	press(t, a, "t", "R")
	want(t, a, "reconnects by itself")
	press(t, a, "x")
	want(t, a, "held in the background by culvert up dev", "Stopping ends 2 tunnels.")
	press(t, a, "enter") // there is no such process here
	want(t, a, "! nothing is up under the name", "dev")
}

func TestRemotesOfOthersAreReadBack(t *testing.T) {
	for text, want := range map[string]tunnel.Endpoint{
		"3128": {Port: 3128}, "db.internal:5432": {Host: "db.internal", Port: 5432}, "::1:80": {Host: "::1", Port: 80}, "": {}, "x": {Host: "x"}, "a:99999": {Host: "a:99999"},
	} {
		if got := endpoint(text); got != want {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
	if got := stateOf("asleep"); got != tunnel.Asleep {
		t.Errorf("got %s, want asleep", got)
	}
}
