package tunnel

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"culvert/aws"
)

const (
	// peersFor is how old the list of a service's tasks may be when a task is chosen from it for another session.
	peersFor = 30 * time.Second
	// shunnedFor is how long no session is opened to a task on which one was lost, as long as there is another task.
	shunnedFor = time.Minute
)

// fixed is how many lanes the tunnel has when that does not depend on its load, else 0.
func (t *Tunnel) fixed() int {
	if t.hopes() {
		return 1 // beside the sessions to the relay, one for connections that cannot go through it
	}
	if t.spec.Lanes > 0 {
		return t.spec.Lanes
	}
	return t.engine.options.Lanes
}

// ceiling is how many sessions a tunnel may have at a time. missing may exceed it when all of them are in tasks that stop.
func (r *runner) ceiling() int {
	most := fewLanes
	switch fixed := r.fixed(); {
	case fixed > 0:
		most = fixed
	case r.affords.Memory >= roomyMemory:
		most = maxLanes
	}
	if r.strands != nil && r.fixed() == 0 {
		most = r.strandsIn()
	}
	if r.of != nil { // a destination has a first session in any case, and further ones as far as seats are free
		most = max(1, min(most, r.sessions+r.of.pool.seats.free()))
	}
	return most
}

// inquireRoom asks AWS once what memory and CPU the container has, unless the number of lanes is fixed.
func (r *runner) inquireRoom() {
	target := r.Link().Target
	if r.asked || r.fixed() > 0 || target.Task == "" {
		return
	}
	r.asked = true
	r.running++
	go func() {
		ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
		defer cancel()
		room, err := r.spec.Client.Room(ctx, target)
		if err != nil {
			r.log.Debug("the room that the container has is not known", "error", err)
		}
		r.reports <- report{patrol: true, inquired: true, room: room}
	}()
}

// forecast tells the code that gives out lanes (queue.go) which further lanes it may count on.
func (r *runner) forecast() {
	if r.wanted() > 1 || r.strands != nil {
		r.inquireRoom()
	}
	most := r.ceiling()
	if r.fixed() == 0 && !r.answered && r.of == nil && r.strands == nil {
		most = maxLanes // until the answer to inquireRoom is there
	}
	if r.renewing && most > 1 {
		most--
	}
	coming := len(r.unopened)
	if !time.Now().Before(r.notBefore) && r.asleep == nil {
		coming += max(0, most-r.sessions)
	}
	var from time.Time
	if len(r.unopened) > 0 {
		from = r.unopened[0].startedAt
	}
	tasks := 1
	if target := r.Link().Target; !r.single(target) {
		tasks = max(tasks, len(r.spec.Client.KnownPeers(target, peersFor)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.load.most, r.load.coming, r.load.from, r.load.tasks = most, coming, from, tasks
}

// wanted is how many lanes the tunnel wants, however many it may have.
func (r *runner) wanted() int {
	if fixed := r.fixed(); fixed > 0 {
		return fixed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(1, r.load.need)
}

// opened notes that a lane takes connections, when it does so for the first time.
func (r *runner) opened(l *lane) {
	if !l.openedAt.IsZero() {
		return
	}
	l.openedAt = time.Now()
	r.unopened = slices.DeleteFunc(r.unopened, func(other *lane) bool { return other == l })
	r.mu.Lock()
	r.load.opening.add(float64(l.openedAt.Sub(l.startedAt)))
	r.mu.Unlock()
	r.first(l)
}

// choose picks the task for the next lane: for the first one (fresh) the task of the Spec, if that names one; later the task of
// the service that has the fewest sessions of this tunnel, or the successor of the last one; always the same one if the tunnel is
// pinned to it. For a destination of a dynamic tunnel it also waits for the lane's seat; needed says that the destination has no
// other session.
func (r *runner) choose(ctx context.Context, l *lane, fresh, needed bool) (aws.Target, error) {
	if r.of != nil {
		peers, err := r.of.pool.tasks.peers(ctx)
		if err != nil {
			return aws.Target{}, err
		}
		return r.of.seat(ctx, l, peers, needed)
	}
	target := r.spec.Target
	if last := r.Link().Target; last.RuntimeID != "" {
		target = last
	}
	if fresh && target.RuntimeID != "" {
		return target, nil
	}
	next, err := r.pick(ctx, target)
	if err != nil && target.RuntimeID != "" && denied(err) {
		r.log.Info("not allowed to look for another task, staying with the last one", "error", err)
		return target, nil
	}
	return next, err
}

// pick is choose for a tunnel that stands for itself, where the answer is not simply the task of the Spec. It may call ECS.
func (r *runner) pick(ctx context.Context, target aws.Target) (aws.Target, error) {
	held, shunned := r.held()
	if r.single(target) {
		switch stay, ok := r.stays(); {
		case ok:
			return stay, nil
		case r.spec.Pinned:
			return r.spec.Client.Again(ctx, target)
		}
		return r.spec.Client.Successor(ctx, target)
	}
	age := peersFor
	if len(shunned) > 0 {
		age = 0
	}
	peers, err := r.spec.Client.Peers(ctx, target, age)
	if err != nil {
		return aws.Target{}, err
	}
	return evenly(peers, held, shunned), nil
}

// single reports whether all sessions lead to one task.
func (r *runner) single(t aws.Target) bool {
	return r.spec.Pinned || r.spec.OneTask || r.engine.options.OneTask || t.Service == ""
}

// another picks the task for a lane that is to start while others are still being opened. An agent takes in one session after the
// other (protocol.md 8), but different agents do not hold up each other. So it picks a task with the fewest sessions whose agent
// is not taking in a session at the moment. ok is false when there is no such task, when the tasks have to be looked up first,
// and as long as no agent has taken in a session. It is always false for the destinations of a dynamic tunnel, which share the
// agents and get their turns with their seats from the pool.
func (r *runner) another() (_ aws.Target, ok bool) {
	if r.of != nil {
		return aws.Target{}, false
	}
	target := r.Link().Target
	held, shunned := r.held()
	busy, known := r.busy()
	if !known || r.single(target) || len(shunned) > 0 {
		return aws.Target{}, false
	}
	least := math.MaxInt
	peers := r.spec.Client.KnownPeers(target, peersFor)
	for _, t := range peers {
		least = min(least, held[t.Task])
	}
	peers = slices.DeleteFunc(peers, func(t aws.Target) bool { return held[t.Task] > least || busy[t.Task] })
	if len(peers) == 0 {
		return aws.Target{}, false
	}
	return peers[rand.IntN(len(peers))], true //nolint:gosec // not a secret
}

// busy returns the tasks whose agents are taking a session in. known is false while the task of a lane that is being opened is
// not settled, and as long as no agent has taken in a session.
func (r *runner) busy() (busy map[string]bool, known bool) {
	busy = map[string]bool{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lanes {
		if l.taken() {
			known = true
		} else {
			busy[l.target.Task] = true
		}
	}
	for _, l := range r.opening {
		known = known && slices.Contains(r.lanes, l)
	}
	return busy, known
}

// evenly picks the target whose task has the fewest sessions, at random among equals. It picks a shunned task only where there is
// no other.
func evenly(peers []aws.Target, held map[string]int, shunned map[string]bool) aws.Target {
	rank := func(t aws.Target) int {
		if shunned[t.Task] {
			return 1<<16 + held[t.Task]
		}
		return held[t.Task]
	}
	least := rank(slices.MinFunc(peers, func(a, b aws.Target) int { return rank(a) - rank(b) }))
	peers = slices.DeleteFunc(slices.Clone(peers), func(t aws.Target) bool { return rank(t) != least })
	return peers[rand.IntN(len(peers))] //nolint:gosec // not a secret
}

// held returns how many sessions the tunnel has on each task, and which tasks are better not given another session: those that
// stop, and those on which a session was lost lately.
func (t *Tunnel) held() (held map[string]int, shunned map[string]bool) {
	held, shunned = map[string]int{}, t.avoided()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lanes {
		held[l.target.Task]++
		if l.leaving.Load() {
			shunned[l.target.Task] = true
		}
	}
	return held, shunned
}

// stays returns the target of a session that the tunnel has and keeps, if it has one.
func (t *Tunnel) stays() (aws.Target, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lanes {
		if l.taken() && !l.slow.Load() && !l.draining.Load() {
			return l.target, true
		}
	}
	return aws.Target{}, false
}

// shun has the task of a lost session be avoided, unless it is known that the task was not the cause.
func (r *runner) shun(l *lane, why error) {
	_, oversize := errors.AsType[*OversizeError](why)
	if l.target.Task == "" || errors.Is(why, errReconnect) || idleClosed(why, l) || oversize {
		return
	}
	_, closed := errors.AsType[*ClosedError](why)
	r.mu.Lock()
	served := slices.ContainsFunc(r.lanes, func(other *lane) bool { return other.target.Task == l.target.Task && other.open() })
	r.mu.Unlock()
	if closed && served || r.of != nil && ownFault(why) {
		return // the task's agent serves other sessions, or the destination was the cause
	}
	r.home().avoid(l.target.Task)
}
