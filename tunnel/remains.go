package tunnel

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"culvert/aws"
)

const (
	// mostRemains is how many sessions are kept in mind that could not be terminated; of more the oldest are left to the idle
	// timeout of their account.
	mostRemains = 200
	// endAtOnce is how many of them are terminated at the same time when the engine closes.
	endAtOnce = 8
)

// remains are the sessions of an engine that could not be terminated when they were over, as the API gave no answer. They are
// tried again until it does, and once more when the engine closes.
type remains struct {
	log     *slog.Logger
	journal *Journal

	mu     sync.Mutex
	all    []*remain          // the one that was tried the longest ago comes first
	stop   context.CancelFunc // of the tries; nil while there are none
	closed bool
	trying sync.WaitGroup
}

// remain is one of them.
type remain struct {
	*UnendedError

	client *aws.Client
}

// leave takes a session in, and begins to try.
func (r *remains) leave(client *aws.Client, session string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, &remain{UnendedError: unended(client, session, err), client: client})
	if len(r.all) > mostRemains {
		r.all = slices.Delete(r.all, 0, len(r.all)-mostRemains)
	}
	if r.stop == nil && !r.closed {
		var ctx context.Context
		ctx, r.stop = context.WithCancel(context.Background())
		r.trying.Go(func() { r.try(ctx) })
	}
}

// list are those that are left.
func (r *remains) list() []*UnendedError {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*UnendedError
	for _, one := range r.all {
		all = append(all, one.UnendedError)
	}
	return all
}

// try terminates one after the other until none is left or ctx ends. One that cannot be terminated comes after the others the next
// time: it may be the only one that is denied.
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

// first is the next one to try. Without one the tries are over.
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

// end terminates one, and reports whether it is over.
func (r *remains) end(ctx context.Context, one *remain) bool {
	ctx, cancel := context.WithTimeout(ctx, terminateWithin)
	defer cancel()
	err := one.client.TerminateSession(ctx, one.Session)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = slices.DeleteFunc(r.all, func(other *remain) bool { return other == one })
	if err != nil {
		r.all = append(r.all, one)
		return false
	}
	r.log.Info("session terminated, late", "session", one.Session)
	r.journal.remove(one.Session)
	return true
}

// close ends the tries and makes a last one of all that are left, and again when the tunnels have ended, for which until waits: what a
// tunnel leaves then it has tried in vain for seconds, and the API may have come to answer meanwhile.
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

// last tries all that are left now once.
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
