package bond

import (
	"math"
	"time"
)

// EventKind says what an Event is about.
type EventKind int

// What a bundle tells.
const (
	WantMore       EventKind = iota // another strand would make the bundle faster; told again as long as that is so
	StrandQuiet                     // the strand has carried nothing for Config.Quiet: it could be closed
	StrandUnworthy                  // the strand could be closed, as all strands together are no faster than fewer were
	StrandDrained                   // nothing is on its way any more on a strand that was drained
	StrandEnded                     // the strand has ended; Err says why
	Ended                           // the bundle is over with all of its streams; Err says why
)

func (k EventKind) String() string {
	switch k {
	case WantMore:
		return "want more"
	case StrandQuiet:
		return "strand quiet"
	case StrandUnworthy:
		return "strand unworthy"
	case StrandDrained:
		return "strand drained"
	case StrandEnded:
		return "strand ended"
	case Ended:
		return "ended"
	}
	return "unknown"
}

// Event is something about a bundle that its owner may want to act on.
type Event struct {
	Kind   EventKind
	Strand *Strand // nil for WantMore and Ended
	Err    error
}

const (
	freshFor    = 100 * time.Millisecond // how long it counts that the far end has said that it has a backlog
	askEvery    = 75 * time.Millisecond  // the least time between two WantMore
	upwards     = 2                      // how many strands a backlog at the near end asks for: uploads gain nothing by more
	judgeEvery  = 2 * time.Second        // how often it is judged whether all strands are worth having
	askNotAfter = 30 * time.Second       // how long there is no WantMore after a strand was found unworthy
)

// demand decides, for the near end, how many strands a bundle should have. The end's lock guards it.
type demand struct {
	quiet    time.Duration // Config.Quiet; zero at the far end, which decides nothing
	theirs   time.Time     // when the far end last said that it has a backlog
	asked    time.Time     // when WantMore was last told
	notUntil time.Time     // no WantMore before
	judged   time.Time     // since when the strands have been measured, with a backlog and none added; zero while they are not
	best     float64       // bytes per second: the best mean of all strands in any measurement, less a twentieth for each one since
}

// use is what demand notes of a strand.
type use struct {
	told bool   // StrandQuiet or StrandUnworthy was told
	at   uint64 // bytes that the strand had carried when the measurement began
}

// fresh reports whether the far end has a backlog, as far as is known.
func (d *demand) fresh(now time.Time) bool { return now.Sub(d.theirs) < freshFor }

// heard notes that the far end has said that it has a backlog.
func (d *demand) heard(e *end, now time.Time) {
	d.theirs = now
	e.rouse()
}

// joined ends the measurement under way, as a strand was added.
func (d *demand) joined(time.Time) { d.judged = time.Time{} }

// tick looks whether there is anything to tell.
func (d *demand) tick(e *end, now time.Time) {
	if d.quiet == 0 {
		return
	}
	d.hush(e, now)
	ours := e.flags(now) != 0 && len(e.strands) < upwards
	if !d.fresh(now) && !ours {
		d.judged = time.Time{}
		return
	}
	d.judge(e, now)
	if now.Sub(d.asked) >= askEvery && now.After(d.notUntil) && len(e.strands) > 0 && len(e.strands) < e.limits.Strands {
		d.asked = now
		e.post(Event{Kind: WantMore})
	}
}

// hush tells of strands that carry nothing; of the last one only when there is no stream either.
func (d *demand) hush(e *end, now time.Time) {
	carrying := 0
	for _, s := range e.strands {
		if s.usable() && !s.use.told {
			carrying++
		}
	}
	for _, s := range e.strands {
		switch quiet := now.Sub(s.movedAt) >= d.quiet; {
		case !quiet:
			s.use.told = false
		case s.usable() && !s.use.told && (carrying > 1 || len(e.streams) == 0):
			s.use.told = true
			carrying--
			e.post(Event{Kind: StrandQuiet, Strand: s})
		}
	}
}

// judge tells that fewer strands would carry as much, when the strands carry on average less than half of the best average that
// was measured.
func (d *demand) judge(e *end, now time.Time) {
	var moved uint64
	var slowest *Strand
	count := 0
	for _, s := range e.strands {
		if !s.usable() {
			continue
		}
		count++
		since := s.bytesIn + s.bytesOut - s.use.at
		moved += since
		if slowest == nil || since < slowest.bytesIn+slowest.bytesOut-slowest.use.at {
			slowest = s
		}
	}
	took := now.Sub(d.judged)
	if !d.judged.IsZero() && took < judgeEvery {
		return
	}
	first := d.judged.IsZero()
	d.judged = now
	for _, s := range e.strands {
		s.use.at = s.bytesIn + s.bytesOut
	}
	if first || count == 0 {
		return
	}
	rate := float64(moved) / took.Seconds()
	mean := rate / float64(count)
	d.best = max(d.best*0.95, mean)          // the task or the network may have become slower for good
	worth := int(math.Ceil(rate/d.best)) + 1 // one more, as one strand may be kept free of bulk
	if count > worth && mean < d.best/2 && slowest != nil && !slowest.use.told {
		slowest.use.told = true
		d.notUntil = now.Add(askNotAfter)
		e.post(Event{Kind: StrandUnworthy, Strand: slowest})
	}
}
