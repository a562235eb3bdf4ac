package tunnel

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// hearWithin is how long a connection waits for its client to send something before it is given a lane that others use. A
	// client that speaks first sends something at once. Where the client sends nothing, as the server is to speak first, no lane
	// is opened for it.
	hearWithin = 50 * time.Millisecond
	// headSize is how many bytes of the client are read while its connection waits.
	headSize = 4 << 10
	// lookAgain is how soon connections that hold out for a lane of their own are looked at again.
	lookAgain = 10 * time.Millisecond
	// mostPatience is the longest that a connection waits for a lane of its own while there is one that it could share.
	mostPatience = 2 * time.Second
	// refusedFor is how long a connection is not given the same lane again after the lane could not open a stream for it.
	refusedFor = time.Second
)

// arrival is a connection that waits for a lane.
type arrival struct {
	began  time.Time
	placed chan *lane  // gets the lane that the connection is given; capacity 1
	spoke  atomic.Bool // its client has said something

	// The tunnel's lock guards what follows.
	refusedBy *lane // the lane that last could not open a stream for it; nil for none
	refusedAt time.Time
}

// outlook says which lanes a tunnel is still to get, and how soon, as far as run knows.
type outlook struct {
	coming  int           // lanes that are being opened, or may be
	first   time.Duration // until the first of them takes connections
	spacing time.Duration // from one lane to the next on the same task, whose agent takes in one session after the other
	tasks   int           // tasks that take sessions in at the same time; 0 counts as one
	wait    time.Duration // how long a connection should wait for a lane of its own rather than share one
}

// after is how long it takes until the lane is there that comes after n others.
func (o outlook) after(n int) time.Duration {
	return o.first + time.Duration(n/max(1, o.tasks))*o.spacing
}

// turn is how long it takes until a connection is served that shares the lanes to come with n others before it: with as many of
// these lanes as make it soonest.
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

// worth is how long a connection should wait for a lane of its own rather than share one of lanes. That is the longer the more
// connections use these lanes, or would: those that hold out for a lane of their own before it would have to share them as well.
func (o outlook) worth(lanes []standing, holding int) time.Duration {
	for _, s := range lanes {
		holding += s.active
	}
	return o.wait * time.Duration(max(1, holding/len(lanes)))
}

// answerTime is how long the agent is busy with a short answer, of one or two messages and the rest after each (protocol.md 8). The
// answers of other connections wait for so long.
const answerTime = 2 * time.Millisecond

// cost is how long a connection on this lane is expected to wait for its answer.
func (s standing) cost(sharing time.Duration) time.Duration {
	cost := time.Duration(s.active+s.fresh)*answerTime + s.lag
	switch {
	case s.bulk || s.owes:
		cost += sharing
	case s.pressed: // it may be the beginning of a download, or many answers
		cost += 4 * answerTime
	}
	if _, many := s.lane.carrier.(*mux); !many && s.streams > 0 {
		cost += time.Hour // without a mux a session carries one connection at a time
	}
	return cost
}

// assign gives the connections that wait their lanes, first come first served. It returns those that go on waiting, in the same
// memory, and how many of them hold out for a lane of their own. A connection gets a lane that nobody uses at the moment; while
// there is a download anywhere, only a lane without any connection, as nobody knows whether the new connection will download too
// and disturb those that are only quiet now. Where there is no such lane, the connection waits for one that is being opened, or
// that can be asked for, as long as that is expected to take less time than sharing a lane. Connections beyond the number of
// lanes to come share those that cost them the least.
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

// settle decides about one connection: it returns the lane that the connection gets, or nil and whether it holds out for a lane
// of its own. holding is how many connections before it hold out. unsure is how many lanes have only connections that may turn
// out to be silent, so that the lane would be free after all.
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

// freest is the best of the lanes that nobody else uses at the moment; nil when there is none.
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

// undecided is how many lanes have only connections on which neither end has sent anything yet, and which may go on being silent.
func undecided(lanes []standing) (n int) {
	for _, s := range lanes {
		if s.fresh > 0 && s.active == 0 && !s.pressed {
			n++
		}
	}
	return n
}

// compare orders lanes by what a connection would cost there, and then by how many connections they have.
func compare(a, b standing, sharing time.Duration) int {
	return cmp.Or(cmp.Compare(a.cost(sharing), b.cost(sharing)), cmp.Compare(a.streams, b.streams))
}

// lane is the lane that the connection was given; nil while it has none. It does not wait.
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

// rejoin puts a connection back to the front of the queue when its lane l could not open a stream for it.
func (t *Tunnel) rejoin(w *arrival, l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w.refusedBy, w.refusedAt = l, time.Now()
	t.waiting = slices.Insert(t.waiting, 0, w)
}

// dispatch gives lanes to the connections that wait, and works out how many lanes are wanted. Any goroutine may call it. A call
// while another one is running returns at once, and the running one does the work once more.
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

// allot does the work of dispatch once.
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
	if t.stale(now) { // connections wait for a session that resolves the name anew, up to renewWithin
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

// press wakes run to look at how many lanes are wanted. It does not block.
func (t *Tunnel) press() {
	select {
	case t.pressed <- struct{}{}:
	default:
	}
}
