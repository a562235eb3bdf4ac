package tunnel

import "time"

const (
	// maxLanes is how many sessions a tunnel takes at the most when it adapts: each costs 25 MB in the container
	// (protocol.md 8).
	maxLanes = 4
	// busyRate marks a session that downloads at what its agent can send (0.73–0.83 MB/s, protocol.md 8), in bytes per
	// second; another connection on it waits 200–340 ms for every answer.
	busyRate = 450_000
	// spareAfter an extra session without connections is ended.
	spareAfter = time.Minute
)

// load measures how busy the lanes are and how many the tunnel should have. Only run uses it.
type load struct {
	measured time.Time
	before   map[*lane]uint64
	idle     map[*lane]time.Time
	wanted   int
}

// lanes is how many lanes the tunnel should have; fixed is the user's number, 0 to adapt.
func (o *load) lanes(fixed int) int {
	if fixed > 0 {
		return fixed
	}
	return max(1, o.wanted)
}

// ceiling is how many sessions a tunnel may have, those left aside that only see their last connections out: the task that
// they lead to is going away.
func ceiling(fixed int) int {
	if fixed > 0 {
		return fixed
	}
	return maxLanes
}

// measure takes the rates of the last second. When all lanes are busy and carry more than one connection each, one more
// is wanted; a lane that can carry only one is busy with it.
func (o *load) measure(lanes []*lane, now time.Time) {
	if o.before == nil {
		o.before, o.idle = map[*lane]uint64{}, map[*lane]time.Time{}
	}
	elapsed := now.Sub(o.measured).Seconds()
	o.measured = now
	usable, busy := 0, 0
	var streams int64
	for _, l := range lanes {
		received := l.received.Load()
		rate := float64(received-o.before[l]) / max(elapsed, 0.5)
		o.before[l] = received
		l.busy.Store(rate > busyRate || l.single() && l.streams.Load() > 0)
		if l.streams.Load() > 0 {
			delete(o.idle, l)
		} else if _, ok := o.idle[l]; !ok {
			o.idle[l] = now
		}
		if l.usable() {
			usable++
			streams += l.streams.Load()
			if l.busy.Load() {
				busy++
			}
		}
	}
	o.wanted = max(1, usable)
	if usable > 0 && busy == usable && streams > int64(usable) {
		o.wanted = min(usable+1, maxLanes)
	}
}

// spare returns a lane beyond the first that nobody has used for a while.
func (o *load) spare(lanes []*lane, fixed int, now time.Time) *lane {
	if fixed > 0 {
		return nil
	}
	first := true
	for _, l := range lanes {
		if l.draining.Load() || l.trial.Load() {
			continue
		}
		if since, ok := o.idle[l]; ok && !first && l.usable() && now.Sub(since) > spareAfter {
			o.wanted--
			return l
		}
		first = false
	}
	return nil
}

func (o *load) forget(l *lane) {
	delete(o.before, l)
	delete(o.idle, l)
}

// place chooses the lane for a new connection: one that is not downloading at its limit, then the one with the fewest
// connections. Nil when none is usable.
func place(lanes []*lane) *lane {
	var best *lane
	for _, l := range lanes {
		if !l.usable() {
			continue
		}
		switch {
		case best == nil, best.behind() && !l.behind(), best.busy.Load() && !l.busy.Load() && !l.behind():
			best = l
		case l.behind() && !best.behind():
		case best.busy.Load() == l.busy.Load() && l.streams.Load() < best.streams.Load():
			best = l
		}
	}
	return best
}
