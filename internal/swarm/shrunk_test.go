package swarm

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// What has failed shrinks to those parts that it takes, and the line that replays it names them.
func TestAFailingMixShrinks(t *testing.T) {
	m := draw(2)
	for i := range 5 {
		m.mishaps = append(m.mishaps, mishap{name: "x" + string(rune('0'+i)), kind: "a host moves"})
	}
	guilty := []string{"x1", "x3", m.guests[0].name}
	plays := 0
	small, found := shrink(m, []string{"wrong"}, func(m mix) []string {
		plays++
		for _, name := range guilty {
			if !slices.Contains(m.parts(), name) {
				return nil
			}
		}
		return []string{"still wrong"}
	})
	want := append(slices.Clone(guilty), m.guests[0].way)
	if got := small.parts(); len(got) != len(want) || slices.ContainsFunc(want, func(name string) bool { return !slices.Contains(got, name) }) {
		t.Errorf("shrunk to %v, want %v", got, want)
	}
	if len(found) != 1 || found[0] != "still wrong" {
		t.Errorf("found %q, want what was found last", found)
	}
	if got, want := small.replay(), "make swarm SEED=2 ONLY=x1,x3,"; !strings.HasPrefix(got, want) {
		t.Errorf("replayed by %q, want %q", got, want)
	}
	t.Logf("%d plays", plays)
}

// A number says all of a mix.
func TestAMixIsItsSeed(t *testing.T) {
	for seed := range uint64(50) {
		if a, b := draw(seed).String(), draw(seed).String(); a != b {
			t.Fatalf("seed %d is\n%s\nand\n%s", seed, a, b)
		}
	}
}

// A tunnel with one session ends it to have a name resolved anew. Where AWS takes its time to open the next one, the tunnel must
// not be shown as open meanwhile.
func TestASessionThatWasSwappedIsNotShownForLong(t *testing.T) {
	m := mix{
		seed: 1, length: 20 * time.Second, services: []service{{tasks: 1}},
		ways:   []way{{name: "w0", kind: toHost, lanes: 1}},
		guests: []guest{{name: "g0", at: 5 * time.Second, way: "w0", kind: uploads, size: 10, id: 1 << 32}},
		mishaps: []mishap{
			{name: "m0", at: time.Second, last: 15 * time.Second, kind: "agents start slowly", size: 1},
			{name: "m1", at: 2 * time.Second, kind: "a host moves, and was shut down"},
		},
	}
	m.drawn = m.ways
	if found := m.virtually(t); len(found) > 0 {
		t.Errorf("%s\n%s", m, strings.Join(found, "\n"))
	}
}
