package bond

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A download asks for strands, one after the other, and an echo for none.
func TestABacklogAsksForStrands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		l.strands(1)
		l.echoes(30, 20*time.Millisecond)
		if n := l.heard(WantMore); n != 0 {
			t.Errorf("echoes asked for %d strands", n)
		}
		l.tell = func(e Event) {
			if e.Kind == WantMore && l.bundle.Standing().Strands < 8 {
				l.strand(newSession())
			}
		}
		began, all := time.Now(), time.Duration(0)
		var watching sync.WaitGroup
		watching.Go(func() {
			for l.bundle.Standing().Strands < 8 && time.Since(began) < 10*time.Second {
				time.Sleep(10 * time.Millisecond)
			}
			all = time.Since(began)
		})
		took, _ := l.download(30 << 20)
		watching.Wait()
		t.Logf("eight strands after %s, %.2f of their sum", all, rate(30<<20, took)/plain/8)
		if all > 1200*time.Millisecond || all < 300*time.Millisecond {
			t.Errorf("eight strands after %s, want one more per 50 to 100 ms", all)
		}
		if got := rate(30<<20, took) / plain / 8; got < 0.8 {
			t.Errorf("the download has %.2f of the sum", got)
		}
		if n := l.heard(StrandUnworthy); n > 0 {
			t.Errorf("%d strands were called unworthy", n)
		}
	})
}

// An upload asks for a second strand, and no third.
func TestAnUploadAsksForTwoStrands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		slow := newSession()
		slow.every *= 10
		upwards := func() {
			near, far := newSession().connection(l.wait)
			near.out.session = slow
			l.relay.Take(far)
			if _, err := l.bundle.Join(t.Context(), near); err != nil {
				t.Error(err)
			}
		}
		upwards()
		l.tell = func(e Event) {
			if e.Kind == WantMore {
				upwards()
			}
		}
		s, err := l.bundle.Open(t.Context(), portDigest)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if n := l.bundle.Standing().Strands; n != 2 {
			t.Errorf("got %d strands, want 2", n)
		}
		_ = s.Close()
	})
}

// Strands that carry nothing are named, the last one only when there is no stream.
func TestQuietStrandsAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		l.strands(4)
		s, err := l.bundle.Open(t.Context(), portEcho)
		if err != nil {
			t.Fatal(err)
		}
		l.tell = func(e Event) {
			if e.Kind == StrandQuiet {
				_ = e.Strand.Close()
			}
		}
		for range 60 {
			if _, err := s.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := l.bundle.Standing().Strands; n != 1 {
			t.Errorf("%d strands carry a byte a second, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		if n := l.bundle.Standing().Strands; n != 1 {
			t.Errorf("an open stream has %d strands, want 1", n)
		}
		_ = s.Close()
		time.Sleep(time.Minute)
		if n := l.bundle.Standing().Strands; n != 0 {
			t.Errorf("no stream has %d strands", n)
		}
	})
}

// Where eight strands carry no more than two could, those that bring nothing are named, and no more are asked for.
func TestStrandsThatBringNothingAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, leave := newLab(t, Config{})
		defer leave()
		own := newSession()
		l.strand(own)
		narrow := &session{every: 500 * time.Microsecond} // what the network gives: two sessions' worth
		first := l.source(1<<40, 1)
		defer first.Close()
		go func() {
			buf := make([]byte, 64<<10)
			for {
				if _, err := first.Read(buf); err != nil {
					return
				}
			}
		}()
		time.Sleep(5 * time.Second)
		for range 7 {
			l.strand(narrow)
		}
		l.mu.Lock()
		l.tell = func(e Event) {
			switch e.Kind {
			case StrandUnworthy:
				e.Strand.Drain()
			case StrandDrained:
				_ = e.Strand.Close()
			case WantMore, StrandQuiet, StrandEnded, Ended:
			}
		}
		l.mu.Unlock()
		time.Sleep(12 * time.Second)
		n := l.bundle.Standing().Strands
		t.Logf("%d strands", n)
		if n < 3 || n > 6 {
			t.Errorf("%d strands are left of eight that carry what three would", n)
		}
	})
}
