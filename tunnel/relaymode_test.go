package tunnel_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
	"culvert/tunnel"
)

// A relay is looked for as the mode says, for far ends that it can open, and found without a byte to any task.
func TestSeekRelay(t *testing.T) {
	t.Parallel()
	named := map[uint16]string{7300: aws.RelayName}
	squid := emulator.Container{Name: "squid", Ports: map[uint16]string{3128: ""}}
	with := []emulator.Container{squid, {Name: "culvert-relay", Ports: map[uint16]string{7300: ""}, PortNames: named, NonEssential: true}}
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{
		{Name: "with", Count: 1, Task: emulator.Task{Containers: with}},
		{Name: "without", Count: 1, Task: emulator.Task{Containers: with[:1]}},
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	id, secret := e.Credentials()
	c, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	own := tunnel.Endpoint{Port: 3128}
	for _, test := range []struct {
		mode    tunnel.RelayMode
		service string
		remote  tunnel.Endpoint
		dynamic bool
		want    string // the relay, or the error
	}{
		{tunnel.RelayAuto, "with", own, false, "7300 false"},
		{tunnel.RelayRequire, "with", own, false, "7300 true"},
		{tunnel.RelayNo, "with", own, false, "none"},
		{tunnel.RelayAuto, "without", own, false, "none"},
		{tunnel.RelayRequire, "without", own, false, "no port mapping of its task definition is named culvert-relay"},
		{tunnel.RelayAuto, "gone", own, false, "none"},
		{tunnel.RelayRequire, "gone", own, false, `no service "gone"`},
		{tunnel.RelayAuto, "with", tunnel.Endpoint{Host: "db.internal", Port: 5432}, false, "none"},
		{tunnel.RelayRequire, "with", tunnel.Endpoint{Host: "db.internal", Port: 5432}, false, "db.internal:5432 is behind the task"},
		{tunnel.RelayAuto, "with", tunnel.Endpoint{}, true, "none"},
		{tunnel.RelayRequire, "with", tunnel.Endpoint{}, true, "any host is behind the task"},
		{tunnel.RelayAuto, "with", tunnel.Endpoint{Port: 7300}, false, "none"},
		{tunnel.RelayRequire, "with", tunnel.Endpoint{Port: 7300}, false, "leads to the relay itself"},
	} {
		engine := tunnel.New(tunnel.Options{Client: c, Relay: test.mode})
		for _, whole := range []bool{false, true} { // with a task, and with a service alone
			s := tunnel.Spec{Target: aws.Target{Cluster: "c", Service: test.service}, Remote: test.remote, Local: netip.AddrPort{}, Relay: &tunnel.Relay{Port: 1}}
			if whole && test.service != "gone" {
				if s.Target, err = c.Lookup(t.Context(), aws.Query{Cluster: "c", Service: test.service, Port: test.remote.Port}); err != nil {
					t.Fatal(err)
				}
			}
			if test.dynamic {
				s.Dynamic = &tunnel.Dynamic{}
			}
			calls := e.AllCalls()
			err := engine.SeekRelay(t.Context(), &s)
			got := "none"
			switch {
			case err != nil:
				got = err.Error()
			case s.Relay != nil:
				got = fmt.Sprint(s.Relay.Port, s.Relay.Required)
			}
			if got != test.want && (err == nil || !strings.Contains(got, test.want)) {
				t.Errorf("%+v: got %s", test, got)
			}
			if err != nil && (!strings.Contains(got, "--relay require") || say.Remedy(err) == "" && !strings.Contains(got, "relay itself")) {
				t.Errorf("%+v: %s names no flag, or has no remedy", test, got)
			}
			if test.mode == tunnel.RelayNo && !maps.Equal(e.AllCalls(), calls) {
				t.Errorf("%+v: AWS was asked", test)
			}
		}
		if started := e.Calls("StartSession"); started != 0 {
			t.Errorf("%+v: %d sessions were started", test, started)
		}
		engine.Close(t.Context())
	}
	var none *aws.NoRelayError
	if err := tunnel.New(tunnel.Options{Client: c, Relay: tunnel.RelayRequire}).SeekRelay(t.Context(), &tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "without"}, Remote: own}); !errors.As(err, &none) {
		t.Errorf("got %T, want the reason to be told from others", err)
	}
}
