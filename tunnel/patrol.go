package tunnel

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"culvert/aws"
)

const (
	// patrolEvery is about how often a tunnel asks ECS whether its task is meant to go on. All tunnels of an account and
	// region share 20 reads a second with everybody else (docs/capacity.md), so it is long: an agent whose task stops says
	// so by itself, and only one that went silently is found by asking.
	patrolEvery = 2 * time.Minute
	// patrolSoon is how soon it asks while a session acknowledges nothing.
	patrolSoon = 5 * time.Second
)

// beat says when a tunnel is to ask again: each at times of its own, so that tunnels which began in one moment do not go
// on in step.
type beat struct {
	every time.Duration
	last  time.Time
	next  time.Duration // after last
}

func newBeat(every time.Duration, now time.Time) beat {
	return beat{every: every, last: now, next: jittered(every)}
}

// due reports whether it is time, and begins the next period if so.
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

// patrol asks ECS whether a lane's task is meant to go on. One that is stopping gets no new connections, and the next
// task is opened while the old one still serves; the connections of one that has stopped cannot be saved.
func (r *runner) patrol(l *lane) {
	r.running++
	go func() {
		ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
		defer cancel()
		err := r.spec.Client.Check(ctx, l.target)
		if gone, ok := errors.AsType[*aws.TaskGoneError](err); ok {
			r.log.Info("task is going away, opening a session to another one", "task", l.target.Task, "error", err)
			l.draining.Store(true)
			l.leaving.Store(true)
			if gone.Over() {
				l.quit(gone)
			}
		}
		r.steps <- step{patrol: true}
	}()
}
