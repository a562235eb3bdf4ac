package tunnel

import (
	"context"
	"errors"
	"sync"
	"time"

	"culvert/aws"
)

const (
	// tasksFor is how old the list of tasks may be for a session to be opened without waiting for a newer list. If its task has
	// gone since, the session fails, and the next one waits for a newer list (tasksSoon). A list older than peersFor is renewed
	// meanwhile.
	tasksFor = 10 * time.Minute
	// tasksSoon is how old the list may be when a session was lost lately.
	tasksSoon = 2 * time.Second
)

// tasks is the list of tasks to which the sessions of a dynamic tunnel may lead. All destinations of the tunnel share it. Its
// methods are safe for concurrent use.
type tasks struct {
	pool *pool

	looking chan struct{} // capacity 1: holds a token while AWS is asked; a Go channel, as those that wait for it have to heed their ctx

	mu       sync.Mutex
	known    []aws.Target         // the list; nil before AWS was asked
	at       time.Time            // when the list came
	renewing bool                 // renew is at work
	given    bool                 // the task that the Spec names was given out, for the first session
	well     map[string]time.Time // when ECS has said of a task that it is meant to go on
}

// unknown reports whether ECS is to be asked about a task: it is not when the answer for any of the destinations is recent
// enough.
func (k *tasks) unknown(task string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return now.Sub(k.well[task]) >= k.pool.engine().patrolEvery/2
}

// checked notes what ECS has said of a task.
func (k *tasks) checked(task string, well bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.well == nil || len(k.well) > maxVerdicts {
		k.well = map[string]time.Time{}
	}
	delete(k.well, task)
	if well {
		k.well[task] = time.Now()
	}
}

// peers returns the tasks to which one more session may lead. It waits for AWS where the list is too old.
func (k *tasks) peers(ctx context.Context) ([]aws.Target, error) {
	spec := k.pool.tunnel.spec
	shunned := len(k.pool.tunnel.avoided()) > 0
	k.mu.Lock()
	known, age := k.known, time.Since(k.at)
	if known == nil && spec.Target.RuntimeID != "" && !k.given && !shunned {
		k.given = true // the first session does not wait for the list
		k.renew()
		k.mu.Unlock()
		return []aws.Target{spec.Target}, nil
	}
	switch {
	case known == nil, shunned && age > tasksSoon, age > tasksFor:
	default:
		if age > peersFor {
			k.renew()
		}
		k.mu.Unlock()
		return known, nil
	}
	k.mu.Unlock()
	asked := time.Now()
	select {
	case k.looking <- struct{}{}:
		defer func() { <-k.looking }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	k.mu.Lock()
	if k.at.After(asked) { // somebody else has asked meanwhile
		defer k.mu.Unlock()
		return k.known, nil
	}
	k.mu.Unlock()
	return k.ask(ctx)
}

// renew asks for a new list in the background. k.mu is held.
func (k *tasks) renew() {
	if k.renewing {
		return
	}
	k.renewing = true
	k.pool.running.Go(func() {
		k.looking <- struct{}{} // this wait ends with the tunnel, as calls of whoever has put in the token do
		_, err := k.ask(k.pool.tunnel.ctx)
		<-k.looking
		if err != nil && !errors.Is(err, context.Canceled) {
			k.pool.tunnel.log.Debug("the service's tasks could not be looked up anew", "error", err)
		}
		k.mu.Lock()
		k.renewing = false
		k.mu.Unlock()
	})
}

// ask looks the tasks up. The caller has put a token into k.looking.
func (k *tasks) ask(ctx context.Context) ([]aws.Target, error) {
	spec := k.pool.tunnel.spec
	var found []aws.Target
	var err error
	switch {
	case spec.Pinned:
		found, err = single(spec.Client.Again(ctx, spec.Target))
	case spec.Target.Service == "":
		found, err = single(spec.Client.Successor(ctx, spec.Target))
	default:
		found, err = spec.Client.Peers(ctx, spec.Target, 0)
	}
	if err != nil && spec.Target.RuntimeID != "" && denied(err) {
		found, err = []aws.Target{spec.Target}, nil // culvert may not look for another task
	}
	if err != nil {
		return nil, err
	}
	if spec.OneTask || k.pool.engine().options.OneTask {
		found = k.pool.sameTask(found)
	}
	k.mu.Lock()
	k.known, k.at = found, time.Now()
	k.mu.Unlock()
	return found, nil
}

func single(t aws.Target, err error) ([]aws.Target, error) {
	if err != nil {
		return nil, err
	}
	return []aws.Target{t}, nil
}

// sameTask returns the one of some tasks that has sessions already, else the first; shunned ones only where there is no other.
func (p *pool) sameTask(found []aws.Target) []aws.Target {
	shunned := p.tunnel.avoided()
	for _, t := range found {
		if p.seats.holds(t.Task) && !shunned[t.Task] {
			return []aws.Target{t}
		}
	}
	for _, t := range found {
		if !shunned[t.Task] {
			return []aws.Target{t}
		}
	}
	return found[:1]
}

// holds reports whether any seat on a task is taken.
func (s *seats) holds(task string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.on[task] > 0
}

// avoided returns the tasks on which a session was lost within shunnedFor, or which are going away.
func (t *Tunnel) avoided() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	shunned := map[string]bool{}
	for task, at := range t.shunned {
		if time.Since(at) < shunnedFor {
			shunned[task] = true
		} else {
			delete(t.shunned, task)
		}
	}
	return shunned
}

// avoid notes that a session to a task was lost, or will be as the task is going away.
func (t *Tunnel) avoid(task string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shunned == nil {
		t.shunned = map[string]time.Time{}
	}
	t.shunned[task] = time.Now()
}
