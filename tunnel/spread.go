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
	// peersFor is how old the list of a service's tasks may be when a task is chosen from it for one more session.
	peersFor = 30 * time.Second
	// shunnedFor is how long no session is opened to a task on which one was lost, as long as there is another task.
	shunnedFor = time.Minute
)

// fixed is how many lanes the tunnel has when that does not depend on its load, else 0.
func (t *Tunnel) fixed() int {
	if t.hopes() {
		return 1 // that is the way for those whom the relay fails
	}
	if t.spec.Lanes > 0 {
		return t.spec.Lanes
	}
	return t.engine.options.Lanes
}

// ceiling is how many sessions a tunnel may have, those left aside that only see their last connections out: the task that
// they lead to is going away.
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
	if r.of != nil { // beside the first there is what others leave
		most = max(1, min(most, r.sessions+r.of.pool.seats.free()))
	}
	return most
}

// inquireRoom asks once what room the container has, as soon as it matters.
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
		most = maxLanes // it is soon known better
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

// opened notes that a lane takes connections for the first time.
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

// choose picks the task for the next lane: the one that was asked for at first, later whichever of its service has the
// fewest sessions of this tunnel, or whatever runs in its place, unless the tunnel is pinned to that one.
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

// another picks the task for another lane, as choose does, but one whose agent is not taking a session in at the moment: it
// takes them in one after the other (protocol.md 8), but what one does costs the others nothing. There is none where all that
// have the fewest are at it, where the tasks have to be looked up first, and as long as no session has been taken in at all. The
// destinations of a dynamic tunnel share the agents, and have their seats from the pool.
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

// busy are the tasks whose agents are taking a session in; known is false while that is not settled for one of them, or no
// session has been taken in yet.
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

// evenly picks the target whose task has the fewest sessions, at random among equals; one that is shunned only where there
// is no other.
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

// held are the sessions of the tunnel by task, and the tasks that another session is better not opened to: those that stop,
// and those on which one was lost.
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

// stays is the task of a session that the tunnel has and keeps.
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

// shun notes that a session was lost, unless it is known that its task was not the cause.
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
		return // its agent serves others
	}
	r.home().avoid(l.target.Task)
}
