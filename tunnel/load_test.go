package tunnel

import "testing"

// A session costs the user's container 25 MB, whether it takes connections or not.
func TestSessionsThatAreHeldUpCountAgainstTheCeiling(t *testing.T) {
	for _, c := range []struct {
		name                   string
		fixed, slow, fine, old int
		want                   int
	}{
		{"the first", 0, 0, 0, 0, 1},
		{"enough", 0, 0, 1, 0, 0},
		{"one that is held up is made up for", 0, 1, 0, 0, 1},
		{"as many as may be", 0, maxLanes, 0, 0, 0},
		{"a fixed number", 4, 0, 1, 0, 3},
		{"a fixed number, all held up", 2, 2, 0, 0, 0},
		{"a single one that is held up", 1, 1, 0, 0, 0},
		{"those of a task that goes away are no more than guests", 1, 0, 0, 3, 1},
	} {
		r := &runner{Tunnel: &Tunnel{engine: &Engine{options: Options{Lanes: c.fixed}}}}
		for range c.slow {
			l := &lane{}
			l.slow.Store(true)
			r.lanes = append(r.lanes, l)
		}
		for range c.fine {
			r.lanes = append(r.lanes, &lane{})
		}
		for range c.old {
			l := &lane{}
			l.draining.Store(true)
			r.lanes = append(r.lanes, l)
		}
		if got := r.missing(); got != c.want {
			t.Errorf("%s: %d more are wanted, want %d", c.name, got, c.want)
		}
	}
}
