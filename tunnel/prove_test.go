package tunnel

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws/wire"
)

// outcome is what a proof came to.
type outcome struct {
	took    time.Duration
	refused bool
	err     error
}

// proving starts a proof on a mux and waits until it has sent all it sends for now.
func proving(ctx context.Context, m *mux) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		took, refused, err := m.prove(ctx)
		done <- outcome{took, refused, err}
	}()
	synctest.Wait()
	return done
}

func receive(t *testing.T, m *mux, frame []byte) {
	t.Helper()
	if err := m.receive(frame); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func TestAProofReadsTheAgentsAnswer(t *testing.T) {
	const id = 3 // of the first stream
	for name, c := range map[string]struct {
		flag  bool   // a dial failed
		frame []byte // nil: the session ends
		want  outcome
	}{
		"accepted":                 {false, fin(id), outcome{}},
		"accepted with a greeting": {false, push(id, "SSH-2.0-x\r\n"), outcome{}},
		"refused":                  {true, fin(id), outcome{refused: true}},
		"over":                     {false, nil, outcome{err: errStopped}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				channel := testChannel(nil)
				m := newMux(channel)
				done := proving(t.Context(), m)
				sent := muxFrames(t, channel)
				if len(sent) != 2 || sent[0].Command != wire.MuxOpen || sent[1].Command != wire.MuxClose || sent[0].Stream != id {
					t.Fatalf("got frames %v, want the beginning and the end of a stream", sent)
				}
				time.Sleep(40 * time.Millisecond)
				if c.flag {
					m.refused(time.Now())
				}
				if c.frame != nil {
					receive(t, m, c.frame)
				} else {
					m.finish(errStopped)
				}
				got := <-done
				if got.refused != c.want.refused || !errors.Is(got.err, c.want.err) {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
				if got.err == nil && got.took != 40*time.Millisecond {
					t.Errorf("it took %s", got.took)
				}
				if n := m.waiting.Load(); n != 0 {
					t.Errorf("%d bytes of a greeting are kept", n)
				}
			})
		})
	}
}

// What comes before the agent has noted the end of the handshake it throws away (A3 of protocol.md 9).
func TestAProofThatWasThrownAwayIsRepeatedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		channel := testChannel(nil)
		m := newMux(channel)
		done := proving(t.Context(), m)
		time.Sleep(time.Minute)
		synctest.Wait()
		if sent := muxFrames(t, channel); len(sent) != 4 || sent[2].Stream != 5 {
			t.Fatalf("got frames %v, want two proofs in a minute of silence", sent)
		}
		receive(t, m, fin(5))
		if got := <-done; got.err != nil || got.refused {
			t.Errorf("got %+v, want it to be accepted", got)
		}
		if len(m.streams) != 0 {
			t.Errorf("%d streams are left", len(m.streams))
		}
	})
}

func TestSilenceIsAskedAboutOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		channel := testChannel(nil)
		m := newMux(channel)
		for range 5 { // others ask again
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			if got := <-proving(ctx, m); !errors.Is(got.err, context.DeadlineExceeded) {
				t.Fatalf("got %+v, want no answer", got)
			}
			cancel()
		}
		if sent := muxFrames(t, channel); len(sent) != 4 {
			t.Errorf("got %d frames in 50 s of silence, want those of two streams", len(sent))
		}
		// The dial fails at last, while nobody asks: that answer is too old for the next question.
		m.refused(time.Now())
		receive(t, m, fin(3))
		m.refused(time.Now())
		receive(t, m, fin(5))
		done := proving(t.Context(), m)
		receive(t, m, fin(7))
		if got := <-done; got.refused || got.err != nil {
			t.Errorf("got %+v, want what is true now", got)
		}
	})
}

// A refusal bears no stream: another connection's must not be taken for the proof's, nor the other way round.
func TestAnothersRefusalIsNotTheProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		channel := testChannel(nil)
		m := newMux(channel)
		other := openStream(t, m)
		done := proving(t.Context(), m)
		m.refused(time.Now())
		receive(t, m, fin(other.id))
		receive(t, m, fin(5))
		if got := <-done; !errors.Is(got.err, errAmbiguous) {
			t.Errorf("got %+v, want no verdict", got)
		}
		if !m.takeRefusal(time.Now()) {
			t.Error("the refusal was taken from the connection that it was about")
		}
		// Both were refused.
		other = openStream(t, m)
		done = proving(t.Context(), m)
		m.refused(time.Now())
		receive(t, m, fin(other.id))
		m.refused(time.Now())
		receive(t, m, fin(9))
		if got := <-done; !got.refused {
			t.Errorf("got %+v, want a refusal", got)
		}
		if !m.takeRefusal(time.Now()) || m.takeRefusal(time.Now()) {
			t.Error("want one refusal to be left, for the other connection")
		}
		// One of others that carried bytes was accepted, whenever it ends.
		other = openStream(t, m)
		receive(t, m, push(other.id, "x"))
		done = proving(t.Context(), m)
		receive(t, m, fin(other.id))
		m.refused(time.Now())
		receive(t, m, fin(13))
		if got := <-done; !got.refused {
			t.Errorf("got %+v, want a refusal", got)
		}
	})
}
