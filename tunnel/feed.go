package tunnel

import (
	"context"
	"sync"
)

// feed hands events to any number of watchers: in order, without loss, and without ever waiting for one of them.
type feed struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
	closed   bool
	pending  sync.WaitGroup
}

// watcher is the queue of one reader. It grows while the reader is away: lifecycle steps are few.
type watcher struct {
	mu     sync.Mutex
	queue  []Event
	closed bool
	change chan struct{}
}

func (f *feed) publish(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		w.mu.Lock()
		w.queue = append(w.queue, e)
		w.mu.Unlock()
		w.signal()
	}
}

func (w *watcher) signal() {
	select {
	case w.change <- struct{}{}:
	default:
	}
}

// watch returns a channel of all events from now on; it is closed when ctx ends, or after the last event once the feed
// is closed.
func (f *feed) watch(ctx context.Context) <-chan Event {
	w := &watcher{change: make(chan struct{}, 1)}
	f.mu.Lock()
	if f.watchers == nil {
		f.watchers = make(map[*watcher]struct{})
	}
	f.watchers[w] = struct{}{}
	w.closed = f.closed
	f.pending.Add(1)
	f.mu.Unlock()
	events := make(chan Event)
	go func() {
		defer f.pending.Done()
		defer close(events)
		defer f.drop(w)
		for {
			w.mu.Lock()
			queue, closed := w.queue, w.closed
			w.queue = nil
			w.mu.Unlock()
			for _, e := range queue {
				select {
				case events <- e:
				case <-ctx.Done():
					return
				}
			}
			if closed && len(queue) == 0 {
				return
			}
			if len(queue) > 0 {
				continue
			}
			select {
			case <-w.change:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events
}

func (f *feed) drop(w *watcher) {
	f.mu.Lock()
	delete(f.watchers, w)
	f.mu.Unlock()
}

// close lets every watcher read what is queued and then end.
func (f *feed) close() {
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
