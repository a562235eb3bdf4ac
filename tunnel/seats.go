package tunnel

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"culvert/aws"
)

const (
	// sessionsEach is how many sessions of a dynamic tunnel a task carries at the most. Each is a process in its container that
	// takes 10 MB which it does not share with others.
	sessionsEach = 12
	// turnFor is how long the start of one session holds up the start of the next one to the same task at the most.
	turnFor = 5 * time.Second
	// failedRest is how long the next start of a session to a task waits after one that failed. Dozens may wait, and mostly all
	// of them would fail for the same cause.
	failedRest = 500 * time.Millisecond
)

// errNoSeat is why a session does not begin that a destination wanted besides another one: there was no free seat for it.
var errNoSeat = errors.New("the tunnel has as many sessions as it may have")

// seats shares out the sessions that a dynamic tunnel may have: most of them in all, and each of them on any one task. As an
// agent takes in one session after the other (protocol.md 8), a session to a task begins only when the agent has taken in the one
// before it; several tasks can take in sessions at the same time. Its methods are safe for concurrent use.
type seats struct {
	most, each int
	room       func(n int, tasks []string) // has n sessions end, on these tasks or, without any named, on any task. Called without mu

	mu      sync.Mutex
	taken   int                      // seats that are taken, on all tasks
	on      map[string]int           // seats that are taken, by task
	turns   map[string]chan struct{} // by task, capacity 1: holds a token while a session to the task begins
	queue   []*applicant             // first come, first served
	changed chan struct{}            // closed and replaced when a seat may be free
}

// applicant is a session that waits for its seat.
type applicant struct{ tasks []string }

// seat is the right of one session to exist, and the slot (turn) in which it starts.
type seat struct {
	of    *seats
	task  string
	turn  chan struct{}
	timer *time.Timer
	begun sync.Once // done when the turn is over
	left  sync.Once // done when the seat is given back
}

func newSeats(most int, room func(int, []string)) *seats {
	return &seats{most: most, each: sessionsEach, room: room, on: map[string]int{}, turns: map[string]chan struct{}{}, changed: make(chan struct{})}
}

// free is how many more sessions there may be without one ending.
func (s *seats) free() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, s.most-s.taken-len(s.queue))
}

// take waits for a seat on that one of the peers whose task has the fewest sessions, and then for the session's turn there. A
// session that is not needed gets its seat at once or errNoSeat. Shunned tasks are considered only where there are no others.
func (s *seats) take(ctx context.Context, peers []aws.Target, shunned map[string]bool, needed bool) (aws.Target, *seat, error) {
	if better := slices.DeleteFunc(slices.Clone(peers), func(t aws.Target) bool { return shunned[t.Task] }); len(better) > 0 {
		peers = better
	}
	a := &applicant{}
	for _, t := range peers {
		a.tasks = append(a.tasks, t.Task)
	}
	s.mu.Lock()
	if !needed && len(s.queue) > 0 {
		s.mu.Unlock()
		return aws.Target{}, nil, errNoSeat
	}
	s.queue = append(s.queue, a)
	s.mu.Unlock()
	for {
		s.mu.Lock()
		if target, ok := s.pick(a, peers); ok {
			got := s.sit(a, target.Task)
			s.mu.Unlock()
			if err := got.wait(ctx); err != nil {
				return aws.Target{}, nil, err
			}
			return target, got, nil
		}
		if !needed {
			s.drop(a)
			s.mu.Unlock()
			return aws.Target{}, nil, errNoSeat
		}
		changed := s.changed
		n, tasks := s.short(a)
		s.mu.Unlock()
		if n > 0 {
			s.room(n, tasks)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.mu.Lock()
			s.drop(a)
			s.mu.Unlock()
			return aws.Target{}, nil, context.Cause(ctx)
		}
	}
}

// pick chooses the task for an applicant. It reports false while the applicant is not the first in the queue or there is no free
// seat for it. s.mu is held.
func (s *seats) pick(a *applicant, peers []aws.Target) (aws.Target, bool) {
	if s.taken >= s.most || s.queue[0] != a {
		return aws.Target{}, false
	}
	able := slices.DeleteFunc(slices.Clone(peers), func(t aws.Target) bool { return s.on[t.Task] >= s.each })
	if len(able) == 0 {
		return aws.Target{}, false
	}
	least := slices.MinFunc(able, func(a, b aws.Target) int { return s.on[a.Task] - s.on[b.Task] })
	able = slices.DeleteFunc(able, func(t aws.Target) bool { return s.on[t.Task] > s.on[least.Task] })
	return able[rand.IntN(len(able))], true //nolint:gosec // not a secret
}

// short is how many sessions have to end for all applicants to get seats, and on which tasks; no tasks means on any. s.mu is
// held.
func (s *seats) short(a *applicant) (n int, tasks []string) {
	left := 0
	for _, task := range a.tasks {
		left += max(0, s.each-s.on[task])
	}
	if s.most-s.taken <= left {
		return len(s.queue) - (s.most - s.taken), nil
	}
	return len(s.queue) - left, a.tasks
}

// sit gives an applicant its seat on a task. s.mu is held.
func (s *seats) sit(a *applicant, task string) *seat {
	s.drop(a)
	s.taken++
	s.on[task]++
	turn := s.turns[task]
	if turn == nil {
		turn = make(chan struct{}, 1)
		s.turns[task] = turn
	}
	return &seat{of: s, task: task, turn: turn}
}

// drop takes an applicant out of the queue, and wakes the others. s.mu is held.
func (s *seats) drop(a *applicant) {
	s.queue = slices.DeleteFunc(s.queue, func(other *applicant) bool { return other == a })
	s.wake()
}

// wake has all applicants look again whether there is a seat for them. s.mu is held.
func (s *seats) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// look wakes the applicants, as by now a destination may be unused whose session can be ended for them.
func (s *seats) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 {
		s.wake()
	}
}

// waiting is how many applicants wait for a seat.
func (s *seats) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// wait waits for the turn of a session that has got its seat. When ctx ends first, the seat is given back.
func (s *seat) wait(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		s.timer = time.AfterFunc(turnFor, s.began)
		return nil
	case <-ctx.Done():
		s.begun.Do(func() {}) // the session has no turn that began could give back
		s.leave(true)
		return context.Cause(ctx)
	}
}

// began ends the session's turn, as its agent serves it, or never will: the next session to the same task may start. s is nil for
// a session of a tunnel that is not dynamic, as in leave.
func (s *seat) began() {
	if s != nil {
		s.begun.Do(func() { <-s.turn })
	}
}

// leave gives the seat back when the session is over. A session that never began holds up the next one for failedRest.
func (s *seat) leave(began bool) {
	if s == nil {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	if began || s.timer == nil {
		s.began()
	} else {
		time.AfterFunc(failedRest, s.began)
	}
	s.left.Do(func() {
		s.of.mu.Lock()
		defer s.of.mu.Unlock()
		s.of.taken--
		if s.of.on[s.task]--; s.of.on[s.task] == 0 {
			delete(s.of.on, s.task)
		}
		for task, turn := range s.of.turns { // a turn that a session has, or waits for, is one on a task with seats taken: it stays
			if s.of.on[task] == 0 && len(turn) == 0 {
				delete(s.of.turns, task)
			}
		}
		s.of.wake()
	})
}
