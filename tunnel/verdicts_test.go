package tunnel

import (
	"testing"
	"testing/synctest"
	"time"
)

// The failure that is forgotten where too many are remembered is the oldest one, and none where a destination has failed again.
func TestOfTooManyFailuresTheOldestIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{verdicts: map[Endpoint]verdict{}}
		fail := func(port int) {
			p.remember(Endpoint{Host: "db", Port: uint16(port)}, errStopped)
			time.Sleep(time.Millisecond)
		}
		for i := range maxVerdicts {
			fail(i)
		}
		fail(0)
		fail(maxVerdicts - 1)
		if n := len(p.verdicts); n != maxVerdicts {
			t.Errorf("%d failures are remembered, want %d", n, maxVerdicts)
		}
		for i := range 10 {
			fail(maxVerdicts + i)
		}
		if n := len(p.verdicts); n != maxVerdicts {
			t.Errorf("%d failures are remembered, want %d", n, maxVerdicts)
		}
		for i := range maxVerdicts + 10 {
			_, got := p.verdicts[Endpoint{Host: "db", Port: uint16(i)}]
			if want := i == 0 || i > 10; got != want {
				t.Errorf("that destination %d has failed is remembered: %t, want %t", i, got, want)
			}
		}
	})
}
