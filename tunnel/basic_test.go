package tunnel

import (
	"errors"
	"testing"
)

// What an agent without mux is not sent is not taken for sent: its connection would go on without these bytes.
func TestWhatABasicSessionCannotSendIsAnError(t *testing.T) {
	c := testChannel(nil)
	b := newBasic(c)
	s, err := b.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.write(t.Context(), make([]byte, 20_000)); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, m := range written(t, c) {
		sent += len(m.Body)
	}
	if sent != 20_000 {
		t.Errorf("%d bytes are on their way, want 20000", sent)
	}
	c.finish(errStopped)
	if err := s.write(t.Context(), []byte("x")); !errors.Is(err, errStopped) {
		t.Errorf("got %v, want %v", err, errStopped)
	}
}

// Only an agent with mux reports dials that have failed: a connection without it that ended without a byte was not refused.
func TestNoConnectionOfABasicSessionCountsAsRefused(t *testing.T) {
	tn := &Tunnel{}
	if tn.refused(t.Context(), &stream{carrier: newBasic(testChannel(nil))}) {
		t.Error("it counts as refused")
	}
	m := newMux(testChannel(nil))
	if tn.refused(t.Context(), openStream(t, m)) {
		t.Error("one of a mux counts as refused without a report")
	}
}
