package bond

import (
	"testing"
	"testing/synctest"
	"time"
)

// plain is what one session carries: 1,024 bytes a millisecond.
const plain = 1024e3

func rate(n int, took time.Duration) float64 { return float64(n) / took.Seconds() }

func TestStrandsAddUp(t *testing.T) {
	for _, c := range []struct {
		strands int
		latency time.Duration
		each    int     // MiB of each strand
		least   float64 // of the sum of the sessions
	}{
		{1, 10 * time.Millisecond, 2, 0.95},
		{8, 10 * time.Millisecond, 2, 0.93},
		{16, 10 * time.Millisecond, 2, 0.9},
		{8, 50 * time.Millisecond, 3, 0.8},
		{8, 500 * time.Microsecond, 2, 0.93},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, leave := newLab(t, Config{})
			defer leave()
			l.each(c.latency)
			l.strands(c.strands)
			n := c.strands * c.each << 20
			took, _ := l.download(n)
			got := rate(n, took) / plain / float64(c.strands)
			t.Logf("%d strands, %s: %.3f, resent %d", c.strands, c.latency, got, l.resent())
			if got < c.least {
				t.Errorf("%d strands at %s: %.3f of their sum, want %.2f", c.strands, c.latency, got, c.least)
			}
			if resent := float64(l.resent()); resent > 0.05*float64(n) {
				t.Errorf("resent %.0f of %d bytes without a fault", resent, n)
			}
		})
	}
}

// far is the relay's end of the only bundle.
func (l *lab) far() *end {
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	for _, e := range l.relay.bundles {
		return e
	}
	return nil
}

// resent is what the relay has sent again so far.
func (l *lab) resent() uint64 {
	e := l.far()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.resentBytes
}

// roundTrip is what a strand of the relay has learned.
func (l *lab) roundTrip() time.Duration {
	e := l.far()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.strands[0].pace.smooth
}

// The first prototype collapsed here: its queue was longer than its patience, so everything was sent twice.
func TestEightStrandsOnOneSessionAreAsFastAsOne(t *testing.T) {
	for _, latency := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			l, leave := newLab(t, Config{})
			defer leave()
			l.each(latency)
			shared := newSession()
			shared.every = 1333 * time.Microsecond // 0.75 MB/s
			for range 8 {
				l.strand(shared)
			}
			n := 18 << 20 // 24 s, so that what is learned in the first seconds is forgotten
			took, _ := l.download(n)
			got := rate(n, took) / plain * 1.333
			t.Logf("%s: %.3f, resent %d, round trip %s", latency, got, l.resent(), l.roundTrip())
			if got < 0.95 || float64(l.resent()) > 0.05*float64(n) {
				t.Errorf("%s: got %.3f of one session, resent %d of %d", latency, got, l.resent(), n)
			}
			if trip := l.roundTrip(); trip > 400*time.Millisecond {
				t.Errorf("round trip %s: the strands' own queue", trip)
			}
		})
	}
}
