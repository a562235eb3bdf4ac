package tunnel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws/wire"
)

// inStep reads mux frames as smux does, and reports whether all of it could be read.
func inStep(all []byte) bool {
	for len(all) > 1 { // a seam stands at the end, or does not
		f, err := wire.ParseMux(all)
		if err != nil || len(all) < wire.MuxHeader+int(f.Length) {
			return false
		}
		all = all[wire.MuxHeader+int(f.Length):]
	}
	return true
}

// A10 of docs/faults.md: whatever message an agent takes twice, its mux is out of sync then, instead of handing on twice what it
// has carried once.
func TestAMessageTakenTwicePutsTheMuxOutOfSync(t *testing.T) {
	c := testChannel(nil)
	m := newMux(c)
	s := openStream(t, m)
	if got := len(written(t, c)[0].Body); got != wire.MuxHeader {
		t.Errorf("before the agent has said anything a frame goes out as %d bytes, want %d", got, wire.MuxHeader)
	}
	if err := m.receive(push(s.id, "hello")); err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("no header is like this: \x02\x03\x00"), 1000)
	var bodies [][]byte
	for _, size := range []int{1, 1, 500, 1015, 1016, 1016, 1017, 7, 9000, 3, 8176, 8177, 1016, 1, 2} {
		if err := s.write(t.Context(), body[:size]); err != nil {
			t.Fatal(err)
		}
		for _, o := range written(t, c) {
			if len(o.Body) > c.size {
				t.Fatalf("a message of %d bytes, want at most %d", len(o.Body), c.size)
			}
			bodies = append(bodies, o.Body)
			c.acknowledged(o.Sequence, time.Now())
		}
	}
	if !inStep(slices.Concat(bodies...)) {
		t.Fatal("what is sent cannot be read")
	}
	for i, one := range bodies {
		if inStep(slices.Concat(slices.Concat(bodies[:i+1]...), one, slices.Concat(bodies[i+1:]...))) {
			t.Errorf("message %d of %d, of %d bytes, can be taken twice", i+1, len(bodies), len(one))
		}
	}
}

// doubtful is a lane without a socket whose agent has taken data and said something, and was away with more under way.
func doubtful(t *testing.T) (*lane, *mux, *stream) {
	t.Helper()
	l := newLane(nil, slog.New(slog.DiscardHandler), Endpoint{Port: 1}, laneOptions{messageSize: 1024})
	m := newMux(l.channel)
	l.carrier = m
	close(l.opening.complete)
	l.attached.Store(true)
	s := openStream(t, m)
	if err := m.receive(push(s.id, "hello")); err != nil {
		t.Fatal(err)
	}
	acknowledgeAll(t, l.channel)
	if err := s.write(t.Context(), []byte("an upload")); err != nil {
		t.Fatal(err)
	}
	written(t, l.channel)
	mustReceive(t, l.channel, publication(t, wire.PausePublication))
	if !s.doubtful() {
		t.Fatal("there is no doubt")
	}
	return l, m, s
}

// acknowledgeAll takes whatever a channel sends, for some seconds.
func acknowledgeAll(t *testing.T, c *channel) {
	t.Helper()
	for range 20 {
		for _, o := range written(t, c) {
			if o.Type == wire.InputStream {
				mustReceive(t, c, ackFor(t, o))
			}
		}
		time.Sleep(50 * time.Millisecond)
		synctest.Wait() // for those that wake up in the same moment
	}
}

func TestADoubtEndsWithAnAnswer(t *testing.T) {
	for _, answers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l, m, s := doubtful(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan struct{})
			go func() { l.reassure(ctx, cancel); close(done) }()
			mustReceive(t, l.channel, publication(t, wire.StartPublication))
			acknowledgeAll(t, l.channel)
			s.ended(io.EOF)
			m.forget(s)
			if answers {
				_ = m.receive(fin(m.lastID))
				if err := s.settle(ctx, false); err != nil || s.doubtful() {
					t.Errorf("the connection ends with %v although the agent has answered", err)
				}
				cancel(nil)
				<-done
				return
			}
			unsure, ok := errors.AsType[*UncertainError](s.settle(t.Context(), false))
			if !ok || !unsure.Lost {
				t.Errorf("the connection ends with %v, want that it is uncertain", unsure)
			}
			<-done
			if _, ok := errors.AsType[*OutOfSyncError](context.Cause(ctx)); !ok {
				t.Errorf("the session goes on with %v, want it given up", context.Cause(ctx))
			}
		})
	}
}

// A destination that reads slowly keeps the agent from answering for long, which does not mean that it cannot.
func TestADoubtWaitsForASlowDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m, s := doubtful(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan struct{})
		go func() { l.reassure(ctx, cancel); close(done) }()
		mustReceive(t, l.channel, publication(t, wire.StartPublication))
		for range 60 {
			acknowledgeAll(t, l.channel)
		}
		if err := context.Cause(ctx); err != nil || !s.doubtful() {
			t.Fatalf("after a minute without an answer the session has ended with %v, its upload in doubt: %t", err, s.doubtful())
		}
		_ = m.receive(fin(m.lastID))
		synctest.Wait()
		if s.doubtful() {
			t.Error("an answer does not end the doubt")
		}
		cancel(nil)
		<-done
	})
}

// Out of sync is a mux as a whole: a stream that ends alone has ended by itself.
func TestAStreamThatEndsAloneIsNotInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, m, s := doubtful(t)
		another := openStream(t, m)
		m.doubt()
		s.ended(io.EOF)
		m.forget(s)
		if err := s.settle(t.Context(), false); err != nil {
			t.Errorf("it ends with %v although another one has outlasted it", err)
		}
		m.forget(another)
		if err := s.settle(t.Context(), false); err == nil {
			t.Error("the last one to end is not in doubt")
		}
	})
}

func TestWhatWasNotUnderWayIsNotInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, m, _ := doubtful(t)
		if quiet := openStream(t, m); quiet.doubtful() {
			t.Error("a stream that was opened later is in doubt")
		}
	})
}

// An upload that a later absence of the agent does not concern is not in doubt for an earlier one.
func TestADoubtThatIsOverDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m, s := doubtful(t)
		mustReceive(t, l.channel, publication(t, wire.StartPublication))
		acknowledgeAll(t, l.channel)
		other := openStream(t, m)
		if err := m.receive(push(other.id, "hello")); err != nil {
			t.Fatal(err)
		}
		if s.doubtful() {
			t.Fatal("an answer does not end the doubt")
		}
		if err := other.write(t.Context(), []byte("another upload")); err != nil {
			t.Fatal(err)
		}
		written(t, l.channel)
		mustReceive(t, l.channel, publication(t, wire.PausePublication))
		if s.uploading() || !other.uploading() {
			t.Errorf("the first upload is in doubt: %t, the second: %t", s.uploading(), other.uploading())
		}
		s.left.Store(true)
		if err := s.settle(t.Context(), false); err != nil {
			t.Errorf("a connection that its client has ended has ended with %v", err)
		}
	})
}

// Before the agent has said anything there are no seams, and no answer tells.
func TestADoubtWithoutSeamsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		m := newMux(c)
		s := openStream(t, m)
		if err := s.write(t.Context(), []byte("an upload")); err != nil {
			t.Fatal(err)
		}
		m.doubt()
		later := openStream(t, m)
		if err := m.receive(fin(later.id)); err != nil {
			t.Fatal(err)
		}
		if !s.doubtful() {
			t.Error("an answer has ended the doubt")
		}
	})
}

// A client that is done before all of it is acknowledged is told apart from one that has got through.
func TestTheLastBytesOfAClientThatIsDoneAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testChannel(nil)
		m := newMux(c)
		s := openStream(t, m)
		if err := s.write(t.Context(), []byte("an upload")); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Second)
			for _, o := range written(t, c) {
				mustReceive(t, c, ackFor(t, o))
			}
		}()
		began := time.Now()
		if err := s.settle(t.Context(), true); err != nil || time.Since(began) < time.Second {
			t.Errorf("ends with %v after %s, want nil when all is acknowledged", err, time.Since(began))
		}
		if err := s.write(t.Context(), []byte("more")); err != nil {
			t.Fatal(err)
		}
		unsure, ok := errors.AsType[*UncertainError](s.settle(t.Context(), true))
		if !ok || unsure.Lost {
			t.Errorf("ends with %v, want that the end is uncertain", unsure)
		}
		if err := s.settle(t.Context(), false); err != nil {
			t.Errorf("a far side that has closed it ends it with %v", err)
		}
	})
}
