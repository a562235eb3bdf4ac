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
	// patrolEvery is about how often a tunnel asks ECS whether its task is meant to go on. It is long, as all tunnels of an
	// account and region share 20 reads a second with every other caller (docs/capacity.md), and only an agent that went silently
	// needs asking: one whose task stops says so by itself.
	patrolEvery = 2 * time.Minute
	// patrolSoon is how often a tunnel asks while the agent of one of its sessions owes an acknowledge.
	patrolSoon = 5 * time.Second
	// patrolRest is the least time between two questions to ECS about the same task.
	patrolRest = 4 * time.Second
)

// beat says when a tunnel is to ask again. The periods are random, so that tunnels which began at the same moment do not go on
// asking at the same moments.
type beat struct {
	every time.Duration // about the length of a period
	last  time.Time     // when the present period began
	next  time.Duration // how long the present period is
}

func newBeat(every time.Duration, now time.Time) beat {
	return beat{every: every, last: now, next: jittered(every)}
}

// due reports whether it is time to ask, and begins the next period if so. For a worried tunnel a period is patrolSoon at the
// most.
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

// jittered returns a random duration between three and five quarters of d.
func jittered(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1) //nolint:gosec // not a secret
}

// finding means that ECS says that an agent which does not answer is gone, or may be.
type finding struct {
	at   time.Time // when ECS said so
	err  error     // what ECS said
	over bool      // the agent's container is gone
}

// suspect is patrol for a lane whose agent owes an answer, unless the tunnel ends.
func (r *runner) suspect(l *lane) {
	if r.ctx.Err() == nil {
		r.patrol(l)
	}
}

// patrol asks ECS whether a lane's task is meant to go on, unless it was asked within patrolRest. The answer holds for all lanes
// to the same container. When the task is stopping these lanes get no new connections, and a session to another task is opened
// while they still serve theirs; when the task has stopped they end, as their connections cannot be saved.
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
				if gone.Over() && !one.doubted.Load() { // a lane whose agent is in doubt is given up by its own watch
					one.quit(gone)
				}
			}
		}
		r.reports <- report{patrol: true}
	}()
}

// findingOf returns what ECS's answer about a task says against its agent; nil when the agent may be well. A task that is about
// to stop may serve until it does, and an agent that is started anew leaves its sessions alone: each has a process of its own.
func findingOf(err error) *finding {
	if e, ok := errors.AsType[*aws.TaskGoneError](err); ok {
		if e.Over() || e.Status == "RUNNING" { // gone although the task runs: its container was restarted
			return &finding{at: time.Now(), err: err, over: true}
		}
	}
	if e, ok := errors.AsType[*aws.NotReadyError](err); ok {
		switch e.Cause { //nolint:exhaustive // with the other causes the agent may be well
		case aws.CauseAgentStopped, aws.CauseAgentMissing, aws.CauseNotStarted:
			return &finding{at: time.Now(), err: err}
		}
	}
	return nil
}
