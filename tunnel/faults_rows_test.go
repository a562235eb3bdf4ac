package tunnel_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// Rows of protocol.md 9 that need a whole session and stand in no row of the fault table by themselves.

// P1: one lost acknowledge and one lost message, and AWS's client stalls for good: the agent repeats the first message
// for ever, gets no answer to the duplicate, and repairs nothing behind it.
func TestOneLostAcknowledgeAndOneLostMessageStallNothing(t *testing.T) {
	w := newFaultWorld(t, tunnel.Options{}, func(f *emulator.Faults) { f.Pacing = time.Millisecond })
	tn := w.open(tunnel.Spec{})
	_, ended := w.under(tn, download, 600_000)
	w.account.Fault(func(f *emulator.Faults) { f.Up.Acks.DropNext, f.Down.Data.DropNext = 1, 1 })
	if err := ends(t, ended, 15*time.Second); err != nil {
		t.Error(err)
	}
	if f := w.account.Faults(); f.Up.Acks.DropNext != 0 || f.Down.Data.DropNext != 0 {
		t.Errorf("nothing was lost: %+v %+v", f.Up.Acks, f.Down.Data)
	}
}

// A3: what is sent before the handshake is complete is acknowledged and thrown away, and the mux is out of sync for good.
// P8: what comes around HandshakeComplete finds AWS's client unready and leaves it deaf. Twenty connections with data in
// them are there before the session, the agent takes its time, and odd messages come around the handshake's end.
func TestNothingIsSentBeforeTheHandshakeIsComplete(t *testing.T) {
	w := newFaultWorld(t, tunnel.Options{}, func(f *emulator.Faults) {
		f.AgentStart, f.PortStart, f.Around = 400*time.Millisecond, 300*time.Millisecond, 20
	})
	tn := w.launch(tunnel.Spec{})
	var working sync.WaitGroup
	for seed := range uint8(20) {
		conn := w.dial(tn)
		working.Go(func() {
			if err := echoed(conn, seed, 10_000); err != nil {
				t.Errorf("connection %d: %v", seed, err)
			}
		})
	}
	working.Wait()
	w.all(tn, 50_000)
}

// P10: AWS's client says goodbye and exits in the same instant, and where it cannot resume it says nothing. Here the agent
// hears the flag even where the API refuses to terminate, and the API ends a session whose agent can hear nothing.
func TestSessionsEndByTheFlagAndByTheAPI(t *testing.T) {
	t.Parallel()
	t.Run("the API refuses", func(t *testing.T) {
		w := newFaultWorld(t, tunnel.Options{}, func(f *emulator.Faults) {
			f.API = []emulator.APIFault{{Action: "ssm:TerminateSession"}}
		})
		tn := w.open(tunnel.Spec{})
		w.all(tn, 20_000)
		if err := tn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		need.Eventually(t, "the agent to end the session", func() bool { return len(w.account.Sessions()) == 0 })
	})
	t.Run("the agent is deaf", func(t *testing.T) {
		w := newFaultWorld(t, tunnel.Options{}, nil)
		tn := w.open(tunnel.Spec{})
		conn := w.dial(tn)
		if err := echoed(conn, 1, 1000); err != nil {
			t.Fatal(err)
		}
		w.account.Fault(func(f *emulator.Faults) { f.Stalled = []uint16{port} })
		stuffed := make(chan struct{})
		go func() {
			defer close(stuffed)
			_, _ = conn.Write(append(order(orderEcho, 1, 20<<20), random(20<<20, 1)...))
		}()
		sent := uint64(0)
		need.Eventually(t, "the agent to take nothing any more", func() bool {
			now := tn.Stats().Sent
			still := now > 4<<20 && now == sent
			sent = now
			time.Sleep(100 * time.Millisecond)
			return still
		})
		began := time.Now()
		if err := tn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("closing took %s", took)
		}
		if left := w.account.Sessions(); len(left) > 0 {
			t.Errorf("a session with a deaf agent is left: %+v", left)
		}
		<-stuffed
	})
}

// A8: an agent that lost its socket and gave up says nothing. The client's socket is well, a resume succeeds, and nobody
// is behind it: the watchdog takes the session out of use and another one serves.
func TestAnAgentThatGaveUpIsNoticed(t *testing.T) {
	skipInShort(t)
	w := newFaultWorld(t, tunnel.Options{}, func(f *emulator.Faults) { f.NoReconnect = true })
	tn := w.open(tunnel.Spec{})
	w.all(tn, 20_000) // too little for a spare session, on a machine that is not very busy
	old := tn.Link().Session
	w.account.CutAgentLeg()
	w.account.CloseClientLeg(1000) // resumed, with nobody behind it
	lost := w.dial(tn)
	if _, err := lost.Write([]byte("anybody there?")); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	need.Eventually(t, "a connection through another session", func() bool {
		conn := w.dial(tn)
		defer func(c net.Conn) { _ = c.Close() }(conn)
		return echoWithin(conn, 2*time.Second) == nil && tn.Link().Session != old // a spare one serves before it is noticed
	})
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("noticed after %s", took)
	}
	w.all(tn, 20_000)
	if n := len(w.account.Sessions()); n != 2 {
		t.Errorf("%d sessions, want the one that nobody answers in and another", n)
	}
}
