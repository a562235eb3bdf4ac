package tunnel

import (
	"testing"
	"time"
)

// A session that resolves the name anew and has no room waits until there is some. Whoever waits for a session is not woken by that, as
// he would ask for one, and so on without an end; but a connection that waited for the name goes on.
func TestATrialWithoutRoomWakesNobodyAgainAndAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		every time.Duration
		woken int
	}{
		"the name is never too old": {0, 0},
		"the name is too old":       {time.Minute, 1},
	} {
		busy := openLane()
		busy.streams.Store(1)
		e := New(Options{ReResolve: test.every})
		r := &runner{Tunnel: newTunnel(e, 1, Spec{Remote: Endpoint{Host: "db.internal", Port: 80}, Lanes: 1}, &listener{}), sessions: 1, renewing: true}
		r.later.Stop()
		r.lanes, r.resolved = []*lane{busy}, time.Now().Add(-time.Hour)
		woken := 0
		for range 10 {
			changed := r.changed
			r.makeRoom()
			select {
			case <-changed:
				woken++
			default:
			}
		}
		if woken != test.woken || !r.renewing {
			t.Errorf("%s: woken %d times, want %d; still wanted: %t", name, woken, test.woken, r.renewing)
		}
	}
}
