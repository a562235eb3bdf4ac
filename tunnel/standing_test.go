package tunnel

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws"
)

// inState is a destination whose session stands so.
func inState(s State, err error) *destination {
	return &destination{inner: &Tunnel{state: s, err: err}}
}

func poolOf(all ...*destination) *pool {
	return &pool{order: all, vouched: make(chan struct{}), tunnel: &Tunnel{done: make(chan struct{})}}
}

// A dynamic tunnel is as well as the best of its destinations, and why it is not is told only while none is.
func TestADynamicTunnelStandsAsItsDestinationsDo(t *testing.T) {
	trouble := errors.New("no route to the service")
	own := &RefusedError{}
	for _, c := range []struct {
		name   string
		all    []*destination
		proved bool
		sick   error // before
		want   State
		err    error
		after  error // sick, then
	}{
		{name: "nothing yet", want: Starting},
		{name: "nothing since the first session", proved: true, want: Open},
		{name: "one is open", all: []*destination{inState(Open, nil)}, proved: true, want: Open},
		{name: "one is open, another in trouble", all: []*destination{inState(Reopening, trouble), inState(Open, nil)}, proved: true, want: Open},
		{name: "one is open and in trouble", all: []*destination{inState(Open, trouble)}, proved: true, want: Open},
		{name: "the only one is in trouble", all: []*destination{inState(Reopening, trouble)}, proved: true, want: Reopening, err: trouble, after: trouble},
		{name: "before there was any", all: []*destination{inState(Starting, trouble)}, want: Starting, err: trouble, after: trouble},
		{name: "it has its session, but no socket", all: []*destination{inState(Resuming, trouble), inState(Reopening, nil)}, proved: true, want: Resuming, err: trouble, after: trouble},
		{name: "the far end of one refuses", all: []*destination{inState(Reopening, own)}, proved: true, want: Open},
		{name: "one shakes hands", all: []*destination{inState(Handshaking, nil)}, want: Handshaking},
		{name: "one shakes hands after another failed", all: []*destination{inState(Handshaking, nil)}, sick: trouble, want: Starting, err: trouble, after: trouble},
		{name: "those that are over say nothing", all: []*destination{inState(Failed, trouble), inState(Closed, nil)}, proved: true, want: Open},
		{name: "sick until a session was opened", proved: true, sick: trouble, want: Reopening, err: trouble, after: trouble},
	} {
		p := poolOf(c.all...)
		p.sick = c.sick
		if c.proved {
			p.proofAt = time.Now()
		}
		e, fatal := p.standing()
		if e.State != c.want || e.Err != c.err || fatal != nil { //nolint:errorlint // the very one
			t.Errorf("%s: %s, %v, %v; want %s, %v", c.name, e.State, e.Err, fatal, c.want, c.err)
		}
		if p.sick != c.after { //nolint:errorlint // likewise
			t.Errorf("%s: sick of %v, want %v", c.name, p.sick, c.after)
		}
	}
}

// That there was a session proves for ten seconds that there can be one, and for as long as one is open: ready is never said
// without.
func TestAnOldSessionProvesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		age  time.Duration // of the proof; negative for none
		all  []*destination
		want bool
	}{
		{"none yet", -1, nil, false},
		{"none yet, although a destination is open", -1, []*destination{inState(Open, nil)}, false},
		{"a session of just now", 0, nil, true},
		{"of nearly ten seconds ago", vouchedFor - 1, nil, true},
		{"of ten seconds ago", vouchedFor, nil, false},
		{"of an hour ago", time.Hour, []*destination{inState(Asleep, nil)}, false},
		{"of an hour ago, and open", time.Hour, []*destination{inState(Asleep, nil), inState(Open, nil)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := poolOf(c.all...)
				p.scout = inState(Starting, nil) // it is out already
				p.proof = Proof{Target: aws.Target{Task: "t"}, Session: true}
				if c.age >= 0 {
					p.proofAt = time.Now().Add(-c.age)
				}
				done := make(chan error, 1)
				go func() {
					_, err := p.prove(t.Context())
					done <- err
				}()
				synctest.Wait()
				select {
				case err := <-done:
					if err != nil || !c.want {
						t.Errorf("it is proved, %v", err)
					}
					return
				default:
				}
				if c.want {
					t.Error("it is not proved")
				}
				time.Sleep(100 * time.Millisecond)
				p.mu.Lock() // the scout is back
				p.proofAt = time.Now()
				close(p.vouched)
				p.vouched = make(chan struct{})
				p.mu.Unlock()
				if err := <-done; err != nil {
					t.Errorf("got %v when there was a session", err)
				}
			})
		})
	}
}
