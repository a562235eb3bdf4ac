package cli

import (
	"bytes"
	"testing"
)

// What an entry says of its sessions holds for that tunnel, unless the command line says something else.
func TestASavedTunnelSaysHowManySessionsItHas(t *testing.T) {
	const entry = "tunnels: {db: {target: c/s, forward: \"1\", lanes: 6, spread: no}, web: {target: c/s, forward: \"1\"}}\nlanes: 3\n"
	for _, c := range []struct {
		args    []string
		name    string
		lanes   int
		oneTask bool
	}{
		{nil, "db", 6, true},
		{nil, "web", 0, false},
		{[]string{"--lanes", "2", "--spread", "yes"}, "db", 0, false},
		{[]string{"--lanes", "auto"}, "db", 0, true},
	} {
		inDirectory(t, entry, "")
		a := &app{Process: Process{Stderr: &bytes.Buffer{}}}
		if err := a.shared.flags().Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if err := a.shared.resolve(); err != nil {
			t.Fatal(err)
		}
		wanted, _, err := (&up{}).wanted(a, []string{c.name})
		if err != nil {
			t.Fatal(err)
		}
		if got := wanted[0].Spec; got.Lanes != c.lanes || got.OneTask != c.oneTask {
			t.Errorf("%s %q: %d sessions, on one task %t; want %d, %t", c.name, c.args, got.Lanes, got.OneTask, c.lanes, c.oneTask)
		}
		for _, shown := range a.shared.shown(&a.shared.saved).Tunnels {
			if shown.Name == c.name && (shown.Lanes != c.lanes || shown.OneTask != c.oneTask) {
				t.Errorf("%s %q: the interface has %d sessions, on one task %t; want %d, %t", c.name, c.args, shown.Lanes, shown.OneTask, c.lanes, c.oneTask)
			}
		}
	}
	inDirectory(t, "tunnels: {db: {target: c/s, forward: \"1\", spread: perhaps}}\n", "")
	_, err := resolved(t)
	mustRefuse(t, err, "line 1: ", "\"perhaps\" is not one of yes, no", "correct the value of spread")
}

// Whom the proxy of a saved tunnel wants reaches the interface, which copies lines with it; a flag stands above it.
func TestTheInterfaceKnowsTheProxyUserOfASavedTunnel(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{{nil, "alice"}, {[]string{"--proxy-user", "bob"}, "bob"}} {
		inDirectory(t, "tunnels: {p: {target: c/s, forward: \"3128\", proxy-user: alice}}\n", "")
		s, err := resolved(t, c.args...)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.shown(&s.saved).Tunnels[0].ProxyUser; got != c.want {
			t.Errorf("%q: got %q, want %q", c.args, got, c.want)
		}
	}
}
