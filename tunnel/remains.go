package tunnel

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"culvert/aws"
)

const (
	// mostRemains is how many sessions that could not be terminated are tried again. Of more sessions, those that were over first
	// are left to the idle timeout of their account, which ends them first as well.
	mostRemains = 200
	// endAtOnce is how many sessions are terminated at the same time when the engine closes.
	endAtOnce = 8
)

// remains are the sessions of an engine that could not be terminated when they were over, as TerminateSession failed. It is
// called again until it succeeds, and once more when the engine closes. Its methods are safe for concurrent use.
type remains struct {
	log     *slog.Logger
	journal *Journal

	mu     sync.Mutex
	all    []*remain          // in the order in which they are tried: one that has failed goes to the end
	count  uint64             // sessions that were left so far
	stop   context.CancelFunc // ends the goroutine of try; nil while there is none
	closed bool
	trying sync.WaitGroup
}

// remain is one session that could not be terminated.
type remain struct {
	*UnendedError

	client *aws.Client
	number uint64 // in the order in which sessions were left
}

// leave takes a session that could not be terminated, and has it be tried again.
func (r *remains) leave(client *aws.Client, session string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	r.all = append(r.all, &remain{UnendedError: unended(client, session, err), client: client, number: r.count})
	if len(r.all) > mostRemains {
		r.remove(slices.MinFunc(r.all, func(a, b *remain) int { return cmp.Compare(a.number, b.number) }))
	}
	if r.stop == nil && !r.closed {
		var ctx context.Context
		ctx, r.stop = context.WithCancel(context.Background())
		r.trying.Go(func() { r.try(ctx) })
	}
}

// list returns the sessions that are left.
func (r *remains) list() []*UnendedError {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*UnendedError
	for _, one := range r.all {
		all = append(all, one.UnendedError)
	}
	return all
}

// try terminates the sessions one after the other until none is left or ctx ends, with a rest after each failure. A session that
// could not be terminated comes after the others the next time: it may be the only one for which the call is denied.
func (r *remains) try(ctx context.Context) {
	rest := newRetry()
	for {
		select {
		case <-time.After(rest.NextBackOff()):
		case <-ctx.Done():
			return
		}
		for {
			one := r.first()
			if one == nil {
				return
			}
			if !r.end(ctx, one) {
				break
			}
			rest.Reset()
		}
	}
}

// first returns the next session to try; nil when none is left, and then try has to end.
func (r *remains) first() *remain {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		r.stop()
		r.stop = nil
		return nil
	}
	return r.all[0]
}

// end tries to terminate one session, and reports whether that succeeded.
func (r *remains) end(ctx context.Context, one *remain) bool {
	ctx, cancel := context.WithTimeout(ctx, terminateWithin)
	defer cancel()
	err := one.client.TerminateSession(ctx, one.Session)
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.remove(one)
	if err != nil {
		if kept {
			r.all = append(r.all, one)
		}
		return false
	}
	r.log.Info("session terminated, late", "session", one.Session)
	r.journal.remove(one.Session)
	return true
}

// remove takes a session out, and reports whether it was there. r.mu is held.
func (r *remains) remove(one *remain) bool {
	at := slices.Index(r.all, one)
	if at < 0 {
		return false
	}
	r.all = slices.Delete(r.all, at, at+1)
	return true
}

// close ends try and makes a last attempt with each session that is left, and another when the tunnels have ended, for which until
// waits: what a tunnel leaves then it has tried in vain for seconds, and the API may answer by now.
func (r *remains) close(ctx context.Context, until func()) {
	r.mu.Lock()
	r.closed = true
	if r.stop != nil {
		r.stop()
	}
	r.mu.Unlock()
	r.trying.Wait()
	r.last(ctx)
	until()
	r.last(ctx)
}

// last makes one attempt with each session that is left now, all at once.
func (r *remains) last(ctx context.Context) {
	r.mu.Lock()
	all := slices.Clone(r.all)
	r.mu.Unlock()
	var work sync.WaitGroup
	for share := range slices.Chunk(all, max(1, (len(all)+endAtOnce-1)/endAtOnce)) {
		work.Go(func() {
			for _, one := range share {
				if ctx.Err() == nil {
					r.end(ctx, one)
				}
			}
		})
	}
	work.Wait()
}
