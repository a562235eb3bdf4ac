package tunnel_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// prove proves a tunnel within a time.
func prove(t *testing.T, tn *tunnel.Tunnel, within time.Duration) (tunnel.Proof, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return tn.Prove(ctx)
}

func TestAFarEndThatAcceptsIsProved(t *testing.T) {
	for name, change := range map[string]func(*emulator.Faults){
		"a new agent":                            nil,
		"twenty milliseconds away":               func(f *emulator.Faults) { f.Delay = 20 * time.Millisecond },
		"an agent that notes the handshake late": func(f *emulator.Faults) { f.LateComplete = 300 * time.Millisecond },
		"an agent without mux":                   func(f *emulator.Faults) { f.AgentVersion = "3.0.196.0" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, change)
			for _, remote := range []tunnel.Endpoint{{Port: port}, {Host: "db.internal", Port: 5432}} {
				tn := w.start(tunnel.Spec{Remote: remote})
				proof, err := prove(t, tn, time.Minute)
				if err != nil {
					t.Fatalf("%s: %v", remote, err)
				}
				if want := name == "an agent without mux"; proof.Session != want || proof.Target.Container != "app" || proof.Target.RuntimeID == "" {
					t.Errorf("%s: got %+v", remote, proof)
				}
				if got := len(tn.Connections()); got != 0 {
					t.Errorf("%s: a proof counts as %d connections", remote, got)
				}
				mustExchange(t, w.dial(tn), []byte("as before"))
			}
		})
	}
}

func TestAFarEndThatRefusesIsNeverProved(t *testing.T) {
	w := newWorld(t, refusing(t), tunnel.Options{}, nil)
	tn := w.start(tunnel.Spec{})
	for range 20 {
		proof, err := prove(t, tn, time.Minute)
		var refused *tunnel.RefusedError
		if !errors.As(err, &refused) || refused.Remote.Port != port {
			t.Fatalf("got %+v, %v, want a *RefusedError", proof, err)
		}
	}
	// The refusals were about the proofs: the next connection's is its own.
	if _, err := io.ReadAll(w.dial(tn)); err == nil {
		t.Error("the client saw a clean end")
	}
}

func TestAFarEndThatSwallowsIsUnansweredUntilItAccepts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.Swallow = []uint16{5432} })
	tn := w.open(tunnel.Spec{Remote: tunnel.Endpoint{Host: "db.internal", Port: 5432}})
	for range 2 {
		_, err := prove(t, tn, 1500*time.Millisecond)
		var unanswered *tunnel.UnansweredError
		if !errors.As(err, &unanswered) || !strings.Contains(err.Error(), "db.internal:5432") || !strings.Contains(unanswered.Remedy(), "security group") {
			t.Fatalf("got %v, want an *UnansweredError", err)
		}
	}
	later := time.AfterFunc(200*time.Millisecond, func() { w.account.Fault(func(f *emulator.Faults) { f.Swallow = nil }) })
	defer later.Stop()
	if proof, err := prove(t, tn, time.Minute); err != nil {
		t.Errorf("got %+v, %v, want the far end that accepts by now", proof, err)
	}
}

func TestAHostThatDoesNotResolveIsNeverProved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.start(tunnel.Spec{Remote: tunnel.Endpoint{Host: "nowhere.internal", Port: 5432}})
	proof, err := prove(t, tn, 3*time.Second)
	if err == nil || !strings.Contains(err.Error(), "nowhere.internal") {
		t.Errorf("got %+v, %v, want the agent's words", proof, err)
	}
}

// Clients come and go while a healthy far end is proved: no proof is a false alarm.
func TestAProofBesideBusyClientsIsRight(t *testing.T) {
	w := newWorld(t, need.Server(t, func(c *net.TCPConn) { _ = c.Close() }), tunnel.Options{Lanes: 1}, nil)
	tn := w.open(tunnel.Spec{})
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", tn.Addr().String())
				if err != nil {
					return
				}
				_, _ = io.ReadAll(conn)
				_ = conn.Close()
			}
		})
	}
	for range 100 {
		if proof, err := prove(t, tn, time.Minute); err != nil {
			t.Fatalf("got %+v, %v, want it to be accepted", proof, err)
		}
	}
}

func TestAProofOutlivesItsSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	w.account.Fault(func(f *emulator.Faults) { f.Swallow = []uint16{port} })
	later := time.AfterFunc(300*time.Millisecond, func() {
		w.account.Fault(func(f *emulator.Faults) { f.Swallow = nil })
		for _, s := range w.account.Sessions() {
			w.account.KillSession(s.ID, "")
		}
	})
	defer later.Stop()
	if _, err := prove(t, tn, time.Minute); err != nil {
		t.Errorf("got %v, want the next session to prove it", err)
	}
}
