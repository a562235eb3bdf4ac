package tunnel

import "testing"

// A session costs the user's container 25 MB, whether it takes connections or not.
func TestSessionsThatAreHeldUpCountAgainstTheCeiling(t *testing.T) {
	for _, c := range []struct {
		name                          string
		fixed, slow, fine, aside, old int
		renewing                      bool
		want                          int
	}{
		{name: "the first", want: 1},
		{name: "enough", fine: 1},
		{name: "one that is held up is made up for", slow: 1, want: 1},
		{name: "as many as may be", slow: maxLanes},
		{name: "a fixed number", fixed: 4, fine: 1, want: 3},
		{name: "a fixed number, all held up", fixed: 2, slow: 2},
		{name: "a single one that is held up", fixed: 1, slow: 1},
		{name: "those that see their connections out count", fixed: 3, fine: 1, aside: 2},
		{name: "the only one is being replaced", fixed: 1, aside: 1},
		{name: "a task that stops serves its connections to the end", fixed: 1, old: 1, want: 1},
		{name: "but no more than one beside them", fixed: 3, fine: 1, old: 3},
		{name: "room for the one that resolves the name anew", fixed: 4, fine: 2, renewing: true, want: 1},
		{name: "no room beside a single one", fixed: 1, renewing: true, want: 1},
	} {
		r := &runner{
			Tunnel:   &Tunnel{engine: &Engine{options: Options{Lanes: c.fixed}}},
			sessions: c.slow + c.fine + c.aside + c.old, renewing: c.renewing,
		}
		for range c.slow {
			l := &lane{}
			l.slow.Store(true)
			r.lanes = append(r.lanes, l)
		}
		for range c.fine {
			r.lanes = append(r.lanes, &lane{})
		}
		for i := range c.aside + c.old {
			l := &lane{}
			l.draining.Store(true)
			l.leaving.Store(i >= c.aside)
			r.lanes = append(r.lanes, l)
		}
		if got := r.missing(); got != c.want {
			t.Errorf("%s: %d more are wanted, want %d", c.name, got, c.want)
		}
	}
}
