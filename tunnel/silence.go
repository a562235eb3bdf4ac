package tunnel

import (
	"time"

	"culvert/aws"
)

// An agent that is killed with its workers says nothing, and the service closes none of its sessions: all that it does is to tell
// the client that the agent is away (pause_publication). An agent whose destination does not read is as silent, but may come back
// after an hour (protocol.md 6). What tells these two apart is not the silence but what others say: the service says that the
// agent's connection is gone, or ECS says that its task or the agent is. When neither says so, a session is not given up before
// stuckAfter.

const (
	// askAfter is how long an agent may owe an acknowledge and say nothing before ECS is asked about its task.
	askAfter = 3 * time.Second
	// askAway is how long an agent may be away, as the service says, before ECS is asked about its task. Most absences are
	// shorter, as the service closes the sockets of agents every hour.
	askAway = 300 * time.Millisecond
	// awayAfter is how long new connections wait for an agent that is said to be away before another session is opened for them.
	awayAfter = 1500 * time.Millisecond
	// goneAfter is how long an agent has to be silent for its session to be given up, if ECS or the service say that it is gone.
	goneAfter = 5 * time.Second
	// doubtEvery is how often a lane is looked at while its agent may be gone.
	doubtEvery = 100 * time.Millisecond
	// servedWithin is how recently the service must have been heard for an agent's silence to count: if the service is silent
	// too, the path to it may be lost. The service is pinged when a message is unacknowledged for two seconds (impatient).
	servedWithin = 4 * time.Second
	// sleptAfter is a time between two looks at a lane that shows that this process was stopped in between. Then nothing is
	// concluded from silence, as what came meanwhile has yet to be read.
	sleptAfter = 2 * time.Second
	// flowed is how many bytes have to have come from the agent for a stop to be reason to ask it: then a download has stopped.
	flowed = 32 << 10
	// heardLately is how long after the last message from an agent it is assumed to have still taken messages of ours, see
	// deafSince.
	heardLately = 250 * time.Millisecond
)

// SilentError means that an agent does not answer, although the service does.
type SilentError struct {
	Target  aws.Target
	Session string
	For     time.Duration // how long the agent has been silent
	Away    bool          // the service has said that the agent is away
	Err     error         // why the agent is gone, by what ECS says about its task; nil when ECS says nothing of that

	deaf time.Time // nothing that was first sent after this moment can have reached the agent
}

func (e *SilentError) Error() string {
	text := "the agent in " + e.Target.String() + " does not answer"
	if e.Away {
		text += ", the service has lost its connection"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *SilentError) Unwrap() error { return e.Err }

// Remedy says what becomes of the session's connections.
func (e *SilentError) Remedy() string {
	return "nothing to do where another task is ready: new connections go there, and those of which nothing had reached the agent are sent there anew; " +
		"the others have to be made again. Why it died, the task's events and its container's log tell"
}

// vigil is what a lane's watch remembers of an agent that may be gone.
type vigil struct {
	looked time.Time // when heed last looked
	from   time.Time // from when silence counts at the earliest
	asked  time.Time // when ECS was last asked; zero while the agent is not in doubt
	felt   uint64    // lane.received when the agent was last sent a question (see feel), as a download had stopped
	asking int64     // the channel's next sequence number right after that question
}

// paused is called by the channel when the service says that the agent is away, and when it says that it is back. Only with a mux
// does the lane act on it: only a mux has a message with which an agent can be asked.
func (l *lane) paused(paused bool) {
	_, many := l.carrier.(*mux)
	if paused = paused && many && l.opening.done(); paused {
		l.awaySince.Store(time.Now().UnixNano())
	}
	if l.away.Swap(paused) != paused {
		select {
		case l.stir <- struct{}{}:
		default:
		}
	}
}

// heed looks whether the agent answers. It returns a *SilentError when the session is to be given up, else nil.
func (l *lane) heed(v *vigil, now time.Time) error {
	if now.Sub(v.looked) > sleptAfter || !l.attached.Load() {
		v.from = now
	}
	v.looked = now
	l.feel(v, now)
	silence := min(l.channel.silence(now), now.Sub(v.from))
	var away time.Duration
	enough, said := awayAfter, time.Unix(0, l.awaySince.Load())
	if l.away.Load() {
		away = min(now.Sub(said), now.Sub(v.from))
		if now.Sub(said) >= awayAfter {
			enough = askAway // away for long before this socket: on the new socket the agent gets only the time that an answer takes
		}
	}
	if silence < askAfter && away < askAway || silence == 0 {
		v.asked = time.Time{}
		if l.doubted.Swap(false) {
			l.finding.Store(nil) // the agent has answered
		}
		l.hush(nil)
		return nil
	}
	l.doubted.Store(true)
	if now.Sub(v.asked) >= patrolSoon {
		v.asked = now
		l.suspect(l)
	}
	found := l.finding.Load()
	if found != nil && now.Sub(found.at) > 2*patrolSoon {
		found = nil
	}
	if away == 0 && found == nil || silence < enough {
		l.hush(nil)
		return nil
	}
	e := &SilentError{Target: l.target, Session: l.session.ID, For: silence, Away: away > 0}
	if found != nil {
		e.Err = found.err
	}
	l.hush(e)
	if !l.channel.servedLately(now) || silence < goneAfter && (found == nil || !found.over) {
		return nil
	}
	switch stale := away > 0 && l.channel.attachedAt().After(said); {
	case stale && found == nil:
		e.deaf = now // the agent may be back since, and wait for a destination: all that was written may have reached it
	case stale:
		e.deaf = l.channel.deafSince(0, now)
	default:
		e.deaf = l.channel.deafSince(away, now)
	}
	return e
}

// look returns how long watch rests before it looks at the lane again.
func (l *lane) look() time.Duration {
	if l.away.Load() || l.doubted.Load() {
		return doubtEvery
	}
	return checkEvery
}

// hush takes the lane out of use when its agent is silent, for the reason why, and back into use with nil. While the agent is
// away it does not take the lane back into use: the silence only seems to be over then, as it is counted anew on a new socket.
func (l *lane) hush(why *SilentError) {
	if why == nil && l.away.Load() {
		return
	}
	if l.silent.Swap(why != nil) == (why != nil) {
		return
	}
	if why == nil {
		l.changed(l, nil)
		return
	}
	l.log.Info("the agent does not answer", "away", why.Away, "error", why.Err)
	l.changed(l, why)
}

// feel sends an agent that owes no acknowledge a question: an empty mux frame, which means nothing but has to be acknowledged. It
// does so while the service says that the agent is away, and once when a download has stopped.
func (l *lane) feel(v *vigil, now time.Time) {
	m, many := l.carrier.(*mux)
	if !many || !l.channel.drained() {
		return
	}
	received := l.received.Load()
	stopped := received-v.felt >= flowed && l.streams.Load() > 0 && now.Sub(time.Unix(0, l.lastData.Load())) >= askAfter
	if !stopped && !l.away.Load() {
		return
	}
	v.felt = received
	_ = m.keepAlive() // fails when the session is over
	v.asking = l.channel.next()
}

// excused reports whether the agent owes nothing but the acknowledge of a question of feel, while the service is silent too. Then
// the socket is probably dead and about to be replaced, and no connection is sending, so that the lane need not count as slow.
func (l *lane) excused(v *vigil, now time.Time) bool {
	return l.channel.next() == v.asking && !l.channel.servedLately(now)
}

// attachedAt is when the present socket was attached to the channel.
func (c *channel) attachedAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.attached
}

// servedLately reports whether the service was heard within servedWithin.
func (c *channel) servedLately(now time.Time) bool {
	return now.Sub(time.Unix(0, c.served.Load())) <= servedWithin
}

// silence is for how long the agent has owed an acknowledge and said nothing else; 0 when it owes none.
func (c *channel) silence(now time.Time) time.Duration {
	heard := time.Unix(0, c.heard.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	if quiet := c.out.quiet(now); quiet > 0 {
		return max(1, min(quiet, now.Sub(heard)))
	}
	return 0
}

// deafSince returns the moment from which on nothing that was sent can have reached an agent that does not answer.
//
// For an agent that has been away for some time (away is not 0) that moment is a round trip before the service said that it is
// away: what was sent later came too late, while what was sent earlier may have reached the agent, however silent it was. For any
// other agent it is a while after its last message: had the agent still lived later on, it would have acknowledged what was sent
// then, unless it died in the very moment in which it took that in. In both cases it is no later than two timeouts after the oldest
// unacknowledged message was first sent, if that message was sent again: an agent that has acknowledged neither was dead when the
// repetition arrived.
func (c *channel) deafSince(away time.Duration, now time.Time) time.Time {
	heard := time.Unix(0, c.heard.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	other := heard.Add(max(heardLately, c.out.timeout())) // on a slow path the last acknowledges may have been lost with the agent
	if away > 0 {
		other = now.Add(-away - c.out.window.shortest())
	}
	for _, o := range c.out.unacked {
		if repeated := o.firstSent.Add(2 * c.out.timeout()); !o.acked && o.tries > 1 && repeated.Before(other) {
			return repeated
		} else if !o.acked {
			break
		}
	}
	return other
}

// unheard reports whether no message from the sequence number first on can have reached the agent, which was deaf from a moment
// on. The agent takes messages in order, but acknowledges may get lost; so an acknowledge for a later message shows that first
// has reached it.
func (c *channel) unheard(first int64, deaf time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first < c.out.oldest() {
		return false
	}
	for _, o := range c.out.unacked {
		switch {
		case o.sequence < first:
		case o.acked, o.sequence == first && o.tries > 0 && !o.firstSent.After(deaf):
			return false
		}
	}
	return true
}
