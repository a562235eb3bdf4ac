package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xtaci/smux"

	"culvert/aws"
	"culvert/aws/wire"
)

// bubbleAgent is the far end of a lane inside a bubble of virtual time: a channel that answers like an agent's, with the
// mux library's defaults on it, 10 ms away. Its reader blocks when the mux takes nothing, as the real one does.
type bubbleAgent struct {
	lane    *lane
	channel *channel
	near    net.Conn // the data channel's end of the mux
	up      chan []byte
	down    chan []byte
}

const (
	bubbleDelay   = 10 * time.Millisecond
	bubbleMessage = 8 << 10 // bytes of a message down: more than an agent's, so that an inbox overflows sooner
)

// newBubbleLane opens a lane to an agent whose destinations are served by handle.
func newBubbleLane(t *testing.T, ctx context.Context, running *sync.WaitGroup, handle func(io.ReadWriteCloser)) *lane { //nolint:revive // t first, as everywhere
	t.Helper()
	l := newLane(nil, slog.New(slog.DiscardHandler), Endpoint{Port: 7000}, laneOptions{messageSize: 1024})
	l.target, l.session = aws.Target{Cluster: "c"}, aws.Session{ID: "s"}
	l.changed = func(*lane, error) {} // there is no tunnel
	l.opening.agent = wire.Version{3, 3, 0, 0}
	l.carrier = newMux(l.channel)
	close(l.opening.complete)
	l.attached.Store(true)

	near, far := net.Pipe()
	a := &bubbleAgent{lane: l, near: near, up: make(chan []byte, 1<<16), down: make(chan []byte, 1<<16)}
	a.channel = newChannel(slog.New(slog.DiscardHandler), bubbleMessage, 0, func(kind wire.PayloadType, body []byte) error {
		if kind == wire.Output {
			_, _ = near.Write(body) // blocks, and with it acknowledges, while the mux takes nothing (A6)
		}
		return nil
	})
	server, err := smux.Server(far, nil)
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { // the agent's accept loop
		for {
			s, err := server.AcceptStream()
			if err != nil {
				return
			}
			running.Go(func() { handle(s); _ = s.Close() })
		}
	})
	running.Go(func() { // from the mux into the channel
		packet := make([]byte, bubbleMessage)
		for {
			n, err := near.Read(packet)
			if err != nil || a.channel.send(ctx, packet[:n]) != nil {
				return
			}
			select {
			case <-time.After(time.Millisecond): // its pacing
			case <-ctx.Done():
				return
			}
		}
	})
	running.Go(func() { a.carry(ctx, t, l.channel, a.up) })
	running.Go(func() { a.carry(ctx, t, a.channel, a.down) })
	running.Go(func() { a.hear(ctx, a.up, a.channel) })
	running.Go(func() { a.hear(ctx, a.down, l.channel) })
	running.Go(func() {
		<-ctx.Done()
		_ = near.Close()
		_ = server.Close()
	})
	return l
}

// carry takes what one channel wants to write to the other side.
func (a *bubbleAgent) carry(ctx context.Context, t *testing.T, from *channel, to chan []byte) {
	t.Helper()
	for {
		batch, again, err := from.collect(nil, time.Now())
		if err != nil {
			t.Error(err)
			return
		}
		for _, frame := range batch {
			m, err := wire.Parse(bytes.Clone(frame))
			if err != nil {
				t.Error(err)
				return
			}
			// Both ends are channels of a client; on the wire they are told apart by the type.
			if m.Type == wire.InputStream {
				m.Type = wire.OutputStream
			}
			select {
			case to <- encode(t, m):
			case <-ctx.Done():
				return
			}
		}
		wait := time.Second
		if !again.IsZero() {
			wait = min(wait, max(time.Until(again), 0))
		}
		select {
		case <-time.After(wait):
		case <-from.wake:
		case <-ctx.Done():
			return
		}
	}
}

// hear delivers frames a delay after they came.
func (a *bubbleAgent) hear(ctx context.Context, from chan []byte, to *channel) {
	for {
		select {
		case frame := <-from:
			due := []([]byte){frame}
			select {
			case <-time.After(bubbleDelay):
			case <-ctx.Done():
				return
			}
			for more := true; more; {
				select {
				case frame := <-from:
					due = append(due, frame)
				default:
					more = false
				}
			}
			for _, frame := range due {
				_ = to.receive(frame)
			}
		case <-ctx.Done():
			return
		}
	}
}

// The row of the fault table in its full length: a local reader and a destination stall for ten minutes beside live
// traffic, in virtual time, so with channel, mux and watchdog but without sockets (TestFaultStalledEndsBesideLiveTraffic
// has those). protocol.md 9, P9 (one slow reader stops all), A2 (the client must always read), A4 (acknowledges never
// wait for the reader) and A6 (a blocked destination takes its session along).
func TestFaultStalledEndsForTenMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		never := make(chan struct{})
		defer close(never)
		handle := func(s io.ReadWriteCloser) {
			first := make([]byte, 1)
			if _, err := io.ReadFull(s, first); err != nil {
				return
			}
			switch first[0] {
			case 'e':
				_, _ = io.Copy(s, s)
			case 'f': // floods until its client hangs up, which the agent makes the end of both directions
				running.Go(func() {
					_, _ = io.Copy(io.Discard, s)
					_ = s.Close()
				})
				for block := make([]byte, 16<<10); ; {
					if _, err := s.Write(block); err != nil {
						return
					}
				}
			case 's': // reads no more
				<-never
			}
		}
		lanes := []*lane{newBubbleLane(t, ctx, &running, handle), newBubbleLane(t, ctx, &running, handle)}
		given := make([]chan error, len(lanes))
		for i, l := range lanes {
			given[i] = make(chan error, 1)
			running.Go(func() {
				watching, stop := context.WithCancelCause(ctx)
				defer stop(nil)
				context.AfterFunc(watching, func() {
					if err := context.Cause(watching); ctx.Err() == nil {
						l.attached.Store(false)
						l.channel.finish(err)
						l.carrier.finish(err)
						given[i] <- err
					}
				})
				l.watch(watching, stop)
			})
		}

		write := func(l *lane, s *stream, p []byte) error { return l.carrier.write(ctx, s, p) }
		connect := func(l *lane, what string) *stream {
			s, err := l.connect(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := write(l, s, []byte(what)); err != nil {
				t.Fatal(err)
			}
			return s
		}
		// The stalled reader shares the second lane with all the live traffic; nobody takes from its inbox.
		slow := []*stream{connect(lanes[1], "f")}
		// The stalled destination is alone on the first.
		blocked := connect(lanes[0], "s")
		late, err := lanes[0].connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		stuffed := make(chan error, 1)
		running.Go(func() { stuffed <- write(lanes[0], blocked, make([]byte, 32<<20)) })

		start := time.Now()
		// A connection that speaks there before this is noticed is closed, not left hanging: nobody has heard it.
		time.Sleep(time.Second)
		running.Go(func() { _ = write(lanes[0], late, []byte("e")) }) // ends with ctx
		stranded := make(chan error, 1)
		running.Go(func() {
			_, err := late.inbox.next(ctx)
			stranded <- fmt.Errorf("after %s: %w", time.Since(start).Round(time.Second), err)
		})
		time.Sleep(slowAfter + 5*time.Second)
		if !lanes[0].slow.Load() {
			t.Errorf("a lane that has owed acknowledges for %s is not noticed", lanes[0].channel.quiet(time.Now()))
		}
		served, slowest := 0, time.Duration(0)
		for time.Since(start) < 10*time.Minute {
			l := leastBusy(lanes)
			if l != lanes[1] {
				t.Fatalf("after %s a connection is placed on %p, want the lane that is well", time.Since(start), l)
			}
			s, began := connect(l, "e"), time.Now()
			body := bytes.Repeat([]byte{byte(served)}, 700)
			if err := write(l, s, body); err != nil {
				t.Fatal(err)
			}
			var got []byte
			for len(got) < len(body) {
				waiting, stop := context.WithTimeout(ctx, 15*time.Second)
				chunk, err := s.inbox.next(waiting)
				stop()
				if err != nil {
					t.Fatalf("after %s beside a stalled reader: %v", time.Since(start), err)
				}
				got = append(got, chunk.bytes()...)
				s.inbox.drop(chunk)
			}
			if !bytes.Equal(got, body) {
				t.Fatal("the echo differs")
			}
			s.close()
			l.release()
			served++
			slowest = max(slowest, time.Since(began))
			if n := l.carrier.(*mux).waiting.Load(); n > maxInbox+64<<10 {
				t.Fatalf("%d bytes wait for readers, the bound is %d", n, maxInbox)
			}
			if time.Since(start) > 5*time.Minute && len(slow) == 1 {
				slow = append(slow, connect(l, "f"))
			}
			time.Sleep(time.Second)
		}
		t.Logf("%d connections served in ten minutes, the slowest in %s", served, slowest)
		if served < 100 || slowest > 15*time.Second {
			t.Errorf("%d connections were served, the slowest in %s", served, slowest)
		}
		for i, s := range slow {
			if _, err := s.inbox.next(ctx); err != errOverflow { //nolint:errorlint // the very one
				t.Errorf("the connection of stalled reader %d ended with %v, want %v", i, err, errOverflow)
			}
		}
		if err := <-stranded; !errors.Is(err, errStranded) || !strings.HasPrefix(err.Error(), "after 16s") && !strings.HasPrefix(err.Error(), "after 17s") {
			t.Errorf("the connection that spoke too late ended %v", err)
		}
		select {
		case err := <-given[0]:
			stuck, ok := err.(*StuckError) //nolint:errorlint // watch's own
			if !ok || stuck.For < stuckAfter || stuck.For > stuckAfter+10*time.Second {
				t.Errorf("the stuck lane was given up with %v", err)
			}
		default:
			t.Error("the stuck lane was never given up")
		}
		if err := <-stuffed; err == nil {
			t.Error("32 MiB were written to a destination that does not read")
		}
		if err := lanes[1].channel.over; err != nil {
			t.Errorf("the live lane ended with %v", err)
		}
	})
}
