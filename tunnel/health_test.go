package tunnel_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/front"
)

// Agents of all ages let the scout find out: old ones connect at once and end its session, new ones refuse their own loopback.
func TestEveryAgentTellsThatThereCanBeASession(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*emulator.Faults){
		"without mux":              func(f *emulator.Faults) { f.AgentVersion = "3.0.196.0" },
		"that refuses loopback":    func(f *emulator.Faults) { f.RefuseLoopback = true },
		"twenty milliseconds away": func(f *emulator.Faults) { f.Delay = 20 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newPoolWorld(t, 2, change)
			tn := w.dynamic(tunnel.Dynamic{}, nil)
			if proof, err := prove(t, tn, time.Minute); err != nil || !proof.Session || proof.Target.Task == "" {
				t.Errorf("got %+v, %v", proof, err)
			}
			for range 2 {
				if err := w.visit(tn, "db.internal", 1000); err != nil {
					t.Error(err)
				}
			}
			if _, err := w.through(tn, "other.internal", 81); cause(err) != front.CauseRefused {
				t.Errorf("got %v, want a refusal", err)
			}
		})
	}
}

// A policy that allows no session ends the tunnel, with the permission that is missing.
func TestADynamicTunnelThatMayNotFails(t *testing.T) {
	w := newPoolWorld(t, 2, func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:StartSession", Kind: emulator.Deny}}
	})
	tn, err := w.engine.Open(tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "s", Container: "app"}, Dynamic: &tunnel.Dynamic{}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = prove(t, tn, time.Minute)
	var refused *aws.DeniedError
	if !errors.As(err, &refused) || refused.Action != "ssm:StartSession" {
		t.Errorf("got %v, want the permission that is missing", err)
	}
	w.events.await(t, tn, tunnel.Failed)
}

// A policy that is taken away later is told to whoever wants another host; those that are open go on.
func TestAPermissionThatIsTakenAwayEndsNoDestinationInUse(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	conn := w.mustThrough(tn, host(1))
	w.account.Fault(func(f *emulator.Faults) {
		f.API = []emulator.APIFault{{Action: "ssm:StartSession", Kind: emulator.Deny}}
	})
	_, err := w.through(tn, host(2), 80)
	var refused *aws.DeniedError
	if cause(err) != front.CauseForbidden || !errors.As(err, &refused) || refused.Action != "ssm:StartSession" {
		t.Errorf("got %v, want the permission that is missing", err)
	}
	mustExchange(t, conn, random(10_000, 1))
	if state, err := tn.State(); state != tunnel.Open || err != nil {
		t.Errorf("the tunnel is %s: %v", state, err)
	}
	w.account.Fault(func(f *emulator.Faults) { f.API = nil })
	need.Eventually(t, "it to be reached when it may be again", func() bool { return w.visit(tn, host(2), 100) == nil })
}

// While no task is there the tunnel says so, and finds out by itself when there is one again.
func TestADynamicTunnelComesBackByItself(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 1, nil)
	tn := w.dynamic(tunnel.Dynamic{Wait: 5 * time.Second}, nil)
	if err := w.account.Scale("c", "s", 0); err != nil {
		t.Fatal(err)
	}
	need.Eventually(t, "the service to be empty", func() bool { return len(w.account.Tasks("c", "s")) == 0 })
	_, err := w.through(tn, host(1), 80)
	if cause(err) != front.CauseNoTask {
		t.Errorf("got cause %d of %v, want none to go through", cause(err), err)
	}
	tn.EndDestination(tunnel.Endpoint{Host: host(1), Port: 80}) // nobody asks for a session any more but the scout
	if state, err := tn.State(); state != tunnel.Reopening || err == nil {
		t.Errorf("the tunnel is %s: %v", state, err)
	}
	if err := w.account.Scale("c", "s", 1); err != nil {
		t.Fatal(err)
	}
	w.events.next(t, "open again", func(e tunnel.Event) bool {
		return e.Tunnel == tn.ID() && e.Destination == nil && e.State == tunnel.Open
	})
	need.Eventually(t, "the host to be reached again", func() bool { return w.visit(tn, host(1), 100) == nil })
}

// A pinned tunnel goes with its task.
func TestAPinnedDynamicTunnelStaysOnItsTask(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 2, nil)
	target := aws.Target{Cluster: "c", Service: "s", Container: "app", Task: w.account.Tasks("c", "s")[0]}
	target, err := w.client.Again(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	tn := w.dynamic(tunnel.Dynamic{}, func(s *tunnel.Spec) { s.Target, s.Pinned = target, true })
	for i := range 4 {
		if err := w.visit(tn, host(i), 100); err != nil {
			t.Error(err)
		}
	}
	for _, d := range tn.Destinations() {
		if d.Link.Target.Task != target.Task {
			t.Errorf("%s is on %s, want %s", d.Endpoint, d.Link.Target.Task, target.Task)
		}
	}
	conn := w.mustThrough(tn, host(1))
	if err := w.account.StopTask(target.Task, "scaled in"); err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Read(make([]byte, 1))
	w.events.await(t, tn, tunnel.Failed)
	if _, err := tn.State(); !errors.As(err, new(*aws.TaskGoneError)) {
		t.Errorf("got %v, want the task to be gone", err)
	}
}

// Reconnect gives what is in use other sessions, and forgets what was remembered.
func TestReconnectOfADynamicTunnel(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	conn := w.mustThrough(tn, host(1))
	mustExchange(t, conn, []byte("x"))
	before := tn.Destinations()[0].Link.Session
	tn.Reconnect()
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection outlives its session: %v", err)
	}
	if err := w.visit(tn, host(1), 100); err != nil {
		t.Error(err)
	}
	if after := tn.Destinations()[0].Link.Session; after == before {
		t.Error("the session is the one of before")
	}
}

// Link-local hosts are for whoever has asked for them; the service closes sockets every hour and nobody notices.
func TestADestinationSurvivesTheHourlyClose(t *testing.T) {
	t.Parallel()
	w := newPoolWorld(t, 2, nil)
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	conn := w.mustThrough(tn, host(1))
	for range 3 {
		w.account.CloseClientLeg(1000)
		mustExchange(t, conn, random(100_000, 1))
	}
}

// A host that is to be kept open and does not exist is its own trouble.
func TestAWarmDestinationThatFailsIsNotTheTunnelsTrouble(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	nowhere := tunnel.Endpoint{Host: "nowhere.internal", Port: 80}
	tn, err := w.engine.Open(tunnel.Spec{
		Target: aws.Target{Cluster: "c", Service: "s", Container: "app"}, Dynamic: &tunnel.Dynamic{Warm: []tunnel.Endpoint{nowhere}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.events.await(t, tn, tunnel.Open)
	w.events.next(t, "the failure", func(e tunnel.Event) bool { return e.Destination != nil && e.Err != nil })
	time.Sleep(100 * time.Millisecond)
	if state, err := tn.State(); state != tunnel.Open || err != nil {
		t.Errorf("the tunnel is %s: %v", state, err)
	}
	all := tn.Destinations()
	if len(all) != 1 || !all[0].Warm || all[0].Err == nil || all[0].State == tunnel.Open {
		t.Errorf("got %+v, want the failure of the destination", all)
	}
	if err := w.visit(tn, host(1), 100); err != nil {
		t.Error(err)
	}
}
