package headless

import (
	"context"
	"errors"
	"sync"
	"time"

	"culvert/aws"
)

// Errand starts the task or service that one tunnel of another face leads to, and stops it when that face says so. Its methods
// are safe for concurrent use; Find is called once.
type Errand struct {
	*OnDemand

	Wait time.Duration // how long Find waits for the container to be ready for a session

	ending sync.Mutex
	ended  bool
}

// Find starts the task or service, and returns a container of it once that is ready for a session. tell gets what Find waits
// for, each thing once, and later, until End, what goes wrong with the task's upkeep.
func (e *Errand) Find(ctx context.Context, client *aws.Client, q aws.Query, tell func(string)) (aws.Target, error) {
	waiting, cancel := context.WithTimeout(ctx, e.Wait)
	defer cancel()
	n := &notices{tell: tell}
	task, err := e.begin(waiting, client, n)
	var found aws.Target
	if err == nil {
		if task != "" {
			q.Service, q.Family, q.Task = "", "", task
		}
		found, err = findStarted(waiting, client, q, n)
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = &UnreadyError{Forward: "to " + e.subject(), Wait: e.Wait, Err: err}
	}
	return found, err
}

// End stops what Find has started, or may have started, and tells what that was. It returns when that is done; only the first
// call does it. ctx may be over already.
func (e *Errand) End(ctx context.Context, tell func(string)) error {
	e.ending.Lock()
	defer e.ending.Unlock()
	if e.ended {
		return nil
	}
	e.ended = true
	return e.end(ctx, &notices{tell: tell})
}

// Over explains the loss of a tunnel by the end of its task's time, when that is the cause.
func (e *Errand) Over(err error) error {
	if err == nil || !e.isOver() {
		return err
	}
	return &TimeOverError{TTL: e.Order.TTL, Err: err}
}
