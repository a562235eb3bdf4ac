package tunnel

import (
	"errors"
	"testing"
	"time"

	"culvert/aws"
)

// A task whose session was lost by its own fault is left to itself for a minute; what was nobody's fault, or the session's own,
// says nothing of the task, and shunning it would crowd the others.
func TestWhichLossesSpeakAgainstATask(t *testing.T) {
	lost := errors.New("the socket is gone")
	for _, c := range []struct {
		name   string
		why    error
		task   string
		beside bool // another session of the task is open
		of     bool // of a dynamic tunnel
		quiet  time.Duration
		want   bool
	}{
		{name: "a socket that is gone", why: lost, task: "t", want: true},
		{name: "of no task", why: lost},
		{name: "asked for", why: errReconnect, task: "t"},
		{name: "messages that were too large", why: &OversizeError{Size: 4096}, task: "t"},
		{name: "closed", why: &ClosedError{}, task: "t", want: true},
		{name: "closed, but its agent serves another session", why: &ClosedError{}, task: "t", beside: true},
		{name: "gone, although its agent serves another session", why: lost, task: "t", beside: true, want: true},
		{name: "closed after a long silence", why: &ClosedError{}, task: "t", quiet: idleAtLeast + time.Minute},
		{name: "the far end's fault, of one destination of many", why: &RefusedError{}, task: "t", of: true},
		{name: "the far end's fault, of the only one", why: &RefusedError{}, task: "t", want: true},
	} {
		l := stood(standing{}).lane
		l.target, l.openedAt = aws.Target{Task: c.task}, time.Now().Add(-c.quiet)
		r := &runner{Tunnel: &Tunnel{engine: &Engine{}}}
		home := r.Tunnel
		if c.beside {
			other := openLane()
			other.target = l.target
			r.lanes = append(r.lanes, other)
		}
		if c.of {
			home = &Tunnel{}
			r.of = &destination{pool: &pool{tunnel: home}}
		}
		r.shun(l, c.why)
		if got := home.avoided()[c.task]; got != c.want {
			t.Errorf("%s: shunned %t, want %t", c.name, got, c.want)
		}
	}
}
