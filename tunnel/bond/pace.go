package bond

import "time"

const (
	leastWindow = 12 << 10 // one frame on its way and one behind it; more of it filled the queue of strands that share a session
	firstWindow = 16 << 10
	mostWindow  = 1 << 20
	beyond      = 16 << 10 // by how much an interactive stream may exceed a window
	rttMemory   = 10 * time.Second
	rateMemory  = 2 * time.Second
	spans       = 5 // that either memory is kept in
)

// pace is how fast a strand carries what is given to it: the window is twice what it carries in its least round trip, so that
// no more waits in the far end's queue than keeps it busy. Rates are measured as BBR does, see
// draft-cardwell-iccrg-bbr-congestion-control, section 4.1.
type pace struct {
	delivered   uint64    // bytes that are acknowledged
	deliveredAt time.Time // when the last of them was
	flightFrom  time.Time // when the first of those was sent that the last sample is about

	rates  extreme[float64] // bytes per second
	trips  extreme[time.Duration]
	smooth time.Duration // the usual round trip; zero while there is none
	first  uint64        // the window before the first rate is known
}

// sent is what is noted of a frame when it is sent.
type sent struct {
	at          time.Time
	delivered   uint64
	deliveredAt time.Time
	flightFrom  time.Time
	unfilled    bool // there was less to send than the strand would carry: its rate says nothing
}

func newPace(first uint64, now time.Time) pace {
	return pace{
		deliveredAt: now, flightFrom: now, first: max(first, firstWindow),
		rates: extreme[float64]{span: rateMemory / spans, better: func(a, b float64) bool { return a > b }},
		trips: extreme[time.Duration]{span: rttMemory / spans, better: func(a, b time.Duration) bool { return a < b }},
	}
}

// note is called for each frame that is sent; idle says that no other is on its way.
func (p *pace) note(now time.Time, idle, unfilled bool) sent {
	if idle {
		p.flightFrom, p.deliveredAt = now, now
	}
	return sent{at: now, delivered: p.delivered, deliveredAt: p.deliveredAt, flightFrom: p.flightFrom, unfilled: unfilled}
}

// acknowledged takes the newest frame of an acknowledge, which the far end held back for a while.
func (p *pace) acknowledged(now time.Time, bytes uint64, s sent, held time.Duration) {
	p.delivered += bytes
	p.deliveredAt, p.flightFrom = now, s.at
	trip := max(now.Sub(s.at)-held, time.Microsecond)
	p.trips.add(now, trip)
	if p.smooth == 0 {
		p.smooth = trip
	}
	p.smooth += (trip - p.smooth) / 8
	took := max(s.at.Sub(s.flightFrom), now.Sub(s.deliveredAt))
	if least, _ := p.trips.value(); took < least || took < time.Millisecond {
		return // too short to be a rate
	}
	rate := float64(p.delivered-s.delivered) / took.Seconds()
	if best, known := p.rates.value(); !s.unfilled || known && rate > best {
		p.rates.add(now, rate)
	}
}

// window is how many bytes may be on their way.
func (p *pace) window() uint64 {
	rate, known := p.rates.value()
	least, _ := p.trips.value()
	if !known {
		return p.first
	}
	return min(max(uint64(2*rate*least.Seconds()), leastWindow), mostWindow)
}

// rate is in bytes per second; without a measurement a small one.
func (p *pace) rate() float64 {
	if rate, known := p.rates.value(); known {
		return max(rate, 16<<10)
	}
	return 256 << 10
}

// extreme is the best value of the last few spans.
type extreme[T any] struct {
	span    time.Duration
	better  func(a, b T) bool
	best    [spans]T
	known   [spans]bool
	began   time.Time // the span of best[0]
	touched bool
}

func (e *extreme[T]) add(now time.Time, v T) {
	if !e.touched {
		e.began, e.touched = now, true
	}
	for shifts := 0; now.Sub(e.began) >= e.span; shifts++ {
		if shifts >= spans {
			e.began = now
			break
		}
		copy(e.best[1:], e.best[:])
		copy(e.known[1:], e.known[:])
		e.known[0] = false
		e.began = e.began.Add(e.span)
	}
	if !e.known[0] || e.better(v, e.best[0]) {
		e.best[0], e.known[0] = v, true
	}
}

// value is the best that is known. Time that brings no value forgets none.
func (e *extreme[T]) value() (best T, known bool) {
	for i, k := range e.known {
		if k && (!known || e.better(e.best[i], best)) {
			best, known = e.best[i], true
		}
	}
	return best, known
}
