package tunnel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/tunnel/bond"
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
			s := tunnel.Spec{Target: aws.Target{Cluster: "c", Service: test.service}, Remote: test.remote, Local: netip.AddrPort{}, Relay: &tunnel.Relay{Port: 1}, Unrelayed: io.EOF}
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
			if reason := s.Unrelayed != nil; err == nil && reason != (s.Relay == nil && test.remote.Host == "" && !test.dynamic) {
				t.Errorf("%+v: why there is none: %v", test, s.Unrelayed)
			}
			if test.mode == tunnel.RelayNo && !maps.Equal(e.AllCalls(), calls) {
				t.Errorf("%+v: AWS was asked", test)
			}
		}
		if started := e.Calls("StartSession"); started != 0 {
			t.Errorf("%+v: %d sessions were started", test, started)
		}
		if err := engine.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	var none *aws.NoRelayError
	if err := tunnel.New(tunnel.Options{Client: c, Relay: tunnel.RelayRequire}).SeekRelay(t.Context(), &tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "without"}, Remote: own}); !errors.As(err, &none) {
		t.Errorf("got %T, want the reason to be told from others", err)
	}
}

// The relay of the emulated account is a real one, which opens the ports of its task.
func TestTheRelayOfTheAccountIsARealOne(t *testing.T) {
	t.Parallel()
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{VPC: true, Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 1, Task: emulator.Task{Containers: []emulator.Container{
		{Name: "squid", Ports: map[uint16]string{3128: emulator.Web, 3129: ""}},
		{Name: "culvert-relay", Ports: map[uint16]string{7300: emulator.Relay}, PortNames: map[uint16]string{7300: aws.RelayName}, NonEssential: true},
	}}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	id, secret := e.Credentials()
	c, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	engine := tunnel.New(tunnel.Options{Client: c, Relay: tunnel.RelayNo})
	t.Cleanup(func() { _ = engine.Close(context.WithoutCancel(t.Context())) })
	opened, err := engine.Open(tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "s"}, Remote: tunnel.Endpoint{Port: 7300}, Unlistened: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for state, _ := opened.State(); state != tunnel.Open && ctx.Err() == nil; state, _ = opened.State() { // a hello has a second
		time.Sleep(5 * time.Millisecond)
	}
	conn, err := opened.Dial()
	if err != nil {
		t.Fatal(err)
	}
	b := bond.New(bond.Config{})
	t.Cleanup(func() { _ = b.Close() })
	if _, err := b.Join(ctx, conn); err != nil {
		t.Fatal(err)
	}
	for port, want := range map[uint16]error{3129: bond.ErrRefused, 7300: bond.ErrForbidden, 22: bond.ErrForbidden} {
		if _, err := b.Open(ctx, port); !errors.Is(err, want) {
			t.Errorf("port %d: got %v, want %v", port, err, want)
		}
	}
	stream, err := b.Open(ctx, 3128)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stream, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(stream); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 200") {
		t.Errorf("got %q, %v", answer, err)
	}
}
