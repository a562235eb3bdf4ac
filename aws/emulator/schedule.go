package emulator

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// schedule runs functions later, one after the other, in the order they are due, on one goroutine.
type schedule struct {
	mu      sync.Mutex
	due     appointments
	count   int
	nudge   chan struct{}
	stop    context.CancelFunc
	running sync.WaitGroup
}

type appointment struct {
	at    time.Time
	order int // of two at the same time, the first made goes first
	run   func()
}

func newSchedule(ctx context.Context) *schedule {
	ctx, stop := context.WithCancel(ctx)
	s := &schedule{nudge: make(chan struct{}, 1), stop: stop}
	s.running.Go(func() { s.run(ctx) })
	return s
}

// after calls run once d has passed, unless the schedule was closed before.
func (s *schedule) after(d time.Duration, run func()) {
	s.mu.Lock()
	s.count++
	heap.Push(&s.due, appointment{at: time.Now().Add(d), order: s.count, run: run})
	s.mu.Unlock()
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

func (s *schedule) close() {
	s.stop()
	s.running.Wait()
}

func (s *schedule) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, wait := s.next()
		if next != nil {
			next()
			if ctx.Err() != nil {
				return
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-s.nudge:
		case <-timer.C:
		}
	}
}

// next takes what is due, or says how long there is to wait.
func (s *schedule) next() (run func(), wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(s.due[0].at); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&s.due).(appointment).run, 0 //nolint:forcetypeassert // the heap holds nothing else
}

// appointments is a heap by time.
type appointments []appointment

func (a appointments) Len() int { return len(a) }
func (a appointments) Less(i, j int) bool {
	if a[i].at.Equal(a[j].at) {
		return a[i].order < a[j].order
	}
	return a[i].at.Before(a[j].at)
}
func (a appointments) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *appointments) Push(x any)   { *a = append(*a, x.(appointment)) } //nolint:forcetypeassert // see next
func (a *appointments) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}
