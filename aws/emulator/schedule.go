package emulator

import (
	"context"
	"slices"
	"sync"
	"time"
)

// schedule runs functions later, one after the other, in the order in which they are due, on one goroutine.
type schedule struct {
	mu      sync.Mutex
	due     []appointment // soonest first
	nudge   chan struct{}
	stop    context.CancelFunc
	running sync.WaitGroup
}

type appointment struct {
	at  time.Time
	run func()
}

func newSchedule(ctx context.Context) *schedule {
	ctx, stop := context.WithCancel(ctx)
	s := &schedule{nudge: make(chan struct{}, 1), stop: stop}
	s.running.Go(func() { s.run(ctx) })
	return s
}

// after calls run once d has passed, unless the schedule is closed before. Of two functions that are due at the same time, the
// one that was added first runs first.
func (s *schedule) after(d time.Duration, run func()) {
	at := time.Now().Add(d)
	s.mu.Lock()
	place := len(s.due)
	for place > 0 && s.due[place-1].at.After(at) {
		place--
	}
	s.due = slices.Insert(s.due, place, appointment{at: at, run: run})
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
	for ctx.Err() == nil {
		next, wait := s.next()
		if next != nil {
			next()
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-s.nudge:
		case <-timer.C:
		}
	}
}

// next takes a function that is due, or says how long to wait for one.
func (s *schedule) next() (run func(), wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(s.due[0].at); wait > 0 {
		return nil, wait
	}
	run = s.due[0].run
	s.due = slices.Delete(s.due, 0, 1)
	return run, 0
}
