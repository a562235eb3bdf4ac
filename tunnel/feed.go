package tunnel

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// feed hands events to any number of watchers: in order and without ever waiting for one of them. No change of state is
// lost; of ended connections, which may be thousands in a second, the newest wait for a watcher and the others are counted.
type feed struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
	closed   bool
	pending  sync.WaitGroup
}

// maxEnded is how many ended connections of each tunnel wait for a watcher.
const maxEnded = 1000

// watcher is the queue of one reader. That of states grows while the reader is away: they are few.
type watcher struct {
	mu     sync.Mutex
	count  uint64
	states []queued
	ended  map[ID]*endings
	closed bool
	change chan struct{}
}

// queued is an event with its place in the order of all.
type queued struct {
	Event

	number uint64
}

// endings are the last connections of a tunnel that have ended.
type endings struct {
	last   []queued
	missed Missed
}

func (w *watcher) add(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	q := queued{e, w.count}
	if e.Ended == nil {
		w.states = append(w.states, q)
		return
	}
	of := w.ended[e.Tunnel]
	if of == nil {
		of = &endings{}
		w.ended[e.Tunnel] = of
	}
	if len(of.last) == maxEnded {
		of.missed.add(of.last[0].Ended)
		of.last[0].Ended = nil
		of.last = of.last[1:]
	}
	of.last = append(of.last, q)
}

// take empties the queue, in the order in which the events came.
func (w *watcher) take() (events []Event, closed bool) {
	w.mu.Lock()
	all := w.states
	for _, of := range w.ended {
		of.last[0].Missed = of.missed
		all = append(all, of.last...)
	}
	w.states = nil
	clear(w.ended)
	closed = w.closed
	w.mu.Unlock()
	slices.SortFunc(all, func(a, b queued) int { return cmp.Compare(a.number, b.number) })
	for _, q := range all {
		events = append(events, q.Event)
	}
	return events, closed
}

func (f *feed) publish(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		w.add(e)
		w.signal()
	}
}

func (w *watcher) signal() {
	select {
	case w.change <- struct{}{}:
	default:
	}
}

// watch returns a channel of the events from now on; it is closed when ctx ends, or after the last event once the feed
// is closed.
func (f *feed) watch(ctx context.Context) <-chan Event {
	w := &watcher{change: make(chan struct{}, 1), ended: make(map[ID]*endings)}
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
			queue, closed := w.take()
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
