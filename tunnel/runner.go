package tunnel

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"culvert/aws"
)

// runner is the state of a tunnel that only its run touches, so without a lock.
type runner struct {
	*Tunnel

	running  int       // goroutines of lanes, patrols and proofs, each of which sends a last report
	sessions int       // lanes that run: each is a session, from before it is opened until it is ended
	opening  []*lane   // lanes whose agents have not begun to serve them: an agent takes in one session after the other (protocol.md 8)
	trial    *lane     // the lane that resolves the remote host's name anew, see renew; nil for none
	renewing bool      // a lane on trial is wanted, as soon as there is room for it
	yielding *lane     // the lane that gets no new connections, to make room for one on trial
	swapped  time.Time // when the only session was ended to make room for one on trial; zero once there is a session again
	tried    time.Time // when a lane on trial was last wanted because connections failed
	accepted uint64    // how many connections there had been when a lane on trial was last wanted
	retry    interface {
		NextBackOff() time.Duration
		Reset()
	}
	notBefore time.Time // when the next lane may be started
	trouble   error     // why the last lane ended, or could not be opened; nil once one is open
	asleep    error     // why no lane is wanted until a connection comes; nil when lanes are wanted
	wasOpen   bool      // some lane was open before
	beat      beat      // when ECS is to be asked about the tasks

	settling time.Duration // after how long hear is to be called again even if nothing happens; 0 for never

	unopened []*lane  // lanes that have not taken connections yet, those on trial left out
	asked    bool     // AWS was asked what room the container has
	answered bool     // the answer has come, or an error
	affords  aws.Room // that answer; zero as long as there is none, or when AWS does not say
}

// run owns the tunnel's state: it opens lanes, one after the other, and replaces them until the tunnel is told to stop.
func (t *Tunnel) run() {
	defer close(t.done)
	defer t.later.Stop()
	r := &runner{Tunnel: t, retry: newRetry(), beat: newBeat(t.engine.patrolEvery, time.Now())}
	var accepting sync.WaitGroup
	accepting.Go(func() { t.accept() })

	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for t.ctx.Err() == nil {
		r.show() // at once: a session can be back soon
		if r.relays != nil && r.state == Open {
			r.relays.look(r.link.Target)
		}
		r.forecast()
		r.fill() // first, as dispatch may have much to do
		r.hear()
		t.dispatch()
		select {
		case s := <-t.reports:
			r.take(s)
		case <-t.want:
			r.asleep = nil
			r.refresh(time.Now())
		case <-t.pressed:
		case <-t.again:
			r.reconnect()
		case <-t.doubt:
			r.follow(time.Now())
		case <-t.shed:
			r.giveAway()
		case now := <-tick.C:
			r.look(now)
		case <-r.due():
		case <-r.unswapped():
		case <-r.settles():
		case <-t.ctx.Done():
		}
	}
	t.engine.unlisten(t.local)
	t.connections.abort()
	if t.relays != nil {
		t.relays.close()
	}
	for r.running > 0 {
		r.take(<-t.reports)
	}
	accepting.Wait()
	t.connections.wait()
	t.wake()
	why := context.Cause(t.ctx)
	if errors.Is(why, errStopped) {
		t.record(Event{State: Closed})
	} else {
		t.record(Event{State: Failed, Err: why})
	}
}

// due returns a Go channel that fires when the next lane may be started; nil, which never does, when no lane waits for that time.
func (r *runner) due() <-chan time.Time {
	if len(r.opening) > 0 || r.asleep != nil || r.notBefore.IsZero() || r.missing() == 0 {
		return nil
	}
	return time.After(time.Until(r.notBefore))
}

// unswapped returns a Go channel that fires swapWithin after the tunnel's only session was ended to be replaced; nil, which never
// does, when that is over.
func (r *runner) unswapped() <-chan time.Time {
	left := swapWithin - time.Since(r.swapped)
	if left <= 0 {
		return nil
	}
	return time.After(left)
}

// missing is how many more lanes the tunnel wants and may have. Lanes that take no new connections, because their agent is behind
// or because they only serve their connections to the end, are not among those that are wanted, so that others make up for them.
// But they still are sessions in the user's container and count against the ceiling.
func (r *runner) missing() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	usable, leaving := 0, 0
	for _, l := range r.lanes {
		switch {
		case l.leaving.Load():
			leaving++
		case !l.slow.Load() && !l.hung.Load() && !l.draining.Load() && !l.trial.Load() && !l.behind():
			usable++
		}
	}
	want, most := r.fixed(), r.ceiling()
	if want == 0 {
		want = r.load.need
	}
	if r.renewing && most > 1 {
		most-- // for the session that resolves the name anew
	}
	least := 0
	if r.sessions == leaving {
		least = 1 // beyond the ceiling: the other sessions are in the containers of tasks that stop, and serve their connections to the end
	}
	return max(least, min(max(1, want)-usable, most-r.sessions))
}

// fill starts the next lanes, as many as are wanted and may start now.
func (r *runner) fill() {
	r.makeRoom()
	for r.asleep == nil && !time.Now().Before(r.notBefore) && r.missing() > 0 {
		target, known := r.another()
		if !known && len(r.opening) > 0 {
			return
		}
		l := r.newLane()
		r.opening = append(r.opening, l)
		if known {
			r.lead(l, target)
			r.start(l, nil)
			continue
		}
		fresh, needed := r.link.Session == "" && r.trouble == nil, !r.serves()
		r.start(l, func(ctx context.Context) (aws.Target, error) { return r.choose(ctx, l, fresh, needed) })
	}
}

// serves reports whether the tunnel has a session that takes connections, or will.
func (r *runner) serves() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.lanes, func(l *lane) bool { return !l.leaving.Load() && !l.draining.Load() && !l.trial.Load() })
}

// giveAway has the session with the fewest connections end with the last of them, if the tunnel has several.
func (r *runner) giveAway() {
	if l, others := r.least(); l != nil && others {
		l.draining.Store(true)
		l.endIfDrained()
	}
}

// lead settles the task that a lane leads to, and lists it among the tunnel's lanes.
func (r *runner) lead(l *lane, to aws.Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.target = to
	r.lanes = append(r.lanes, l)
}

func (r *runner) newLane() *lane {
	o := r.engine.options
	l := newLane(r.spec.Client, r.log, r.spec.Remote, laneOptions{
		messageSize: o.MessageSize, sizes: r.engine.sizes, uploadRate: o.UploadRate, keepAlive: r.spec.KeepAlive, renewAfter: r.engine.renewAfter, journal: o.Journal, leave: r.engine.remains.leave,
	})
	l.channel.strand = r.strands != nil
	l.changed = func(l *lane, err error) { r.reports <- report{lane: l, err: err} }
	l.pressed = r.press
	l.suspect = func(l *lane) { r.reports <- report{lane: l, silent: true} }
	return l
}

// start runs a lane to the task that choose picks, in a goroutine of its own; choose is nil where lead has settled the task.
func (r *runner) start(l *lane, choose func(context.Context) (aws.Target, error)) {
	var ctx context.Context
	ctx, l.quit = context.WithCancelCause(r.ctx)
	if l != r.trial {
		var obstacle func() error
		ctx, obstacle = r.spec.Client.Watch(ctx)
		r.mu.Lock()
		r.obstacle = obstacle
		r.mu.Unlock()
	}
	r.running++
	r.sessions++
	l.startedAt = time.Now()
	if l != r.trial {
		r.unopened = append(r.unopened, l)
	}
	go func() {
		var err error
		if choose != nil {
			var target aws.Target
			if target, err = choose(ctx); err == nil {
				r.lead(l, target)
				r.press() // other tasks can take in sessions meanwhile, which another can only choose now that this lane's task is known
			}
		}
		if err == nil {
			err = l.run(ctx)
			l.seat.leave(l.taken() || r.ctx.Err() != nil)
		}
		l.quit(nil)
		r.reports <- report{lane: l, ended: true, err: err}
	}()
}

// anyStanding reports whether any session was opened and is not over: one that is being resumed still has its connections.
func (r *runner) anyStanding() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.lanes, func(l *lane) bool { return l.opening.done() })
}

func (r *runner) reconnect() {
	r.asleep = nil
	r.retry.Reset()
	r.notBefore = time.Now()
	if r.relays != nil {
		r.relays.restart(errReconnect)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lanes {
		l.draining.Store(true)
		l.quit(errReconnect)
	}
}

// show works out the state from the lanes and records it when it changed.
func (r *runner) show() {
	e := Event{State: Starting, Err: r.trouble}
	r.mu.Lock()
	state, link := r.state, r.link
	var best *lane
	waits := false
	for _, l := range slices.Concat(r.opening, r.lanes) {
		if l.trial.Load() {
			continue
		}
		if best == nil || rank(l) > rank(best) || rank(l) == rank(best) && l.opening.done() && l.session.ID == link.Session {
			best = l
		}
		waits = waits || l.state() == Resuming && l.streams.Load() > 0
	}
	r.mu.Unlock()
	switch {
	case best == nil && r.asleep != nil:
		e.State, e.Err = Asleep, r.asleep
	case best != nil && best.open() && waits: // new connections have a lane, but the connections of a session that is being resumed wait
		e.State, best = Resuming, nil
	case best != nil && best.open():
		e.State, e.Err = Open, nil
	case r.trouble == nil && time.Since(r.swapped) < swapWithin:
		return // no connection was lost, and a new one waits no longer than it does for a session on trial at other times
	case best != nil && best.state() == Resuming:
		e.State = Resuming
	case r.wasOpen:
		e.State = Reopening
	case best != nil && best.state() == Handshaking:
		e.State, e.Err = Handshaking, nil
	}
	if best != nil && best.attached.Load() {
		e.Link = best.link()
		if r.relays != nil {
			e.Link.Relay = r.relays.standing(e.Link.Target)
		}
	}
	if e.State != state || (e.State == Open && e.Link != link) || (e.Err != nil && !sameText(e.Err, r.err)) {
		r.record(e)
	}
}

// rank orders lanes by how good they are for new connections: the best one's state is the tunnel's.
func rank(l *lane) int {
	if l.draining.Load() {
		return 0
	}
	switch l.state() { //nolint:exhaustive // a lane has only these
	case Open:
		if l.slow.Load() || l.hung.Load() {
			return 4
		}
		return 5
	case Resuming:
		return 3
	case Handshaking:
		return 2
	default:
		return 1
	}
}

func sameText(a, b error) bool { return b != nil && a.Error() == b.Error() }

// look is called once a second: it looks for connections that hang, names to resolve anew, lanes that are not needed any more and
// tasks that are to be asked about.
func (r *runner) look(now time.Time) {
	r.mu.Lock()
	lanes := slices.Clone(r.lanes)
	r.mu.Unlock()
	for _, l := range lanes {
		r.examine(l, now)
	}
	r.refresh(now)
	var spare *lane
	r.mu.Lock()
	r.load.measure(lanes, now)
	if r.fixed() == 0 || r.hopes() {
		spare = r.load.spare(lanes, now)
	}
	r.mu.Unlock()
	for _, l := range lanes {
		if l == spare {
			l.draining.Store(true)
		}
		l.endIfDrained()
	}
	worried := slices.ContainsFunc(lanes, func(l *lane) bool { return l.slow.Load() })
	if r.beat.due(now, worried) {
		for _, l := range lanes {
			if l.open() && !l.draining.Load() && (worried || r.of == nil || r.of.pool.tasks.unknown(l.target.Task, now)) {
				r.patrol(l)
			}
		}
	}
}
