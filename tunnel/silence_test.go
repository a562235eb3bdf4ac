package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws"
	"culvert/aws/wire"
)

// watched is a lane in virtual time whose watch runs, without a socket: the test is agent, service and ECS.
type watched struct {
	*testing.T
	*lane

	began time.Time
	cut   atomic.Bool // the service is not heard
	over  chan error
	end   func()

	mu   sync.Mutex
	when []time.Duration // ECS was asked
}

// asked is when ECS was asked about the task.
func (w *watched) asked() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.when)
}

// watchLane makes one about whose task ECS says something, or with nil nothing that matters.
func watchLane(t *testing.T, says error) *watched {
	t.Helper()
	l := newLane(nil, slog.New(slog.DiscardHandler), Endpoint{Port: 7000}, laneOptions{messageSize: 1024})
	l.target, l.session = aws.Target{Cluster: "c", Task: "t"}, aws.Session{ID: "s"}
	l.opening.agent = wire.Version{3, 3, 0, 0}
	l.carrier = newMux(l.channel)
	close(l.opening.complete)
	l.attached.Store(true)
	w := &watched{T: t, lane: l, began: time.Now(), over: make(chan error, 1)}
	l.changed = func(*lane, error) {}
	l.suspect = func(*lane) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.when = append(w.when, time.Since(w.began))
		l.finding.Store(findingOf(says))
	}
	l.channel.heard.Store(w.began.UnixNano())
	ctx, cancel := context.WithCancelCause(t.Context())
	go l.watch(ctx, func(err error) { cancel(err); w.over <- err })
	go func() { // a socket whose service answers pings, and an agent that hears nothing
		tick := time.NewTicker(time.Second / 4)
		defer tick.Stop()
		for {
			written(t, l.channel)
			select {
			case <-ctx.Done():
				return
			case <-l.channel.wake:
			case now := <-tick.C:
				if !w.cut.Load() {
					l.channel.served.Store(now.UnixNano())
				}
			}
		}
	}()
	w.end = func() { cancel(nil) }
	return w
}

func (w *watched) service(kind wire.Type) {
	w.Helper()
	mustReceive(w.T, w.channel, publication(w.T, kind))
}

// until lets time pass and reports why the session was given up meanwhile, if it was.
func (w *watched) until(d time.Duration) error {
	time.Sleep(d - time.Since(w.began))
	synctest.Wait()
	select {
	case err := <-w.over:
		return err
	default:
		return nil
	}
}

func (w *watched) acknowledgeAll() {
	w.Helper()
	w.channel.mu.Lock()
	from, to := w.channel.out.oldest(), w.channel.out.next
	w.channel.mu.Unlock()
	for n := from; n < to; n++ {
		mustReceive(w.T, w.channel, ackFor(w.T, wire.Message{Type: wire.InputStream, Sequence: n}))
	}
}

// The service says that the agent is away, and it never comes back: asked at once, no new connections at once, another
// session after a second and a half, given up after five.
func TestAnAgentThatStaysAwayIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchLane(t, nil)
		defer w.end()
		w.service(wire.PausePublication)
		synctest.Wait()
		if w.usable() || w.state() != Open {
			t.Errorf("at once: usable %t, %s", w.usable(), w.state())
		}
		if err := w.until(1400 * time.Millisecond); err != nil || w.state() != Open || w.slow.Load() {
			t.Errorf("after 1.4 s: %s, %v", w.state(), err)
		}
		if asked := w.asked(); len(asked) != 1 || asked[0] > 500*time.Millisecond {
			t.Errorf("ECS was asked at %v", asked)
		}
		if err := w.until(1800 * time.Millisecond); err != nil || w.state() != Resuming || !w.slow.Load() {
			t.Errorf("after 1.8 s: %s, %v", w.state(), err)
		}
		if err := w.until(4900 * time.Millisecond); err != nil {
			t.Errorf("given up before its time: %v", err)
		}
		silent, ok := errors.AsType[*SilentError](w.until(5300 * time.Millisecond))
		if !ok || !silent.Away || silent.Target != w.target {
			t.Errorf("given up with %v", silent)
		}
		if asked := w.asked(); len(asked) > 2 {
			t.Errorf("ECS was asked at %v", asked)
		}
	})
}

// An agent that comes back in time loses nothing, whether the service says so or only the agent is heard.
func TestAnAgentThatComesBackIsNotGivenUp(t *testing.T) {
	for name, back := range map[string]func(*watched){
		"start_publication": func(w *watched) { w.service(wire.StartPublication); w.acknowledgeAll() },
		"its acknowledge":   func(w *watched) { w.acknowledgeAll() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := watchLane(t, nil)
				defer w.end()
				for i := range 5 { // it flaps
					at := time.Duration(i) * 6 * time.Second
					_ = w.until(at)
					w.service(wire.PausePublication)
					if err := w.until(at + 4*time.Second); err != nil {
						t.Fatal(err)
					}
					back(w)
					if err := w.until(at + 4200*time.Millisecond); err != nil || !w.usable() {
						t.Fatalf("%s, slow %t, %v", w.state(), w.slow.Load(), err)
					}
				}
				if err := w.until(time.Minute); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// replaceSocket is the loss of the socket, and the next one.
func (w *watched) replaceSocket(after time.Duration) {
	w.attached.Store(false)
	time.Sleep(after)
	w.attached.Store(true)
	w.channel.attach(time.Now())
}

// A new socket is no word of the agent's: the tunnel is not shown as open on it for longer than on the one before, and the session
// is given up when the agent does not answer on it either.
func TestAnAgentThatStaysAwayIsNotBackWithANewSocket(t *testing.T) {
	for name, without := range map[string]time.Duration{"at once": 0, "after a moment": 10 * time.Millisecond, "after a while": 400 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := watchLane(t, nil)
				defer w.end()
				w.service(wire.PausePublication)
				_ = w.until(1100 * time.Millisecond)
				w.replaceSocket(without)
				attached := time.Since(w.began)
				if synctest.Wait(); w.usable() {
					t.Error("new connections get an agent that is away")
				}
				for at := 2 * time.Second; at < attached+4900*time.Millisecond; at += 50 * time.Millisecond {
					if err := w.until(at); err != nil || w.state() != Resuming || w.usable() {
						t.Fatalf("%s after it went: %s, usable %t, %v", at, w.state(), w.usable(), err)
					}
				}
				silent, ok := errors.AsType[*SilentError](w.until(attached + 5300*time.Millisecond))
				if !ok || !silent.Away {
					t.Errorf("given up with %v", silent)
				}
			})
		})
	}
}

// However often the socket is replaced, an agent that is away is not there in between.
func TestAnAgentThatIsAwayIsNotShownBetweenSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchLane(t, nil)
		defer w.end()
		w.service(wire.PausePublication)
		_ = w.until(2 * time.Second)
		for range 20 {
			w.replaceSocket(100 * time.Millisecond)
			for began := time.Now(); time.Since(began) < time.Second; time.Sleep(20 * time.Millisecond) {
				if synctest.Wait(); w.state() != Resuming {
					t.Fatalf("%s it is %s", time.Since(w.began), w.state())
				}
			}
		}
		w.acknowledgeAll()
		if err := w.until(time.Since(w.began) + 200*time.Millisecond); err != nil || !w.usable() {
			t.Errorf("its word does not end that: %s, %v", w.state(), err)
		}
	})
}

// Where the message that ends a pause was lost with the socket, the agent's first answer on the next one ends it: nothing is shown,
// asked or given up for it.
func TestALostEndOfAPauseCostsARoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchLane(t, nil)
		defer w.end()
		s, err := w.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(60 * time.Millisecond)
		w.acknowledgeAll()
		_ = w.until(time.Second)
		w.service(wire.PausePublication)
		_ = w.until(1100 * time.Millisecond)
		for range 10 {
			if err := s.write(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		_ = w.until(4 * time.Second)
		w.replaceSocket(10 * time.Second)
		time.Sleep(200 * time.Millisecond) // a long round trip
		w.channel.mu.Lock()
		first := w.channel.out.oldest()
		w.channel.mu.Unlock()
		mustReceive(t, w.channel, ackFor(t, wire.Message{Type: wire.InputStream, Sequence: first}))
		time.Sleep(50 * time.Millisecond) // the writer's turn
		synctest.Wait()
		if w.channel.paused() || !w.usable() {
			t.Errorf("paused %t, %s", w.channel.paused(), w.state())
		}
		w.channel.mu.Lock()
		held := len(w.channel.out.unacked) - w.channel.out.unsent + len(w.channel.out.again)
		w.channel.mu.Unlock()
		if held > 0 {
			t.Errorf("%d messages are held back", held)
		}
	})
}

// An agent that may be back and wait for a destination may have taken what was written on the new socket: what is opened anew
// elsewhere is what was not written.
func TestNothingIsSentTwiceForAPauseOfAnEarlierSocket(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := watchLane(t, nil)
			defer w.end()
			spoke := func() *stream {
				s, err := w.connect(t.Context())
				if err == nil {
					err = s.write(t.Context(), []byte("x"))
				}
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			spoke()
			time.Sleep(60 * time.Millisecond) // the round trip
			w.acknowledgeAll()
			_ = w.until(time.Second) // it was silent for longer than it takes for its last acknowledges to get lost
			first := spoke()
			time.Sleep(time.Millisecond)
			w.service(wire.PausePublication)
			second := spoke()
			_ = w.until(2 * time.Second)
			if replaced {
				w.replaceSocket(10 * time.Millisecond)
			}
			silent, ok := errors.AsType[*SilentError](w.until(8 * time.Second))
			if !ok {
				t.Fatal("the session was not given up")
			}
			w.spare(silent)
			if !second.spare.Load() || first.spare.Load() == replaced {
				t.Errorf("with a new socket %t: the one whose words were written is opened anew: %t, the other: %t", replaced, first.spare.Load(), second.spare.Load())
			}
		})
	}
}

// A pause that means nothing, on a session where nothing is owed: the one message that is sent for it is acknowledged.
func TestAPauseOfALivingAgentCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchLane(t, nil)
		defer w.end()
		w.service(wire.PausePublication)
		time.Sleep(60 * time.Millisecond)
		if w.channel.drained() {
			t.Fatal("nothing was sent for the agent to answer")
		}
		w.acknowledgeAll()
		if err := w.until(time.Minute); err != nil || !w.usable() || len(w.asked()) > 0 {
			t.Errorf("usable %t, ECS asked at %v, %v", w.usable(), w.asked(), err)
		}
	})
}

// Silence alone, of a destination that does not read or of an agent that is gone: ECS is asked, and what it says decides.
// Nothing, or nothing bad, or no answer, is no reason to give the session up.
func TestSilenceAloneIsNoDeath(t *testing.T) {
	stopped := &aws.NotReadyError{Cause: aws.CauseAgentStopped}
	for name, one := range map[string]struct {
		says     error
		from, to time.Duration // given up between these; 0: not before stuckAfter
	}{
		"ECS says nothing":          {},
		"ECS is out":                {says: &aws.UnreachableError{}},
		"the agent starts anew":     {says: &aws.NotReadyError{Cause: aws.CauseAgentPending}},
		"the task is about to stop": {says: &aws.TaskGoneError{Status: "DEACTIVATING"}},
		"the agent has stopped":     {says: stopped, from: 4900 * time.Millisecond, to: 6 * time.Second},
		"the task has stopped":      {says: &aws.TaskGoneError{Status: "STOPPED"}, from: 3 * time.Second, to: 4100 * time.Millisecond},
		"the task is not known":     {says: &aws.TaskGoneError{}, from: 3 * time.Second, to: 4100 * time.Millisecond},
		"the container was restarted": {
			says: &aws.TaskGoneError{Status: "RUNNING"}, from: 3 * time.Second, to: 4100 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := watchLane(t, one.says)
				defer w.end()
				if _, err := w.connect(t.Context()); err != nil {
					t.Fatal(err)
				}
				if one.to == 0 {
					if err := w.until(stuckAfter - 5*time.Second); err != nil || w.state() != Open {
						t.Fatalf("%s, %v", w.state(), err)
					}
					if n := len(w.asked()); n < 10 || n > 25 {
						t.Errorf("ECS was asked %d times in two minutes", n)
					}
					if _, stuck := errors.AsType[*StuckError](w.until(stuckAfter + 5*time.Second)); !stuck {
						t.Error("it is never given up")
					}
					return
				}
				if err := w.until(one.from); err != nil {
					t.Fatalf("given up before its time: %v", err)
				}
				silent, ok := errors.AsType[*SilentError](w.until(one.to))
				if !ok || silent.Away || !errors.Is(silent, one.says) {
					t.Errorf("given up with %v", silent)
				}
			})
		})
	}
}

// Where the service does not answer either, it is the way to it that is lost; and a process that was stopped finds what was
// said only when it goes on.
func TestNobodyIsGivenUpWhoCannotBeHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchLane(t, nil)
		defer w.end()
		w.service(wire.PausePublication)
		w.cut.Store(true)
		if err := w.until(20 * time.Second); err != nil {
			t.Errorf("given up although nothing is heard: %v", err)
		}
	})
	l := newLane(nil, slog.New(slog.DiscardHandler), Endpoint{Port: 7000}, laneOptions{messageSize: 1024})
	l.carrier = newMux(l.channel)
	close(l.opening.complete)
	l.attached.Store(true)
	l.changed = func(*lane, error) {}
	l.paused(true)
	start := time.Now()
	l.channel.out.attached = start
	_ = l.channel.push(wire.Output, []byte("x"))
	written(t, l.channel)
	var v vigil
	for _, at := range []time.Duration{0, time.Second, time.Hour, time.Hour + 4*time.Second} { // stopped for an hour
		l.channel.served.Store(start.Add(at).UnixNano())
		if at > time.Hour {
			v.looked = start.Add(at)
		}
		if err := l.heed(&v, start.Add(at)); err != nil {
			t.Fatalf("given up after %s: %v", at, err)
		}
	}
	at := time.Hour + 6*time.Second
	v.looked = start.Add(at)
	l.channel.served.Store(start.Add(at).UnixNano())
	if err := l.heed(&v, start.Add(at)); err == nil {
		t.Error("not given up after six seconds of silence")
	}
}

// A download that stops while nothing is owed looks like one that has nothing to send. The agent is asked once.
func TestADownloadThatStopsHasTheAgentAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchLane(t, nil)
		defer w.end()
		if _, err := w.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(60 * time.Millisecond)
		w.acknowledgeAll()
		sent := func() int64 { return w.channel.next() }
		before := sent()
		w.received.Add(flowed - 1)
		w.lastData.Store(time.Now().UnixNano())
		if _ = w.until(10 * time.Second); sent() != before {
			t.Error("asked after a conversation")
		}
		w.received.Add(flowed)
		w.lastData.Store(time.Now().UnixNano())
		if _ = w.until(15 * time.Second); sent() != before+1 {
			t.Errorf("%d messages after a download that has stopped", sent()-before)
		}
		w.acknowledgeAll()
		if _ = w.until(time.Minute); sent() != before+1 || !w.usable() {
			t.Errorf("%d messages a minute later", sent()-before)
		}
	})
}
