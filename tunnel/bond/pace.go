package bond

import "time"

const (
	leastWindow = 12 << 10         // bytes: one frame on its way and one behind it. With more, queues grew where strands share a session
	firstWindow = 16 << 10         // bytes, before a rate is known
	mostWindow  = 1 << 20          // bytes
	beyond      = 16 << 10         // bytes by which frames of interactive streams may exceed a window
	rttMemory   = 10 * time.Second // for how long the least round trip is remembered
	rateMemory  = 2 * time.Second  // for how long the best rate is remembered
	spans       = 5                // into so many spans each of these memories is divided, of which the oldest is forgotten at a time
)

// pace measures how fast a strand carries what is given to it. Its window is twice what the strand carries in its least round
// trip, so that no more waits in queues on the way than keeps the strand busy. Rates are measured as in BBR, see
// draft-cardwell-iccrg-bbr-congestion-control, section 4.1.
type pace struct {
	delivered   uint64    // bytes that are acknowledged
	deliveredAt time.Time // when the last of them were
	flightFrom  time.Time // when the newest frame of the last acknowledge was sent; when idle, when the next one is

	rates  extreme[float64]       // bytes per second
	trips  extreme[time.Duration] // round trips
	smooth time.Duration          // the smoothed round trip; zero before the first one
	first  uint64                 // the window before the first rate is known
}

// sent is what is noted of a frame when it is sent: when that was, and how pace stood then.
type sent struct {
	at          time.Time
	delivered   uint64
	deliveredAt time.Time
	flightFrom  time.Time
	unfilled    bool // there was less to send than the strand would carry, so that a low rate says nothing
}

func newPace(first uint64, now time.Time) pace {
	return pace{
		deliveredAt: now, flightFrom: now, first: max(first, firstWindow),
		rates: extreme[float64]{span: rateMemory / spans, better: func(a, b float64) bool { return a > b }},
		trips: extreme[time.Duration]{span: rttMemory / spans, better: func(a, b time.Duration) bool { return a < b }},
	}
}

// note is called for each frame that is sent; idle says that no other frame is on its way.
func (p *pace) note(now time.Time, idle, unfilled bool) sent {
	if idle {
		p.flightFrom, p.deliveredAt = now, now
	}
	return sent{at: now, delivered: p.delivered, deliveredAt: p.deliveredAt, flightFrom: p.flightFrom, unfilled: unfilled}
}

// acknowledged takes an acknowledge of so many new bytes. s is what was noted of the newest frame in them, and held is for how
// long the other end has held the acknowledge back.
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
		return // too short a time to measure a rate in
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

// rate is how many bytes per second the strand carries, 16 KiB at the least; an assumed 256 KiB before a rate is known.
func (p *pace) rate() float64 {
	if rate, known := p.rates.value(); known {
		return max(rate, 16<<10)
	}
	return 256 << 10
}

// extreme remembers the best value of the last few spans of time.
type extreme[T any] struct {
	span    time.Duration     // the length of a span
	better  func(a, b T) bool // reports whether a is better than b
	best    [spans]T          // the best value of each span, the present one first
	known   [spans]bool       // whether the span has a value
	began   time.Time         // when the present span began
	touched bool              // there was a value
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

// value returns the best value. Spans only move on when a value is added, so that none is forgotten while nothing is measured.
func (e *extreme[T]) value() (best T, known bool) {
	for i, k := range e.known {
		if k && (!known || e.better(e.best[i], best)) {
			best, known = e.best[i], true
		}
	}
	return best, known
}
