package screen

import "time"

const (
	// rateWindow is the span over which a rate is measured: long enough to read the figure, short enough to believe it.
	rateWindow = time.Second
	// keepSeconds is how many seconds of traffic are remembered for the graphs.
	keepSeconds = 300
)

// meter turns totals, which it is given now and then, into rates and a history of rates. The zero meter works.
type meter struct {
	samples samples
	filled  time.Duration
	seconds [keepSeconds]passed // the traffic of past seconds, as a ring
	now     int                 // index in seconds of the second that is being filled
	lived   int                 // how many of seconds are in use
}

// sample is the totals at a time.
type sample struct {
	at             time.Time
	sent, received uint64
}

// passed is how many bytes passed in a second.
type passed struct{ sent, received float64 }

// observe takes new totals. A clock that was set back counts as no time passed, totals that shrink as no traffic.
func (m *meter) observe(at time.Time, sent, received uint64) {
	next := sample{at: at, sent: sent, received: received}
	if len(m.samples) == 0 {
		m.lived = 1
	} else if last := m.samples[len(m.samples)-1]; !next.before(last) {
		m.fill(at.Sub(last.at), passed{sent: float64(sent - last.sent), received: float64(received - last.received)})
	}
	m.samples = m.samples.with(next)
}

// samples are the samples of about the last rateWindow, oldest first.
type samples []sample

// before reports whether a sample cannot follow another one: the clock was set back, or the totals have shrunk, so that they are
// of something else.
func (s sample) before(last sample) bool {
	return s.at.Before(last.at) || s.sent < last.sent || s.received < last.received
}

// with adds a sample, and forgets those that are too old.
func (s samples) with(next sample) samples {
	if n := len(s); n > 0 && next.before(s[n-1]) {
		s = s[:0]
	}
	s = append(s, next)
	for len(s) > 2 && next.at.Sub(s[1].at) >= rateWindow {
		s = append(s[:0], s[1:]...)
	}
	return s
}

// fill spreads bytes over the seconds in which they passed.
func (m *meter) fill(elapsed time.Duration, p passed) {
	whole := elapsed
	elapsed = min(elapsed, keepSeconds*time.Second) // what passed before is not remembered anyway
	if whole == 0 {
		m.seconds[m.now].sent += p.sent
		m.seconds[m.now].received += p.received
		return
	}
	for elapsed > 0 {
		part := min(elapsed, time.Second-m.filled)
		share := float64(part) / float64(whole)
		m.seconds[m.now].sent += p.sent * share
		m.seconds[m.now].received += p.received * share
		elapsed -= part
		if m.filled += part; m.filled >= time.Second {
			m.filled = 0
			m.now = (m.now + 1) % keepSeconds
			m.seconds[m.now] = passed{}
			m.lived = min(m.lived+1, keepSeconds)
		}
	}
}

// since is the beginning of the span over which the rate is measured now; zero when there is nothing to measure.
func (m *meter) since() time.Time {
	if len(m.samples) == 0 {
		return time.Time{}
	}
	return m.samples[0].at
}

// measured reports whether there is a rate, which takes two samples.
func (m *meter) measured() bool { return len(m.samples) > 1 }

// rate returns the bytes per second of the last second or so.
func (m *meter) rate() (sent, received float64) {
	sent, received, _ = m.samples.rate(m.since())
	return sent, received
}

// rate returns the bytes per second from a time on; known is false when there is no sample of that time.
func (s samples) rate(from time.Time) (sent, received float64, known bool) {
	if len(s) == 0 || s[0].at.After(from) {
		return 0, 0, false
	}
	first, last := s[0], s[len(s)-1]
	for _, later := range s[1:] {
		if !later.at.After(from) {
			first = later
		}
	}
	span := last.at.Sub(first.at).Seconds()
	if span <= 0 {
		return 0, 0, false
	}
	return float64(last.sent-first.sent) / span, float64(last.received-first.received) / span, true
}

// history returns the last n whole seconds, oldest first; those before the meter's life are zero. The second that is
// being filled is left out: it would always look like a fall.
func (m *meter) history(n int) []passed {
	past := make([]passed, n)
	for i := range min(n, m.lived-1) {
		past[n-1-i] = m.seconds[(m.now-1-i+2*keepSeconds)%keepSeconds]
	}
	return past
}
