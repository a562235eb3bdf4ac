package swarm

import (
	"fmt"
	"slices"
	"strings"
)

// tries is how often a smaller mix may pass before it counts as one that is well: goroutines run in another order each time.
const tries = 3

// shrink leaves out of a mix, one after the other, all parts without which it fails as well, and returns what is left of it with what
// was found.
func shrink(m mix, found []string, play func(mix) []string) (mix, []string) {
	names := m.parts()
	for again := true; again; {
		again = false
		for _, name := range slices.Clone(names) {
			rest := slices.DeleteFunc(slices.Clone(names), func(other string) bool { return other == name })
			smaller := m.only(rest)
			if len(smaller.ways) == 0 {
				continue
			}
			rest = smaller.parts() // clients go with their tunnel
			for range tries {
				if others := play(smaller); len(others) > 0 {
					names, found, again = rest, others, true
					break
				}
			}
		}
	}
	return m.only(names), found
}

// replay is the line that plays a mix out again.
func (m mix) replay() string {
	return fmt.Sprintf("make swarm SEED=%d ONLY=%s", m.seed, strings.Join(m.parts(), ","))
}
