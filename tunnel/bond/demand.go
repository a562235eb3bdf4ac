package bond

import (
	"math"
	"time"
)

// EventKind says what an Event is about.
type EventKind int

// What a bundle has to tell.
const (
	WantMore       EventKind = iota // another strand would make it faster; told again while that is so
	StrandQuiet                     // the strand has carried nothing for a while: it could be closed
	StrandUnworthy                  // so could this one, as all together are no faster than fewer were
	StrandDrained                   // nothing is on its way on a strand that was drained
	StrandEnded                     // see Err
	Ended                           // the bundle is over, and all of its streams; see Err
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

// Event is something that whoever has made a bundle may want to do something about.
type Event struct {
	Kind   EventKind
	Strand *Strand // nil for WantMore and Ended
	Err    error
}

const (
	freshFor    = 100 * time.Millisecond // that the far end's word of a backlog counts
	askEvery    = 75 * time.Millisecond  // for another strand
	upwards     = 2                      // strands that a backlog at the near end asks for: uploads gain nothing by more
	judgeEvery  = 2 * time.Second        // whether the strands are worth it
	askNotAfter = 30 * time.Second       // another was not worth it
)

// demand weighs how many strands the near end should have.
type demand struct {
	quiet    time.Duration // zero at the far end, which has no say
	theirs   time.Time     // when the far end last said that it has a backlog
	asked    time.Time
	notUntil time.Time
	judged   time.Time // since when the strands are measured: with a backlog, none added
	best     float64   // bytes per second that a strand has carried
}

// use is what demand notes of a strand.
type use struct {
	told bool   // that it is quiet or unworthy
	at   uint64 // bytes when measuring began
}

func (d *demand) fresh(now time.Time) bool { return now.Sub(d.theirs) < freshFor }

// heard takes the far end's word of a backlog.
func (d *demand) heard(e *end, now time.Time) {
	d.theirs = now
	e.rouse()
}

func (d *demand) joined(time.Time) { d.judged = time.Time{} }

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
	if now.Sub(d.asked) >= askEvery && now.After(d.notUntil) && len(e.strands) < e.limits.Strands {
		d.asked = now
		e.post(Event{Kind: WantMore})
	}
}

// hush tells of strands that carry nothing, of the last one when there is no stream either.
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

// judge finds that fewer strands would carry as much: when the mean of all is below half of what one has carried alone.
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
	d.best = max(d.best*0.95, mean)          // what the task or the network gives may become less
	worth := int(math.Ceil(rate/d.best)) + 1 // one of them may be kept free
	if count > worth && mean < d.best/2 && slowest != nil && !slowest.use.told {
		slowest.use.told = true
		d.notUntil = now.Add(askNotAfter)
		e.post(Event{Kind: StrandUnworthy, Strand: slowest})
	}
}
