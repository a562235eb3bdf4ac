package tunnel

import (
	"context"
	"sync"
)

// feed hands what is published to any number of watchers, in order. publish never waits for a watcher. Its methods are safe for
// concurrent use.
type feed[T any] struct {
	queue func() queue[T] // makes the queue of a new watcher

	mu       sync.Mutex
	watchers map[*watcher[T]]struct{}
	closed   bool
	pending  sync.WaitGroup
}

// queue holds what a watcher has not taken yet. The watcher's lock guards it.
type queue[T any] interface {
	add(one T)
	take() []T // all there is, oldest first; the queue is empty then
}

// watcher is one reader of a feed, with its queue.
type watcher[T any] struct {
	mu     sync.Mutex
	queue  queue[T]
	closed bool
	change chan struct{} // capacity 1: wakes the reader, as queue or closed have changed
}

func newFeed[T any](q func() queue[T]) *feed[T] {
	return &feed[T]{queue: q, watchers: make(map[*watcher[T]]struct{})}
}

func (f *feed[T]) publish(one T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		w.mu.Lock()
		w.queue.add(one)
		w.mu.Unlock()
		w.signal()
	}
}

func (w *watcher[T]) signal() {
	select {
	case w.change <- struct{}{}:
	default:
	}
}

func (w *watcher[T]) take() (all []T, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.take(), w.closed
}

// watch returns a Go channel with all that is published from now on. It is closed when ctx ends, or once the feed is closed and
// all that was published before has been received.
func (f *feed[T]) watch(ctx context.Context) <-chan T {
	w := &watcher[T]{queue: f.queue(), change: make(chan struct{}, 1)}
	f.mu.Lock()
	f.watchers[w] = struct{}{}
	w.closed = f.closed
	f.pending.Add(1)
	f.mu.Unlock()
	out := make(chan T)
	go func() {
		defer f.pending.Done()
		defer close(out)
		defer f.drop(w)
		for {
			all, closed := w.take()
			for _, one := range all {
				select {
				case out <- one:
				case <-ctx.Done():
					return
				}
			}
			if closed && len(all) == 0 {
				return
			}
			if len(all) > 0 {
				continue
			}
			select {
			case <-w.change:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func (f *feed[T]) drop(w *watcher[T]) {
	f.mu.Lock()
	delete(f.watchers, w)
	f.mu.Unlock()
}

// close lets every watcher read what is queued and then end.
func (f *feed[T]) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for w := range f.watchers {
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.signal()
	}
}

// everything is a queue that loses nothing and has no bound: it grows as long as its reader takes nothing. It is for changes of
// state, of which a tunnel has a handful each time it opens or loses a session, and a tunnel to any host as many for each of its
// destinations; readers take them as they come.
type everything[T any] struct{ waiting []T }

func (q *everything[T]) add(one T) { q.waiting = append(q.waiting, one) }

func (q *everything[T]) take() []T {
	all := q.waiting
	q.waiting = nil
	return all
}
