package screen

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/control"
)

// The page about a tunnel says whether connections go through a relay and over how many sessions, or why not; of what nobody knows
// it says nothing.
func TestThePageSaysWhetherSessionsAreBonded(t *testing.T) {
	none := func(why aws.RelayWhy) error {
		return &aws.NoRelayError{Target: aws.Target{Cluster: "automation", Service: "squid"}, Why: why, Container: "culvert-relay", Detail: "bridge\x1b[2J"}
	}
	for name, c := range map[string]struct {
		change func(r *row)
		line   string // with the words of the relay; empty: there are none
	}{
		"eight sessions": {func(r *row) { r.Link.Relay.On, r.Stats.Strands = true, 8 }, "relay on · 8 sessions bonded"},
		"one":            {func(r *row) { r.Link.Relay.On, r.Stats.Strands = true, 1 }, "relay on · 1 session bonded"},
		"quiet":          {func(r *row) { r.Link.Relay.On = true }, "relay on · no session to it is open just now"},
		"it fails":       {func(r *row) { r.Link.Relay.Why = "no answer\x1b[2J" }, `relay off · no answer\x1b[2J`},
		"not tried":      {func(r *row) { r.Spec.Relay = &tunnel.Relay{Port: 7300} }, "relay found · it has not answered yet"},
		"none":           {func(r *row) { r.Spec.Unrelayed = none(aws.RelayUnmapped) }, "container squid · relay none"},
		"one container":  {func(r *row) { r.Spec.Unrelayed = none(aws.RelayUnsought) }, "container squid · relay unknown"},
		"out of reach":   {func(r *row) { r.Spec.Unrelayed = none(aws.RelayApart) }, "relay off · no relay in automation/squid: each container has a network"},
		"denied":         {func(r *row) { r.Spec.Unrelayed = &aws.DeniedError{Action: "ecs:DescribeTaskDefinition"} }, "relay off · not allowed: ecs:DescribeTaskDefinition"},
		"something else": {func(r *row) { r.Spec.Unrelayed = errors.New("no answer") }, "relay off · no answer"},
		"not wanted":     {func(r *row) { r.Spec.Unrelayed = tunnel.ErrRelayUnwanted }, "container squid · relay unwanted"},
		"unknown":        {func(*row) {}, ""},
		"over":           {func(r *row) { r.Link.Relay.On, r.State = true, tunnel.Closed }, ""},
		"another host":   {func(r *row) { r.Spec.Unrelayed, r.Spec.Remote.Host = none(aws.RelayUnmapped), "db.internal" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range [][2]int{{80, 24}, {200, 50}} {
				a := newTestApp(t, Options{}, size[0], size[1])
				c.change(onPage(t, a).row)
				wellFormed(t, a)
				screen := shot(a)
				if !strings.Contains(screen, c.line) || c.line == "" && strings.Contains(screen, "relay") {
					t.Errorf("%v: want %q in\n%s", size, c.line, screen)
				}
				if !strings.Contains(screen, "billing.internal:443") {
					t.Errorf("%v: a connection is hidden in\n%s", size, screen)
				}
			}
		})
	}
}

// What another process holds says of a relay what its holder does.
func TestAHeldTunnelSaysWhetherSessionsAreBonded(t *testing.T) {
	for want, held := range map[string]control.Tunnel{
		"on: 3 sessions bonded":  {State: "open", Remote: "3128", Relay: "on", Strands: 3},
		"off: no answer\\x1b[2J": {State: "open", Remote: "3128", Relay: "off", RelayWhy: "no answer\x1b[2J"},
		": ":                     {State: "open", Remote: "3128", Strands: -1},
	} {
		if word, more := heldReading(control.Set{}, held).bonding(); word+": "+more != want {
			t.Errorf("got %s: %s, want %s", word, more, want)
		}
	}
}

// The doctor on screen looks for a relay as the flags say, and calls itself to it what they do.
func TestTheDoctorOnScreenKnowsTheFlags(t *testing.T) {
	for mode, want := range map[tunnel.RelayMode]bool{tunnel.RelayAuto: true, tunnel.RelayNo: false, tunnel.RelayRequire: true} {
		a := newTestApp(t, Options{Relay: mode, Build: "9.8.7"}, 100, 30)
		a.grant(consult(a.here, aws.Query{Cluster: "automation", Service: "squid"}, tunnel.Endpoint{Port: 3128})) // it does not examine
		d, on := a.page().(*doctorPage)
		if !on {
			t.Fatalf("the page is %T", a.page())
		}
		if d.options.Relay != mode || d.options.Build != "9.8.7" {
			t.Errorf("got mode %d and build %q, want %d and those of the flags", d.options.Relay, d.options.Build, mode)
		}
		if looks := slices.Contains(d.order, "relay"); looks != want {
			t.Errorf("mode %d: it looks for a relay: %t", mode, looks)
		}
		d.cancel()
	}
}

// A forward, a shell and the ports of a row leave out the container that nobody means, unless the row is about it, or there is no other.
func TestNobodyMeansTheRelay(t *testing.T) {
	squid := aws.Container{Name: "squid", Ports: []aws.Port{{Container: 3128, Protocol: "tcp"}}}
	relay := aws.Container{Name: aws.RelayName, Ports: []aws.Port{{Container: 7300, Protocol: "tcp"}}}
	for name, c := range map[string]struct {
		row  entry
		of   []aws.Container
		want string
		port string
	}{
		"beside another": {entry{}, []aws.Container{relay, squid}, "squid", "3128"},
		"alone":          {entry{}, []aws.Container{relay}, aws.RelayName, "7300"},
		"named":          {entry{container: &relay}, []aws.Container{relay, squid}, aws.RelayName, "3128"},
	} {
		task := aws.Task{Containers: c.of}
		if got := choices(c.row, &task); len(got) != 1 || got[0].Name != c.want {
			t.Errorf("%s: got %+v, want %s", name, got, c.want)
		}
		if got := taskPorts(&task); got != c.port {
			t.Errorf("%s: the row has ports %s, want %s", name, got, c.port)
		}
	}
}
