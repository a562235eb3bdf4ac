package tunnel

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"culvert/aws"
)

const (
	// patrolEvery is about how often a tunnel asks ECS whether its task is meant to go on. All tunnels of an account and
	// region share 20 reads a second with everybody else (docs/capacity.md), so it is long: an agent whose task stops says
	// so by itself, and only one that went silently is found by asking.
	patrolEvery = 2 * time.Minute
	// patrolSoon is how often a tunnel asks while the agent of one of its sessions owes an acknowledge.
	patrolSoon = 5 * time.Second
	// patrolRest is the least time between two questions to ECS about the same task.
	patrolRest = 4 * time.Second
)

// beat says when a tunnel is to ask again: each at times of its own, so that tunnels which began in one moment do not go
// on asking at the same moments.
type beat struct {
	every time.Duration
	last  time.Time
	next  time.Duration // after last
}

func newBeat(every time.Duration, now time.Time) beat {
	return beat{every: every, last: now, next: jittered(every)}
}

// due reports whether it is time to ask, and begins the next period if so.
func (b *beat) due(now time.Time, worried bool) bool {
	wait := b.next
	if worried {
		wait = min(wait, patrolSoon)
	}
	if now.Sub(b.last) <= wait {
		return false
	}
	b.last, b.next = now, jittered(b.every)
	return true
}

// jittered is a duration between three and five quarters of d.
func jittered(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1) //nolint:gosec // not a secret
}

// finding is what ECS says of an agent that does not answer.
type finding struct {
	at   time.Time
	err  error
	over bool // the agent's container is gone
}

// suspect is patrol for a lane whose agent owes an answer.
func (r *runner) suspect(l *lane) {
	if r.ctx.Err() == nil {
		r.patrol(l)
	}
}

// patrol asks ECS whether a lane's task is meant to go on, for all lanes to that task, unless it was asked just now. Those
// to one that is stopping get no new connections, and the next task is opened while the old one still serves; the
// connections of one that has stopped cannot be saved.
func (r *runner) patrol(l *lane) {
	now := time.Now()
	if now.Sub(l.patrolled) < patrolRest {
		return
	}
	r.mu.Lock()
	lanes := slices.DeleteFunc(slices.Clone(r.lanes), func(other *lane) bool { return other.target != l.target })
	r.mu.Unlock()
	for _, one := range lanes {
		one.patrolled = now
	}
	r.running++
	go func() {
		ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
		defer cancel()
		err := r.spec.Client.Check(ctx, l.target)
		gone, ok := errors.AsType[*aws.TaskGoneError](err)
		if ok {
			r.log.Info("task is going away, opening a session to another one", "task", l.target.Task, "error", err)
		}
		if r.of != nil {
			r.of.pool.tasks.checked(l.target.Task, err == nil)
		}
		if ok && r.of != nil {
			r.home().avoid(l.target.Task)
		}
		found := findingOf(err)
		for _, one := range lanes {
			if err == nil || found != nil {
				one.finding.Store(found)
			}
			if ok {
				one.draining.Store(true)
				one.leaving.Store(true)
				if gone.Over() && !one.doubted.Load() { // else its watch gives it up
					one.quit(gone)
				}
			}
		}
		r.reports <- report{patrol: true}
	}()
}

// findingOf reads from ECS's word on a task whether its agent is gone; nil when that is not certain. A task that is about to
// stop may serve to the end, and an agent that starts anew leaves its sessions alone: each has a process of its own.
func findingOf(err error) *finding {
	if e, ok := errors.AsType[*aws.TaskGoneError](err); ok {
		if e.Over() || e.Status == "RUNNING" { // its container was restarted
			return &finding{at: time.Now(), err: err, over: true}
		}
	}
	if e, ok := errors.AsType[*aws.NotReadyError](err); ok {
		switch e.Cause { //nolint:exhaustive // the others are of agents that may be well
		case aws.CauseAgentStopped, aws.CauseAgentMissing, aws.CauseNotStarted:
			return &finding{at: time.Now(), err: err}
		}
	}
	return nil
}
