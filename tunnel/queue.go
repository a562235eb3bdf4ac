package tunnel

import (
	"slices"
	"sync/atomic"
	"time"
)

const (
	// hearWithin is how long a connection that would share a lane may take to say something: clients that speak first do
	// so at once, and for a silent one no lane is opened.
	hearWithin = 50 * time.Millisecond
	// headSize is how much of what it says is read meanwhile.
	headSize = 4 << 10
	// lookAgain is how soon connections that hold out for a lane are looked at again.
	lookAgain = 10 * time.Millisecond
	// mostPatience is the longest that a connection waits for a lane while there is one that it could share.
	mostPatience = 2 * time.Second
	// refusedFor a lane that took no connection is not tried again for it.
	refusedFor = time.Second
)

// arrival is a connection that waits for a lane.
type arrival struct {
	began  time.Time
	placed chan *lane  // capacity 1
	spoke  atomic.Bool // its client has said something

	// What follows is guarded by the tunnel's lock.
	refusedBy *lane // that took it not, and when
	refusedAt time.Time
}

// outlook is what lanes a tunnel is still to get, as far as run knows.
type outlook struct {
	coming int           // that are being opened, or may be
	first  time.Duration // until the first of them takes connections
	step   time.Duration // between two of them on one task
	tasks  int           // that take sessions in at the same time; 0 is one
	wait   time.Duration // for a lane, that is worth it to a connection that would share one otherwise
}

// after is how long the lane takes that comes after n others.
func (o outlook) after(n int) time.Duration { return o.first + time.Duration(n/max(1, o.tasks))*o.step }

// turn is when a connection has its turn that comes after n others which share the lanes to come: as many of these are used
// as make it soonest.
func (o outlook) turn(n int) time.Duration {
	soonest, ready := o.first, time.Duration(0)
	for k := range o.coming {
		ready += o.after(k)
		if at := (ready + time.Duration(n)*answerTime) / time.Duration(k+1); k == 0 || at < soonest {
			soonest = at
		}
	}
	return soonest
}

// worth is for how long it is worth it to wait for a lane instead of sharing one, as would the holding ones before: the
// more of them, the less of it is for each.
func (o outlook) worth(lanes []standing, holding int) time.Duration {
	for _, s := range lanes {
		holding += s.active
	}
	return o.wait * time.Duration(max(1, holding/len(lanes)))
}

// answerTime is what the agent takes for a short answer, of one message or two with their rests (protocol.md 8): it holds up
// those behind it for so long.
const answerTime = 2 * time.Millisecond

// cost is what a connection would wait on a lane for its answer.
func (s standing) cost(sharing time.Duration) time.Duration {
	cost := time.Duration(s.active+s.fresh)*answerTime + s.lag
	switch {
	case s.bulk || s.owes:
		cost += sharing
	case s.pressed: // it may be the beginning of a download, or many answers
		cost += 4 * answerTime
	}
	if _, many := s.lane.carrier.(*mux); !many && s.streams > 0 {
		cost += time.Hour // one at a time
	}
	return cost
}

// assign gives the connections that wait their lanes, first come first served, and returns those that go on waiting, in the
// same memory, with how many of them hold out for a lane of their own. A connection gets a lane that nobody uses at the moment; beside
// downloads one that is empty, as others that are quiet now want to stay clear of them and nobody knows what it will be.
// Where there is none, it waits for one that is being opened, or that it asks for, as long as that is expected to be cheaper
// than to share; what more there are than lanes to come spread themselves.
func assign(waiting []*arrival, lanes []standing, o outlook, sharing time.Duration, now time.Time) (left []*arrival, holding int) {
	bulk := slices.ContainsFunc(lanes, func(s standing) bool { return s.bulk })
	unsure := undecided(lanes)
	left = waiting[:0]
	for _, w := range waiting {
		open := lanes
		if now.Sub(w.refusedAt) < refusedFor {
			open = slices.DeleteFunc(slices.Clone(lanes), func(s standing) bool { return s.lane == w.refusedBy })
		}
		at, hold := settle(w, open, o, sharing, bulk, holding, unsure, now)
		if at == nil {
			left = append(left, w)
			switch {
			case hold:
				holding++
			case w.spoke.Load():
				unsure--
			}
			continue
		}
		i := slices.IndexFunc(lanes, func(s standing) bool { return s.lane == at })
		if lanes[i].free() && !w.spoke.Load() {
			unsure++
		}
		lanes[i].streams++
		lanes[i].fresh++
		at.coming.Add(1)
		w.placed <- at
	}
	clear(waiting[len(left):])
	return left, holding
}

// settle decides about one connection: its lane, or nil and whether it holds out for one of its own. holding is how many do
// before it, unsure how many lanes there may yet be for it that are not in use after all.
func settle(w *arrival, lanes []standing, o outlook, sharing time.Duration, bulk bool, holding, unsure int, now time.Time) (at *lane, hold bool) {
	if len(lanes) == 0 {
		return nil, false
	}
	if best := freest(lanes, bulk); best != nil {
		return best, false
	}
	waited := now.Sub(w.began)
	least := slices.MinFunc(lanes, func(a, b standing) int { return compare(a, b, sharing) })
	cost := least.cost(sharing)
	switch spoke := w.spoke.Load(); {
	case !spoke && waited < hearWithin:
		return nil, false
	case !spoke && !bulk:
		return least.lane, false
	case unsure > 0 && waited < freshFor:
		return nil, false
	case o.coming == 0 || waited > mostPatience:
	case holding < o.coming && o.after(holding) <= o.worth(lanes, holding):
		return nil, true
	case o.turn(holding) < min(cost, o.wait):
		return nil, true
	}
	return least.lane, false
}

// freest is the best of the lanes that a connection has for itself, nil when there is none.
func freest(lanes []standing, bulk bool) *lane {
	var best *standing
	for i := range lanes {
		s := &lanes[i]
		if s.free() && (!bulk || s.streams == 0) && (best == nil || s.streams < best.streams) {
			best = s
		}
	}
	if best == nil {
		return nil
	}
	return best.lane
}

// undecided is how many lanes have nothing but connections that may turn out to be silent.
func undecided(lanes []standing) (n int) {
	for _, s := range lanes {
		if s.fresh > 0 && s.active == 0 && !s.pressed {
			n++
		}
	}
	return n
}

func compare(a, b standing, sharing time.Duration) int {
	if a, b := a.cost(sharing), b.cost(sharing); a != b {
		return int(a - b)
	}
	return a.streams - b.streams
}

// lane is the one that the connection has got; nil while it has none.
func (w *arrival) lane() *lane {
	select {
	case l := <-w.placed:
		return l
	default:
		return nil
	}
}

// join makes a connection wait for a lane; leave ends that.
func (t *Tunnel) join(spoke bool) *arrival {
	w := &arrival{began: time.Now(), placed: make(chan *lane, 1)}
	w.spoke.Store(spoke)
	t.mu.Lock()
	t.waiting = append(t.waiting, w)
	t.mu.Unlock()
	return w
}

func (t *Tunnel) leave(w *arrival) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = slices.DeleteFunc(t.waiting, func(other *arrival) bool { return other == w })
	if l := w.lane(); l != nil {
		l.coming.Add(-1)
	}
}

// rejoin puts a connection that its lane did not take back to the front.
func (t *Tunnel) rejoin(w *arrival, l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w.refusedBy, w.refusedAt = l, time.Now()
	t.waiting = slices.Insert(t.waiting, 0, w)
}

// dispatch looks who gets which lane, and how many are wanted. Whoever comes while another one is at it leaves it to that one.
func (t *Tunnel) dispatch() {
	if t.dispatches.Add(1) > 1 {
		return
	}
	for more := true; more; {
		seen := t.dispatches.Load()
		t.allot(time.Now())
		more = t.dispatches.Add(-seen) > 0
	}
}

func (t *Tunnel) allot(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lanes := make([]standing, 0, len(t.lanes))
	for _, l := range t.lanes {
		if l.usable() {
			lanes = append(lanes, l.standing(now))
		}
	}
	able := len(t.waiting)
	if t.stale(now) { // those that have not waited long enough for an address that is newer
		if i := slices.IndexFunc(t.waiting, func(w *arrival) bool { return now.Sub(w.began) < renewWithin }); i >= 0 {
			able = i
		}
	}
	left, holding := assign(t.waiting[:able], lanes, t.load.outlook(now), t.load.sharing(), now)
	t.waiting = slices.Delete(t.waiting, len(left), able)
	if len(t.waiting) > 0 && len(lanes) > 0 {
		t.later.Reset(lookAgain)
	}
	weigh := func() bool { return t.load.weigh(lanes, holding, now) }
	if t.strands != nil {
		weigh = func() bool { return t.load.string(int(t.strands.wanted.Load()), now) }
	}
	if weigh() {
		t.press()
	}
}

// press has run look at how many lanes are wanted.
func (t *Tunnel) press() {
	select {
	case t.pressed <- struct{}{}:
	default:
	}
}
