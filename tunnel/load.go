package tunnel

import (
	"slices"
	"time"
)

const (
	// maxLanes is how many sessions a tunnel opens at the most when their number adapts to its load. Each is a process that takes
	// 25 MB of the container's memory (protocol.md 8), so in a container with less than roomyMemory MiB, or one whose memory
	// cannot be read, the limit is fewLanes.
	maxLanes    = 8
	fewLanes    = 4
	roomyMemory = 512
	// keptFor is how long a tunnel keeps several sessions after it last needed more than one.
	keptFor = 10 * time.Minute

	// agentRate is how many bytes a second an agent sends on one session. agentBuffer is how many bytes it holds ready on a session
	// with a download; every other answer on that session waits behind them (protocol.md 8).
	agentRate   = 750_000
	agentBuffer = 200_000
	// leastOpening is how long a lane is assumed to take until it takes connections, and leastSpacing how long until the next one
	// on the same task does, as long as this tunnel has not measured them.
	leastOpening = 150 * time.Millisecond
	leastSpacing = 60 * time.Millisecond
)

// load is what a tunnel knows of how busy it is, and how many lanes it should have for that. The tunnel's lock guards it.
type load struct {
	keep time.Duration // keptFor

	need    int       // lanes that are wanted, where their number is not fixed
	crowded time.Time // when more than one lane was last wanted
	peak    int       // the most lanes that were wanted, or used, in this busy time: until none but one was wanted for keep
	habit   int       // peak of the busy time before: so many are opened at once with the first connection after it
	kept    int       // habit, from that first connection until so many lanes are there; else 0

	most   int       // sessions that the tunnel may have
	coming int       // lanes that are being opened, or may be
	tasks  int       // tasks that these lanes lead to, as far as that is known
	from   time.Time // when the oldest lane was started that is being opened; zero for none

	// What this tunnel has measured: how long a lane takes to open and how long the next one after it (nanoseconds), and how much a
	// session brings when it downloads (bytes a second).
	opening, spacing, rate average
	measured               time.Time
	before                 map[*lane]sample
}

// sample is what measure has last seen of a lane.
type sample struct {
	received uint64
	bulk     bool
}

// average is a moving average, in which each new value counts for a quarter. Zero before the first value.
type average float64

func (a *average) add(value float64) {
	if *a == 0 {
		*a = average(value)
	}
	*a += (average(value) - *a) / 4
}

func (a *average) or(value float64) float64 {
	if *a == 0 {
		return value
	}
	return float64(*a)
}

// sharing is how long a connection waits for each answer on a lane with a download.
func (o *load) sharing() time.Duration {
	return time.Duration(agentBuffer / o.rate.or(agentRate) * float64(time.Second))
}

// outlook says which lanes connections may wait for, and how soon they come.
func (o *load) outlook(now time.Time) outlook {
	first := time.Duration(o.opening.or(float64(leastOpening)))
	if !o.from.IsZero() {
		first = (first - now.Sub(o.from)).Abs() // a lane that is late is assumed to need once more the time by which it is late
	}
	return outlook{coming: o.coming, first: first, spacing: time.Duration(o.spacing.or(float64(leastSpacing))), tasks: o.tasks, wait: o.sharing() * 3 / 2}
}

// weigh works out how many lanes are wanted, holding connections that wait for one of their own included, and reports
// whether those are more than before: one for each connection that is active, and an empty one as soon as one downloads, for
// whoever comes next.
func (o *load) weigh(lanes []standing, holding int, now time.Time) (more bool) {
	active, fresh, used, bulk := holding, 0, 0, false
	for _, s := range lanes {
		active += s.active
		fresh += s.fresh
		bulk = bulk || s.bulk
		if s.streams > 0 {
			used++
		}
	}
	need := max(1, active)
	if bulk {
		need = max(need, used+1)
	}
	need = min(need, max(1, o.most))
	calm := now.Sub(o.crowded) >= o.keep
	if calm && o.peak > 0 {
		o.habit, o.peak, o.kept = o.peak, 0, 0
	}
	switch {
	case need > 1:
		o.crowded = now
		o.peak = max(o.peak, need, used)
	case calm && active+fresh > 0 && o.habit > 1:
		o.crowded, o.peak = now, 1
	}
	switch {
	case calm && o.peak > 0:
		o.kept = o.habit
	case len(lanes) >= o.kept:
		o.kept = 0
	}
	need = min(max(need, o.kept), max(1, o.most))
	before := o.need
	o.need = need
	return need > before
}

// string is weigh for a tunnel that carries strands: it wants a lane for each of them.
func (o *load) string(strands int, now time.Time) (more bool) {
	before := o.need
	if o.need = min(max(1, strands), max(1, o.most)); o.need > 1 {
		o.crowded = now
	}
	return o.need > before
}

// measure adds to rate what each session has received per second since measure was last called, if it was downloading then and is
// now.
func (o *load) measure(lanes []*lane, now time.Time) {
	elapsed := now.Sub(o.measured).Seconds()
	o.measured = now
	if o.before == nil {
		o.before = map[*lane]sample{}
	}
	for _, l := range lanes {
		is, was := sample{l.received.Load(), now.UnixNano()-l.bulkAt.Load() < int64(rowPause)}, o.before[l]
		if was.bulk && is.bulk && elapsed > 0.5 {
			o.rate.add(float64(is.received-was.received) / elapsed)
		}
		o.before[l] = is
	}
}

func (o *load) forget(l *lane) { delete(o.before, l) }

// spare is a lane beyond the first that nobody uses, and has not been needed for a while; nil when there is none.
func (o *load) spare(lanes []*lane, now time.Time) *lane {
	if now.Sub(o.crowded) < o.keep {
		return nil
	}
	able := slices.DeleteFunc(slices.Clone(lanes), func(l *lane) bool { return !l.usable() })
	for i, l := range able {
		if i > 0 && l.streams.Load() == 0 && l.coming.Load() == 0 {
			return l
		}
	}
	return nil
}

// leastBusy chooses the lane for a question of culvert's own: one that the agent is not busy with, then the one with the fewest
// connections. Nil when none is usable.
func leastBusy(lanes []*lane) *lane {
	var best *standing
	now := time.Now()
	for _, l := range lanes {
		if !l.usable() {
			continue
		}
		if s := l.standing(now); best == nil || compare(s, *best, time.Second) < 0 {
			best = &s
		}
	}
	if best == nil {
		return nil
	}
	return best.lane
}
