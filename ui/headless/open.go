package headless

import (
	"context"
	"errors"
	"sync"

	"culvert/aws"
)

// open finds the targets, all at once, and then opens the tunnels in the order of the forwards.
func (r *run) open(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	targets, errs := make([]aws.Target, len(r.Forwards)), make([]error, len(r.Forwards))
	var finders sync.WaitGroup
	for i, f := range r.Forwards {
		finders.Go(func() {
			if targets[i], errs[i] = find(waiting, r.Client, f.Query, r.notices); errs[i] != nil {
				cancel() // one that cannot be found ends the others
			}
		})
	}
	finders.Wait()
	if err := r.notFound(ctx, errs); err != nil {
		return err
	}
	for i, f := range r.Forwards {
		f.Spec.Target, f.Spec.Pinned = targets[i], f.Query.Task != ""
		opened, err := r.Engine.Open(f.Spec) //nolint:contextcheck // a tunnel lives until the engine is closed
		if err != nil {
			return err
		}
		t := &tracked{Tunnel: opened, target: targets[i], probe: f.Probe}
		r.tunnels = append(r.tunnels, t)
		r.Board.opened(t)
	}
	return nil
}

// notFound picks the error to report among those of the finders: not one that only says that it was called off.
func (r *run) notFound(ctx context.Context, errs []error) error {
	if ctx.Err() != nil {
		return &StoppedError{Doing: "looking for the target", Cause: context.Cause(ctx)}
	}
	var late error
	for i, err := range errs {
		switch {
		case err == nil, errors.Is(err, context.Canceled):
		case errors.Is(err, context.DeadlineExceeded):
			late = &UnreadyError{Forward: r.Forwards[i].Spec.Remote.String(), Wait: r.Wait, Err: err}
		default:
			return err
		}
	}
	return late
}
