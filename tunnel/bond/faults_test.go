package bond

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// meanwhile runs a fault in the middle of a download over eight strands, and returns how long that took, and the longest
// silence.
func meanwhile(t *testing.T, fault func(l *lab, all []*Strand)) (took, silence time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		all := l.strands(8)
		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(time.Second)
			fault(l, all)
		}()
		took, silence = l.download(whole)
		<-done
		t.Logf("%s, silence %s, resent %d", took, silence, l.resent())
	})
	return took, silence
}

const whole = 16 << 20 // two seconds over eight strands

// A session that is terminated has its agent's side closed: the relay knows at once, and the near end is told.
func TestATerminatedSessionIsAPauseOfLessThan150ms(t *testing.T) {
	took, silence := meanwhile(t, func(l *lab, all []*Strand) {
		l.conns[all[3]].cut(io.EOF)
	})
	if silence > 150*time.Millisecond || took > 3*time.Second {
		t.Errorf("took %s with a silence of %s", took, silence)
	}
}

// A socket that is lost tells only this side, which knows it at once: what is on its way is asked for over others.
func TestALostSocketIsAPauseOfLessThan250ms(t *testing.T) {
	took, silence := meanwhile(t, func(l *lab, all []*Strand) {
		l.conns[all[3]].stall(10 * time.Second)
		all[3].Away()
	})
	if silence > 250*time.Millisecond || took > 3*time.Second {
		t.Errorf("took %s with a silence of %s", took, silence)
	}
}

// One of which nobody knows anything is found by its silence.
func TestASilentStrandIsFoundByItself(t *testing.T) {
	took, silence := meanwhile(t, func(l *lab, all []*Strand) {
		l.conns[all[3]].stall(10 * time.Second)
		time.Sleep(time.Second)
		if resent := l.resent(); resent == 0 || resent > 128<<10 {
			l.Errorf("resent %d bytes, want what was on its way, once", resent)
		}
	})
	if silence > 800*time.Millisecond || took > 4*time.Second {
		t.Errorf("took %s with a silence of %s", took, silence)
	}
}

func TestAStrandThatComesBackIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		only := l.strand(newSession())
		go func() {
			time.Sleep(time.Second)
			l.conns[only].stall(2 * time.Second)
			only.Away()
			time.Sleep(2 * time.Second)
			only.Back()
		}()
		took, silence := l.download(4 << 20)
		if silence < time.Second || silence > 2300*time.Millisecond || took > 8*time.Second {
			t.Errorf("took %s with a silence of %s", took, silence)
		}
		if resent := l.resent(); resent != 0 {
			t.Errorf("the connection keeps what it was given, and %d bytes went over it again", resent)
		}
	})
}

func TestAnyTwoOfEightCanBeKilled(t *testing.T) {
	for _, two := range [][2]int{{0, 1}, {5, 2}} {
		took, silence := meanwhile(t, func(l *lab, all []*Strand) {
			l.conns[all[two[0]]].cut(io.EOF)
			_ = all[two[1]].Close()
		})
		if silence > 300*time.Millisecond || took > 3500*time.Millisecond {
			t.Errorf("%d: took %s with a silence of %s", two, took, silence)
		}
	}
}

func TestStreamsOutliveAllStrands(t *testing.T) {
	took, silence := meanwhile(t, func(l *lab, all []*Strand) {
		for _, s := range all {
			l.conns[s].cut(io.EOF)
		}
		time.Sleep(time.Second)
		l.strands(8)
	})
	if silence > 1300*time.Millisecond || took > 4*time.Second {
		t.Errorf("took %s with a silence of %s", took, silence)
	}
}

func TestABundleEndsAfterAMinuteWithoutAStrand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		only := l.strand(newSession())
		s, err := l.bundle.Open(t.Context(), portEcho)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_ = only.Close()
		_, err = s.Read(make([]byte, 1))
		if took := time.Since(began); !errors.Is(err, ErrLost) || took < strandless || took > strandless+rest {
			t.Errorf("got %v after %s, want ErrLost after a minute", err, took)
		}
		time.Sleep(rest)
		if c := l.relay.Counts(); c.Bundles != 0 || c.Streams != 0 {
			t.Errorf("the relay keeps %+v", c)
		}
	})
}

// With the relay gone, the next hello says so, and all streams end.
func TestStreamsEndWithTheRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		only := l.strand(newSession())
		s, err := l.bundle.Open(t.Context(), portEcho)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.relay.Close()
		<-only.Done()
		if !errors.Is(only.Err(), io.EOF) {
			t.Errorf("the strand ended with %v, want EOF", only.Err())
		}
		near, far := newSession().connection(l.wait)
		_ = far.Close() // nothing listens
		if _, err := l.bundle.Join(t.Context(), near); !errors.Is(err, ErrGone) {
			t.Errorf("join: %v, want ErrGone", err)
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrGone) {
			t.Errorf("read: %v, want ErrGone", err)
		}
		if _, err := l.bundle.Open(t.Context(), portEcho); !errors.Is(err, ErrGone) {
			t.Errorf("open: %v, want ErrGone", err)
		}
	})
}

// leftBehind is a connection that the far end has closed by the time that its answer is read.
type leftBehind struct{ net.Conn }

func (leftBehind) SetDeadline(time.Time) error { return io.ErrClosedPipe }

func TestAStrandOnAnotherRelayIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		first := l.strand(newSession())
		another := &Relay{}
		defer another.Close()
		near, far := net.Pipe()
		another.Take(far)
		if _, err := l.bundle.Join(t.Context(), near); !errors.Is(err, ErrStranger) {
			t.Errorf("got %v, want ErrStranger", err)
		}
		if _, err := l.bundle.Open(t.Context(), portEcho); err != nil {
			t.Errorf("the bundle has not lost its strand: %v", err)
		}
		_ = first.Close()
		near, far = net.Pipe()
		another.Take(far)
		_, err := l.bundle.Join(t.Context(), leftBehind{near})
		if <-l.bundle.Done(); !errors.Is(err, ErrStranger) || !errors.Is(l.bundle.Err(), ErrStranger) {
			t.Errorf("got %v and %v, want ErrStranger: the relay was started anew", err, l.bundle.Err())
		}
	})
}

func TestAHelloIsAnsweredWithinASecondOrNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Config{})
		defer b.Close()
		answers := map[string]struct {
			says string // what the other side says
			want error
		}{
			"silence": {"", ErrSilent},
			"squid":   {"HTTP/1.1 400 Bad Request\r\nServer: squid\r\n\r\n", ErrNoRelay},
		}
		for name, c := range answers {
			near, far := net.Pipe()
			go func() {
				_, _ = io.CopyN(io.Discard, far, 1)
				if c.says != "" {
					go func() { _, _ = io.Copy(io.Discard, far) }()
					_, _ = far.Write([]byte(c.says))
				}
			}()
			began := time.Now()
			_, err := b.Join(t.Context(), near)
			if !errors.Is(err, c.want) || time.Since(began) > time.Second {
				t.Errorf("%s: got %v after %s, want %v", name, err, time.Since(began), c.want)
			}
			if _, err := near.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("%s: the connection was left open", name)
			}
			_ = far.Close()
			synctest.Wait()
		}
		near, far := net.Pipe()
		defer far.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := b.Join(ctx, near); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled: got %v", err)
		}
	})
}

func TestAnotherVersionIsRefusedWithBothNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := &Relay{Build: "9.9.9"}
		defer relay.Close()
		near, far := net.Pipe()
		relay.Take(far)
		h := hello{version: Version + 1, purpose: purposeNew}
		a, err := exchange(near, h)
		if err != nil || a.version != Version || a.verdict != verdictVersion || a.build != "9.9.9" {
			t.Errorf("got %+v, %v", a, err)
		}
		newer := answer{version: 7, verdict: verdictVersion, build: "9.9.9"}
		got, err := readAnswer(bytes.NewReader(newer.bytes()))
		if err != nil {
			t.Fatal(err)
		}
		version, is := errors.AsType[*VersionError](got.judge())
		if !is || version.Ours != 1 || version.Theirs != 7 || version.Build != "9.9.9" {
			t.Errorf("got %v", got.judge())
		}
	})
}

// A drained strand takes nothing more, and says when nothing is on its way.
func TestADrainedStrandCanBeClosedWithoutALoss(t *testing.T) {
	_, silence := meanwhile(t, func(l *lab, all []*Strand) {
		drained := make(chan *Strand, 1)
		l.mu.Lock()
		l.tell = func(e Event) {
			if e.Kind == StrandDrained {
				drained <- e.Strand
			}
		}
		l.mu.Unlock()
		began := time.Now()
		all[2].Drain()
		if s := <-drained; s != all[2] || time.Since(began) > time.Second {
			t.Errorf("drained after %s", time.Since(began))
		}
		before := all[2].Load().Received
		time.Sleep(500 * time.Millisecond)
		if after := all[2].Load().Received; after != before {
			t.Errorf("%d bytes came over a drained strand", after-before)
		}
		_ = all[2].Close()
		if resent := l.resent(); resent != 0 {
			t.Errorf("resent %d", resent)
		}
	})
	if silence > 100*time.Millisecond {
		t.Errorf("silence of %s", silence)
	}
}

// Nobody speaks on an idle strand; one that is dead is found all the same.
func TestAnIdleStrandThatIsDeadIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		all := l.strands(2)
		time.Sleep(10 * time.Minute)
		select {
		case <-all[0].Done():
			t.Fatalf("an idle strand ended: %v", all[0].Err())
		default:
		}
		l.conns[all[0]].stall(time.Hour)
		began := time.Now()
		<-all[0].Done()
		if took := time.Since(began); took > time.Minute || !errors.Is(all[0].Err(), ErrSilent) {
			t.Errorf("%v after %s", all[0].Err(), took)
		}
		time.Sleep(time.Minute)
		if c := l.relay.Counts(); c.Strands != 1 {
			t.Errorf("the relay has %d strands, want 1", c.Strands)
		}
		if !slices.Contains(l.bundle.end.strands, all[1]) {
			t.Error("the other strand is gone too")
		}
	})
}
