package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/wire"
)

// The tunnel hears that the agent has asked: from then on the session is one that is being opened, not one that is waited for.
func TestTheTunnelHearsThatTheAgentWasAnswered(t *testing.T) {
	c := testChannel(nil)
	h := newHandshake(Endpoint{Port: 80})
	h.channel = c
	answered := 0
	h.answered = func() {
		answered++
		close(h.complete) // so that run ends
	}
	properties, err := json.Marshal(map[string]string{"portNumber": "80", "type": "LocalPortForwarding"})
	if err != nil {
		t.Fatal(err)
	}
	request := `{"AgentVersion":"3.3.0.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":{"SessionType":"Port","Properties":` + string(properties) + `}}]}`
	if err := h.receive(wire.HandshakeRequestType, []byte(request)); err != nil {
		t.Fatal(err)
	}
	within, stop := context.WithTimeout(t.Context(), 10*time.Second) // it is over at once, or never
	defer stop()
	if err := h.run(within); err != nil {
		t.Fatal(err)
	}
	if answered != 1 {
		t.Errorf("the tunnel has heard of %d answers, want 1", answered)
	}
	if sent := written(t, c); len(sent) != 1 || sent[0].Payload != wire.HandshakeResponseType {
		t.Errorf("sent %v, want the response", sent)
	}
	if agent, _ := h.agreed(); agent != (wire.Version{3, 3, 0, 0}) {
		t.Errorf("the agent is %s", agent)
	}
}

// A proof under which the session ends says nothing of the far end: another session tells. Only one whose time is over says that
// the far end has not answered.
func TestAProofWhoseSessionEndsIsNoVerdict(t *testing.T) {
	l := openLane()
	l.proving = make(chan struct{}, 1)
	l.target = aws.Target{Task: "t"}
	m, ok := l.carrier.(*mux)
	if !ok {
		t.Fatal("the lane carries one connection at a time")
	}
	m.finish(errStopped)
	if _, err := l.prove(t.Context()); !errors.Is(err, errStopped) || isVerdict(err) {
		t.Errorf("got %v, want %v", err, errStopped)
	}
	if n := len(l.proving); n != 0 {
		t.Error("the next proof would wait for this one")
	}
}

// What a terminal says of its size fits into the sixteen bits that a kernel has for it.
func TestATerminalsSizeFitsIntoTheKernels(t *testing.T) {
	for n, want := range map[int]uint32{-1: 0, 0: 0, 80: 80, 65_535: 65_535, 65_536: 65_535, 1 << 40: 65_535} {
		if got := cells(n); got != want {
			t.Errorf("%d cells are told as %d, want %d", n, got, want)
		}
	}
}
