package headless

import (
	"context"
	"errors"
	"sync"
	"time"

	"culvert/aws"
)

// Errand starts what one tunnel of another face leads to, and stops it when that face says so. Its methods are safe for
// concurrent use, Find is called once.
type Errand struct {
	*OnDemand

	Wait time.Duration // until it can carry a session

	ending sync.Mutex
	ended  bool
}

// Find starts what is wanted, and finds a container there once it can carry a session. What is waited for is told, each
// thing once; tell is also called later, with what goes wrong beside.
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

// End stops what was started, or may have been, and tells what that was. It returns when that is done, which it is once;
// ctx may be over already.
func (e *Errand) End(ctx context.Context, tell func(string)) error {
	e.ending.Lock()
	defer e.ending.Unlock()
	if e.ended {
		return nil
	}
	e.ended = true
	return e.end(ctx, &notices{tell: tell})
}

// Over explains the loss of the tunnel by the end of its task's time, when that is what it was.
func (e *Errand) Over(err error) error {
	if err == nil || !e.isOver() {
		return err
	}
	return &TimeOverError{TTL: e.Order.TTL, Err: err}
}
