package tunnel_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/front"
)

// newPoolWorld has a service of some tasks, and forty hosts h0 … h39 behind them that send back what they get.
func newPoolWorld(t *testing.T, count int, faults func(*emulator.Faults)) *world {
	t.Helper()
	server := need.Server(t, need.Echo)
	hosts := map[string]string{"db.internal": server, "other.internal:80": server}
	for i := range 40 {
		hosts[host(i)] = server
	}
	task := emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{port: server}}}}
	return newWorldIn(t, emulator.Fleet{
		Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: count, Task: task}}}}, Hosts: hosts,
	}, tunnel.Options{}, faults)
}

func host(i int) string { return fmt.Sprintf("h%d.internal", i) }

// dynamic opens a tunnel to any host and waits for it to be open, and its scout to be back.
func (w *world) dynamic(d tunnel.Dynamic, change func(*tunnel.Spec)) *tunnel.Tunnel {
	w.Helper()
	spec := tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "s", Container: "app"}, Dynamic: &d}
	if change != nil {
		change(&spec)
	}
	tn, err := w.engine.Open(spec)
	if err != nil {
		w.Fatal(err)
	}
	w.ceiling += cmp.Or(d.Destinations, tunnel.DefaultDestinations)
	w.events.next(w.T, "open", func(e tunnel.Event) bool {
		return e.Tunnel == tn.ID() && e.State == tunnel.Open && e.Destination == nil
	})
	need.Eventually(w.T, "the scout's session to end", func() bool { return len(w.account.Sessions()) == len(d.Warm) })
	return tn
}

// through connects to a host as the tunnel's proxy does.
func (w *world) through(tn *tunnel.Tunnel, host string, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	conn, err := tn.Ask(ctx, host, port)
	if err == nil {
		w.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
	}
	return conn, err
}

func (w *world) mustThrough(tn *tunnel.Tunnel, host string) net.Conn {
	w.Helper()
	conn, err := w.through(tn, host, 80)
	if err != nil {
		w.Fatalf("%s: %v", host, err)
	}
	return conn
}

// visit connects to a host, exchanges some bytes and hangs up.
func (w *world) visit(tn *tunnel.Tunnel, host string, n int) error {
	conn, err := w.through(tn, host, 80)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return exchange(conn, random(n, 7))
}

func cause(err error) front.Cause { return front.CauseOf(err) }

func TestADynamicTunnelIsOpenOnceASessionWas(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	proof, err := prove(t, tn, time.Minute)
	if err != nil || !proof.Session || proof.Target.Container != "app" || proof.Target.RuntimeID == "" {
		t.Errorf("got %+v, %v, want the session as the proof", proof, err)
	}
	if got := w.account.Calls("StartSession"); got != 1 {
		t.Errorf("%d sessions were started, want the one that tells", got)
	}
	if link := tn.Link(); link.Session == "" || link.Agent == "" || link.Target.Task == "" {
		t.Errorf("got %+v, want the session that told", link)
	}
	if got := tn.Destinations(); len(got) != 0 {
		t.Errorf("got %+v, want no destinations yet", got)
	}
	if all := w.engine.Tunnels(); len(all) != 1 {
		t.Errorf("the engine has %d tunnels", len(all))
	}
}

func TestADestinationIsATunnelOfItsOwnThatNobodyLists(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	conn := w.mustThrough(tn, "DB.internal.")
	mustExchange(t, conn, random(100_000, 1))
	at := tunnel.Endpoint{Host: "db.internal", Port: 80}
	all := tn.Destinations()
	if len(all) != 1 || all[0].Endpoint != at || all[0].State != tunnel.Open || all[0].Link.Session == "" || all[0].Stats.Connections != 1 || all[0].Stats.Sent != 100_000 || all[0].Opened.IsZero() {
		t.Fatalf("got %+v", all)
	}
	need.Eventually(t, "the connection to have been counted", func() bool {
		got := tn.DestinationConnections(at)
		return len(got) == 1 && got[0].Received == 100_000
	})
	if got := len(w.engine.Tunnels()); got != 1 {
		t.Errorf("the engine lists %d tunnels", got)
	}
	w.events.next(t, "the step of a destination", func(e tunnel.Event) bool {
		return e.Destination != nil && *e.Destination == at && e.Tunnel == tn.ID() && e.State == tunnel.Open && e.Link.Session != ""
	})
	if !tn.EndDestination(at) || tn.EndDestination(at) {
		t.Error("a destination can be ended once")
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlives its destination")
	}
	w.events.next(t, "its end", func(e tunnel.Event) bool {
		return e.Destination != nil && *e.Destination == at && e.State == tunnel.Closed
	})
	mustExchange(t, w.mustThrough(tn, "db.internal"), []byte("anew"))
	if state, err := tn.State(); state != tunnel.Open || err != nil {
		t.Errorf("the tunnel is %s: %v", state, err)
	}
	if steps := tn.History(); steps[len(steps)-1].State != tunnel.Open || len(steps) > 3 {
		t.Errorf("its own steps are %v, want none for a destination's session", steps)
	}
}

func TestFirstRequestsOfOneHostShareASession(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{}, func(s *tunnel.Spec) { s.Lanes = 1 })
	before := w.account.Calls("StartSession")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := w.visit(tn, "db.internal", 1000); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := w.account.Calls("StartSession") - before; got != 1 {
		t.Errorf("%d sessions for one host", got)
	}
}

func TestWhyAHostIsNotReached(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 2, func(f *emulator.Faults) { f.Swallow = []uint16{5432} })
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	tn.Patience(2 * time.Second)
	for _, c := range []struct {
		host string
		port uint16
		want front.Cause
	}{
		{"other.internal", 81, front.CauseRefused},
		{"db.internal", 5432, front.CauseSwallowed},
		{"nowhere.internal", 80, front.CauseUnresolved},
		{"10.20.0.2", 80, front.CauseForbidden},
		{"169.254.170.2", 80, front.CauseLocal},
		{"0xa9feaa02", 80, front.CauseLocal},
		{"127.0.0.1", 80, front.CauseLocal},
		{"2130706433", 80, front.CauseLocal},
		{"::ffff:127.0.0.1", 80, front.CauseLocal},
		{"localhost", 80, front.CauseLocal},
		{"a.localhost.", 80, front.CauseLocal},
		{"::1", 80, front.CauseLocal},
		{"0.0.0.0", 80, front.CauseLocal},
		{"ssmmessages.eu-west-1.amazonaws.com", 443, front.CauseOwn},
		{"STS.amazonaws.com", 443, front.CauseOwn},
		{"db.internal", 0, front.CauseMalformed},
		{"", 80, front.CauseMalformed},
		{"a b", 80, front.CauseMalformed},
	} {
		_, err := w.through(tn, c.host, c.port)
		var failed *tunnel.DestinationError
		if !errors.As(err, &failed) || cause(err) != c.want || failed.Remedy() == "" {
			t.Errorf("%s:%d: got cause %d of %v, want %d and a remedy", c.host, c.port, cause(err), err, c.want)
		}
	}
	if err := w.visit(tn, "db.internal", 1000); err != nil {
		t.Errorf("another host beside them: %v", err)
	}
	if state, err := tn.State(); state != tunnel.Open || err != nil {
		t.Errorf("the tunnel is %s: %v", state, err)
	}
	need.Eventually(t, "the sessions to hosts that failed to end", func() bool { return len(w.account.Sessions()) == 1 })
}

// A page of a hundred resources from a host that does not exist opens no hundred sessions.
func TestAFailureIsRememberedForAWhile(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	for host, port := range map[string]uint16{"nowhere.internal": 80, "other.internal": 81} {
		before := w.account.Calls("StartSession")
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := w.through(tn, host, port); err == nil {
					t.Errorf("%s was reached", host)
				}
			})
		}
		all.Wait()
		for range 3 { // and a little later
			time.Sleep(50 * time.Millisecond)
			if _, err := w.through(tn, host, port); err == nil {
				t.Errorf("%s was reached", host)
			}
		}
		if got := w.account.Calls("StartSession") - before; got != 1 {
			t.Errorf("%s: %d sessions for a hundred requests", host, got)
		}
	}
}
