package bond

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// A relay that does not answer any more is known to be silent about a second after anything was sent to it, however many strands were
// idle, and it stays so when they have ended.
func TestASilentRelayIsSilentOverAllStrands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		for _, s := range l.strands(4) {
			l.conns[s].stall(time.Hour)
		}
		if l.bundle.Standing().Silent {
			t.Error("it is silent before it was asked anything")
		}
		if _, err := l.bundle.Begin(portEcho); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1200 * time.Millisecond)
		for range 40 {
			if s := l.bundle.Standing(); !s.Silent {
				t.Fatalf("it is not silent: %+v", s)
			}
			time.Sleep(time.Second)
		}
		if n := l.bundle.Standing().Strands; n != 0 {
			t.Errorf("%d strands are left", n)
		}
		l.strand(newSession())
		if l.bundle.Standing().Silent {
			t.Error("it is still silent when it has answered")
		}
	})
}

// A bundle whose strands have ended otherwise may have another one soon. It is silent when that takes longer than a second.
func TestABundleWithoutAStrandIsSilentASecondLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		only := l.strand(newSession())
		l.conns[only].cut(io.EOF)
		<-only.Done()
		for range 2 {
			time.Sleep(soon / 3)
			if l.bundle.Standing().Silent {
				t.Error("it is silent as its session has ended")
			}
		}
		time.Sleep(soon / 2)
		if !l.bundle.Standing().Silent {
			t.Error("it is not silent, and has no session for more than a second")
		}
	})
}

// A backlog asks for no further strand while there is none: to a relay that is away, one session at a time is opened.
func TestABundleWithoutAStrandWantsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		only := l.strand(newSession())
		s, err := l.bundle.Open(t.Context(), portDigest)
		if err != nil {
			t.Fatal(err)
		}
		l.conns[only].cut(io.EOF)
		if _, err := s.Write(make([]byte, 8<<10)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if n := l.heard(WantMore); n > 0 {
			t.Errorf("asked %d times for another strand", n)
		}
	})
}

// A ping asks after its own strand, so that no other is to carry it.
func TestAPingIsNotSentOverAnotherStrand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		all := l.strands(2)
		for _, s := range all {
			l.conns[s].stall(time.Hour)
		}
		time.Sleep(pingAfter + 2*rest)
		_ = all[0].Close()
		time.Sleep(time.Second)
		l.bundle.end.mu.Lock()
		defer l.bundle.end.mu.Unlock()
		if n := all[1].flight.len(); n != 1 {
			t.Errorf("%d frames are on their way over the other strand, want its own ping alone", n)
		}
	})
}
