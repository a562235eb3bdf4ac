package headless

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"culvert/aws"
	"culvert/tunnel"
)

// look begins to look for the targets, for each account in a goroutine of its own that sends its result to r.found.
func (r *run) look(ctx context.Context) {
	for range r.Forwards {
		r.ids = append(r.ids, r.Engine.Reserve())
	}
	for _, g := range r.groups() {
		r.pending = append(r.pending, g.account)
		r.probes.Go(func() {
			f := r.lookFor(ctx, g)
			select {
			case r.found <- f:
			case <-ctx.Done():
			}
		})
	}
}

// lookFor finds the targets of all forwards of an account, at the same time.
func (r *run) lookFor(ctx context.Context, g group) found {
	f := found{group: g, client: r.Client, targets: make([]aws.Target, len(g.forwards))}
	waiting, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	if g.account != nil {
		if f.client, f.err = g.account.Connect(waiting); f.err != nil {
			f.err = r.notFound(g, []error{f.err})
			return f
		}
	}
	look, task := find, ""
	if r.OnDemand != nil {
		if task, f.err = r.OnDemand.begin(waiting, f.client, r.notices); f.err != nil {
			f.err = r.notFound(g, []error{f.err})
			return f
		}
		look, f.started = findStarted, task != ""
	}
	r.probes.Go(func() { tunnel.OpenAhead(ctx, f.client) })
	for _, n := range g.forwards {
		wanted := r.Forwards[n]
		if task != "" {
			wanted.Query.Task = task
		}
		f.whole = append(f.whole, wanted)
	}
	errs := r.aim(waiting, f.client, f.whole)
	if anyError(errs) {
		f.err = r.notFound(g, errs)
		return f
	}
	var finders sync.WaitGroup
	for i, wanted := range f.whole {
		finders.Go(func() {
			if f.targets[i], errs[i] = look(waiting, f.client, wanted.Query, r.notices); errs[i] != nil {
				cancel() // a target that cannot be found ends the search for the others
				return
			}
			to := wanted.Spec
			to.Target, to.Client = f.targets[i], f.client
			if errs[i] = r.Engine.SeekRelay(waiting, &to); errs[i] != nil {
				cancel()
			}
			f.whole[i].Spec.Relay = to.Relay
		})
	}
	finders.Wait()
	f.err = r.notFound(g, errs)
	return f
}

// replacedRemedy says which port was taken instead of one in use, and how to insist on that one.
func replacedRemedy(t *tracked) string {
	port := t.Spec().Remote.Port
	if to := t.Spec().To; to != "" {
		return fmt.Sprintf("use the port that is listened on, or write %d:%s where it must be that one", port, to)
	}
	return fmt.Sprintf("use the port that is listened on, or write %d:%d where it must be that one", port, port)
}

// open opens the tunnels of an account in the order of the forwards.
func (r *run) open(f found) error {
	r.pending = slices.DeleteFunc(r.pending, func(a *Account) bool { return a == f.account })
	if f.err != nil {
		return r.miss(f.group, f.err)
	}
	for i, n := range f.forwards {
		forward := f.whole[i]
		forward.Spec.Target, forward.Spec.Client, forward.Spec.ID = f.targets[i], f.client, r.ids[n]
		forward.Spec.Pinned = forward.Query.Task != "" || f.started
		opened, err := r.Engine.Open(forward.Spec)
		if err != nil {
			return err
		}
		t := &tracked{Tunnel: opened, target: f.targets[i], forward: forward}
		r.tunnels = append(r.tunnels, t)
		r.Board.opened(t)
		if taken := opened.Replaced(); taken != nil && !forward.AnyPort {
			warning := taken.Error() + ": listening on " + t.local()
			r.notices.say("warning: " + warning)
			r.GitHub.Warn(warning, replacedRemedy(t))
		}
	}
	slices.SortFunc(r.tunnels, func(a, b *tracked) int { return cmp.Compare(a.ID(), b.ID()) })
	return nil
}
