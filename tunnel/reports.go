package tunnel

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"culvert/aws"
)

// idleAtLeast is about the shortest idle timeout that an account can set for sessions. A session that the service closes after so
// long without stream data is taken to have run into that timeout.
const idleAtLeast = 55 * time.Second

// unresolvedRest is the least time between two sessions to a host that the task cannot resolve. Only another session can find out
// whether it can by now, and each one starts a process in the task.
const unresolvedRest = 5 * time.Second

// seatAgain is the least time between two sessions that a destination would like to have beside those it has, when there was no seat
// for the first one.
const seatAgain = time.Second

// report is what a goroutine of a lane, or one that asks about a lane, tells the run of its tunnel, which takes one report after
// the other.
type report struct {
	lane   *lane
	ended  bool  // the lane is over, err says why
	patrol bool  // a goroutine of patrol, inquire or inquireRoom has ended; lane is nil
	silent bool  // the lane's agent owes an answer: ECS is to be asked about its task
	tried  bool  // the lane's trial is over, err says how
	err    error // else why a socket was lost; nil for none

	inquired bool     // the goroutine was that of inquireRoom
	room     aws.Room // its answer; zero when the room is not known
}

// take acts on a report.
func (r *runner) take(s report) {
	if s.patrol {
		r.running--
		if s.inquired {
			r.answered, r.affords = true, s.room
		}
		return
	}
	if s.silent {
		r.suspect(s.lane)
		return
	}
	if s.tried {
		r.running--
		r.judge(s.lane, s.err)
		return
	}
	if s.lane.taken() {
		s.lane.seat.began()
	}
	if !s.ended && s.lane == r.trial {
		if s.lane.open() && !s.lane.trying {
			s.lane.trying = true
			r.try(s.lane)
		}
		return
	}
	if !s.ended {
		if s.err != nil {
			r.trouble = s.err
		}
		if s.lane.open() {
			r.trouble, r.wasOpen, r.swapped = nil, true, time.Time{}
			r.opened(s.lane)
			r.wake()
		}
		if s.lane.taken() && slices.Contains(r.opening, s.lane) {
			r.served(s.lane) // its agent can be asked for the next one
			r.mu.Lock()
			r.load.spacing.add(float64(time.Since(s.lane.startedAt)))
			r.mu.Unlock()
		}
		return
	}
	r.running--
	r.sessions--
	r.served(s.lane)
	if r.yielding == s.lane {
		r.yielding = nil
	}
	r.remove(s.lane)
	onTrial := s.lane.trial.Load()
	if onTrial {
		r.judge(s.lane, s.err)
	}
	if r.ctx.Err() != nil || onTrial || errors.Is(s.err, errDrained) {
		return
	}
	if errors.Is(s.err, errNoSeat) {
		r.notBefore = time.Now().Add(seatAgain)
		return
	}
	r.mu.Lock()
	r.past.Retries++
	r.mu.Unlock()
	r.log.Info("session over", "session", s.lane.session.ID, "error", s.err)
	r.shun(s.lane, s.err)
	r.trouble = s.err
	steady := !s.lane.openedAt.IsZero() && time.Since(s.lane.openedAt) > steadyAfter
	switch {
	case errors.Is(s.err, errReconnect):
		r.trouble = nil
		r.retry.Reset()
		r.notBefore = time.Now()
	case idleClosed(s.err, s.lane) && r.connections.waiting() == 0 && len(r.lanes) == 0 && !r.bonds():
		r.asleep = s.err
		r.retry.Reset()
		r.notBefore = time.Now()
	case (lostForGood(s.err, r.spec) || barred(s.err) && !r.wasOpen) && !r.anyStanding():
		r.stop(s.err)
	default:
		if steady {
			r.retry.Reset()
			// Spread, so that the clients of a task that went away do not all come at the same moment.
			r.notBefore = time.Now().Add(time.Duration(rand.Int64N(int64(150 * time.Millisecond)))) //nolint:gosec // not a secret
			return
		}
		if r.strands != nil && time.Now().Before(r.notBefore) {
			return // lanes of strands that ended together count as one failure
		}
		wait := r.retry.NextBackOff()
		if closed, ok := errors.AsType[*ClosedError](s.err); ok && closed.Unresolved() {
			wait = max(wait, unresolvedRest)
		}
		r.notBefore = time.Now().Add(wait)
	}
}

// served notes that the agent of a lane has begun to serve it, or that the lane has ended.
func (r *runner) served(l *lane) {
	r.opening = slices.DeleteFunc(r.opening, func(other *lane) bool { return other == l })
}

// idleClosed reports whether the account's idle timeout has ended the session.
func idleClosed(err error, l *lane) bool {
	var closed *ClosedError
	if !errors.As(err, &closed) || l.openedAt.IsZero() {
		return false
	}
	last := max(l.lastData.Load(), l.openedAt.UnixNano())
	return closed.Idle() || time.Since(time.Unix(0, last)) > idleAtLeast
}

func (r *runner) remove(l *lane) {
	resent, _ := l.channel.figures()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.past.Resent += resent
	r.past.Retries += l.resumed.Load()
	r.lanes = slices.DeleteFunc(r.lanes, func(other *lane) bool { return other == l })
	r.unopened = slices.DeleteFunc(r.unopened, func(other *lane) bool { return other == l })
	r.load.forget(l)
}
