package screen

import "time"

const (
	// rateWindow is the span over which a rate is measured: long enough to read the figure, short enough to believe it.
	rateWindow = time.Second
	// keepSeconds of traffic are remembered for the graphs.
	keepSeconds = 300
)

// meter turns totals that are looked at now and then into rates and a history of rates. The zero meter works.
type meter struct {
	samples []sample // of about the last rateWindow, oldest first
	filled  time.Duration
	seconds [keepSeconds]passed // ring of whole seconds
	now     int                 // the second that is being filled
	lived   int                 // seconds in use
}

// sample is what the totals were at a time.
type sample struct {
	at             time.Time
	sent, received uint64
}

// passed are the bytes that passed in a second.
type passed struct{ sent, received float64 }

// observe takes new totals. A clock that was set back counts as no time passed, totals that shrink as no traffic.
func (m *meter) observe(at time.Time, sent, received uint64) {
	next := sample{at: at, sent: sent, received: received}
	if len(m.samples) == 0 {
		m.samples = append(m.samples, next)
		m.lived = 1
		return
	}
	last := m.samples[len(m.samples)-1]
	elapsed := at.Sub(last.at)
	if elapsed < 0 || sent < last.sent || received < last.received {
		m.samples = append(m.samples[:0], next)
		return
	}
	m.fill(elapsed, passed{sent: float64(sent - last.sent), received: float64(received - last.received)})
	m.samples = append(m.samples, next)
	for len(m.samples) > 2 && at.Sub(m.samples[1].at) >= rateWindow {
		m.samples = append(m.samples[:0], m.samples[1:]...)
	}
}

// fill spreads what passed over the seconds it took.
func (m *meter) fill(elapsed time.Duration, p passed) {
	whole := elapsed
	elapsed = min(elapsed, keepSeconds*time.Second) // what came before is not remembered anyway
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

// measured reports whether there is a rate: not before the second look.
func (m *meter) measured() bool { return len(m.samples) > 1 }

// rate returns the bytes per second of the last second or so.
func (m *meter) rate() (sent, received float64) {
	if len(m.samples) < 2 {
		return 0, 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	span := last.at.Sub(first.at).Seconds()
	if span <= 0 {
		return 0, 0
	}
	return float64(last.sent-first.sent) / span, float64(last.received-first.received) / span
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
