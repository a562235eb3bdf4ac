package bond

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// echoes measures round trips of 1 KiB, one after the other with a pause between.
func (l *lab) echoes(n int, pause time.Duration) []time.Duration {
	l.Helper()
	s, err := l.bundle.Open(l.Context(), portEcho)
	if err != nil {
		l.Fatal(err)
	}
	defer s.Close()
	var all []time.Duration
	buf := make([]byte, 1024)
	for range n {
		began := time.Now()
		if _, err := s.Write(buf); err != nil {
			l.Fatal(err)
		}
		if _, err := io.ReadFull(s, buf); err != nil {
			l.Fatal(err)
		}
		all = append(all, time.Since(began))
		time.Sleep(pause)
	}
	slices.Sort(all)
	return all
}

func TestAnEchoHasAStrandToItselfBesideADownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		l.strands(8)
		idle := l.echoes(50, 10*time.Millisecond)
		n := 40 << 20
		var took time.Duration
		var download sync.WaitGroup
		download.Go(func() { took, _ = l.download(n) })
		time.Sleep(time.Second)
		busy := l.echoes(100, 10*time.Millisecond)
		download.Wait()
		t.Logf("idle p50 %s p99 %s, busy p50 %s p99 %s, download %.2f", idle[25], idle[49], busy[50], busy[98], rate(n, took)/plain/8)
		if idle[25] > 23*time.Millisecond || busy[50] > 27*time.Millisecond || busy[98] > 45*time.Millisecond {
			t.Error("an echo takes longer than 23 ms idle, or 27 (p50) and 45 (p99) beside a download")
		}
		if got := rate(n, took) / plain / 8; got < 0.85 {
			t.Errorf("the download has %.2f of its rate", got)
		}
	})
}

// A stream that is opened has its outcome in one round trip, and its first byte in no more: what is written at once is there
// when the relay has connected.
func TestANewStreamTakesOneRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		l.strands(2)
		began := time.Now()
		s, err := l.bundle.Begin(portEcho)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte("GET")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 24*time.Millisecond {
			t.Errorf("the first byte took %s", took)
		}
		began = time.Now()
		if _, err := l.bundle.Open(t.Context(), portRefused); err != ErrRefused { //nolint:errorlint // as it is
			t.Errorf("got %v, want ErrRefused", err)
		}
		if took := time.Since(began); took > 24*time.Millisecond {
			t.Errorf("the refusal took %s", took)
		}
	})
}

// The window follows the round trip: its least is forgotten.
func TestALongerRoundTripIsLearned(t *testing.T) {
	const slow = 2 * time.Millisecond // for 1,024 bytes: half of what there is to carry
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		for range 2 {
			l.strand(&session{every: slow})
		}
		s := l.source(1<<40, 3)
		defer s.Close()
		var mu sync.Mutex
		var got int
		go func() {
			buf := make([]byte, 64<<10)
			for {
				n, err := s.Read(buf)
				mu.Lock()
				got += n
				mu.Unlock()
				if err != nil {
					return
				}
			}
		}()
		during := func(d time.Duration) float64 {
			mu.Lock()
			before := got
			mu.Unlock()
			time.Sleep(d)
			mu.Lock()
			defer mu.Unlock()
			return rate(got-before, d) * slow.Seconds() / 1024 / 2
		}
		time.Sleep(12 * time.Second)
		at20 := during(7 * time.Second)
		l.each(50 * time.Millisecond)
		time.Sleep(14 * time.Second)
		at100 := during(7 * time.Second)
		l.each(10 * time.Millisecond)
		time.Sleep(14 * time.Second)
		again := during(7 * time.Second)
		t.Logf("%.3f, then %.3f, then %.3f of the sum", at20, at100, again)
		if at20 < 0.9 || at100 < 0.9*at20 || again < 0.9*at20 {
			t.Errorf("rates of %.2f, %.2f, %.2f of the sum, want 90 %% of the first within 15 s", at20, at100, again)
		}
	})
}

// Readers that have stalled hold what is theirs; neither memory nor rate is short for another.
func TestFortyStalledReadersLeaveADownloadItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		l.strands(8)
		var stalled []*Stream
		for i := range 40 {
			s := l.source(1<<40, uint64(i))
			stalled = append(stalled, s)
			if _, err := io.ReadFull(s, make([]byte, 100<<10)); err != nil { // they begin well
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		n := 16 << 20
		took, _ := l.download(n)
		held := l.memory(l.bundle.end)
		t.Logf("%.3f of the rate, %d KiB at the near end, %d at the relay", rate(n, took)/plain/8, held>>10, l.memory(l.far())>>10)
		if got := rate(n, took) / plain / 8; got < 0.9 {
			t.Errorf("the download has %.2f of its rate", got)
		}
		if held > 16<<20 || l.memory(l.far()) > 2<<20 {
			t.Errorf("stalled readers hold %d KiB at the near end, %d at the relay", held>>10, l.memory(l.far())>>10)
		}
		if echo := l.echoes(10, 0); echo[5] > 25*time.Millisecond {
			t.Errorf("an echo beside stalled readers takes %s", echo[5])
		}
		for _, s := range stalled {
			_ = s.Close()
		}
		time.Sleep(time.Second)
		l.nothingLeft()
	})
}

// memory is what an end holds of its streams: what came and was not read, what was written and has not arrived. It fails
// when the former is more than was granted.
func (l *lab) memory(e *end) (bytes uint64) {
	l.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.streams {
		if s.in.buffered > s.granted-s.consumed || s.granted-s.consumed > e.limits.Stream {
			l.Errorf("stream %d holds %d bytes of a credit of %d", s.id, s.in.buffered, s.granted-s.consumed)
		}
		bytes += s.in.buffered + s.sending.held
	}
	return bytes
}

// nothingLeft checks that no stream is left at either end, and all memory was given back.
func (l *lab) nothingLeft() {
	l.Helper()
	for name, e := range map[string]*end{"near": l.bundle.end, "far": l.far()} {
		if e == nil {
			continue
		}
		e.mu.Lock()
		if len(e.streams) > 0 || e.credit.used != 0 || e.hold.used != 0 || e.credit.of.free != e.limits.Credit || e.hold.of.free != e.limits.Hold {
			l.Errorf("%s end: %d streams left, %d bytes of credit, %d held", name, len(e.streams), e.credit.used, e.hold.used)
		}
		e.mu.Unlock()
	}
}

// The agent rests behind each message, so what the relay says at the beginning of a stream is in one: that it is connected, and
// what the target answers at once. Nothing else is in the way of the next answer.
func TestAnAnswerComesWithTheWordThatTheStreamIsConnected(t *testing.T) {
	ends := func(err error) func(context.Context, uint16) (net.Conn, error) {
		return func(context.Context, uint16) (net.Conn, error) { return endedConn{err: err}, nil }
	}
	for name, tt := range map[string]struct {
		dial  func(context.Context, uint16) (net.Conn, error)
		port  byte
		data  string
		first []kind        // the frames of the first write, acknowledges aside
		after time.Duration // when that comes
		later []kind        // those of all later writes
	}{
		"an answer at once":         {dialModel, portEcho, "GET", []kind{kindOpened, kindData}, 0, nil},
		"no answer":                 {dialModel, portDigest, "GET", []kind{kindOpened}, answerWithin, nil},
		"nothing was asked":         {dialModel, portEcho, "", []kind{kindOpened}, 0, nil},
		"the target closes at once": {ends(io.EOF), portEcho, "GET", []kind{kindOpened, kindData}, 0, nil},
		"the target fails at once":  {ends(syscall.ECONNRESET), portEcho, "GET", []kind{kindOpened, kindReset}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				relay := &Relay{Targets: []uint16{uint16(tt.port)}, Dial: tt.dial}
				defer relay.Close()
				conn := enter(t, relay)
				defer conn.Close()
				asked := header{kind: kindOpen, stream: 1, offset: 1 << 20}.with(0, tt.port)
				if tt.data != "" {
					asked = append(asked, header{kind: kindData, stream: 1}.with([]byte(tt.data)...)...)
				}
				if _, err := conn.Write(asked); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				_ = conn.SetReadDeadline(began.Add(time.Second))
				var first, later []kind
				buf := make([]byte, 64<<10)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						break
					}
					var frames []kind
					for r := bufio.NewReader(bytes.NewReader(buf[:n])); ; {
						h, _, err := readFrame(r, nil)
						if err != nil {
							break
						}
						if h.kind != kindAck {
							frames = append(frames, h.kind)
						}
					}
					if len(frames) > 0 && first == nil {
						first = frames
						if took := time.Since(began); took != tt.after {
							t.Errorf("it came after %s, want %s", took, tt.after)
						}
					} else {
						later = append(later, frames...)
					}
				}
				if !slices.Equal(first, tt.first) || !slices.Equal(later, tt.later) {
					t.Errorf("got the frames %v and later %v, want %v and %v", first, later, tt.first, tt.later)
				}
			})
		})
	}
}

// endedConn is a connection of which nothing more comes, because of err.
type endedConn struct {
	net.Conn
	err error
}

func (c endedConn) Read([]byte) (int, error)        { return 0, c.err }
func (c endedConn) Write(p []byte) (int, error)     { return len(p), nil }
func (c endedConn) SetReadDeadline(time.Time) error { return nil }
func (c endedConn) Close() error                    { return nil }
