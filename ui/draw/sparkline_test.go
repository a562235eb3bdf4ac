package draw

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSparklineShowsTheNewestAtTheRight(t *testing.T) {
	g := unicodeBars()
	for _, c := range []struct {
		values []float64
		want   string
	}{
		{nil, "      "},
		{[]float64{0, 800, 400}, "    █▄"},
		{[]float64{9, 9, 9, 100, 200, 300, 400, 800, 1}, "▁▂▃▄█▁"},
		{[]float64{math.NaN(), math.Inf(1), -3, 0.001}, "   ▲ ▁"},
	} {
		if got := g.Sparkline(c.values, 6, 800); got != c.want {
			t.Errorf("%v: got %q, want %q", c.values, got, c.want)
		}
	}
	ascii := asciiBars()
	if got := ascii.Sparkline([]float64{1, 800}, 3, 800); got != " .#" {
		t.Errorf("in ASCII: got %q, want %q", got, " .#")
	}
	if got := g.Sparkline([]float64{1}, 0, 1) + g.Sparkline([]float64{1}, -4, 1); got != "" {
		t.Errorf("no room: got %q, want nothing", got)
	}
}

func TestGraphStacksItsLines(t *testing.T) {
	g := unicodeBars()
	got := strings.Join(g.Graph([]float64{100, 50, 25, 0}, 4, 2, 100), "\n")
	if want := "█   \n██▄ "; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheScaleIsRoundAndASpikeFlattensNothing(t *testing.T) {
	steady := func(n int, v float64, more ...float64) []float64 {
		return append(slices.Repeat([]float64{v}, n), more...)
	}
	for name, c := range map[string]struct {
		values []float64
		want   float64
	}{
		"nothing":                 {nil, quietest},
		"a trickle":               {[]float64{3, 5}, quietest},
		"one value":               {[]float64{0, 0, 657_000, 0}, 1_000_000},
		"a spike among others":    {steady(60, 3000, 657_000), 10_000},
		"two spikes of many":      {steady(60, 3000, 657_000, 9e9), 10_000},
		"a spike after a trickle": {[]float64{2, 2, 2, 2, 9e9}, quietest},
		"a beginning":             {[]float64{2, 4e9}, 5e9},
		"a download":              {steady(10, 3000, steady(20, 600_000)...), 1_000_000},
		"the next round number":   {[]float64{2001}, 5000},
		"without end":             {[]float64{math.Inf(1)}, math.Inf(1)},
	} {
		if got := Scale(c.values); got != c.want {
			t.Errorf("%s: got %g, want %g", name, got, c.want)
		}
	}
}

func TestWhatIsCutOffSaysSo(t *testing.T) {
	got := strings.Join(unicodeBars().Graph([]float64{100, 50, 900}, 3, 2, 100), "\n")
	if want := "█ ▲\n███"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheTimeAxisEndsNow(t *testing.T) {
	write := func(seconds int) string { return strconv.Itoa(seconds) + "s" }
	for w, want := range map[int]string{
		2: "  ", 3: "now", 18: "      10s      now", 50: "                  30s                          now",
	} {
		if got := TimeAxis(w, write); got != want {
			t.Errorf("%d columns: got %q, want %q", w, got, want)
		}
	}
}

func FuzzGraph(f *testing.F) {
	f.Add(1.0, 2.0, 3.0, 10, 3, 3.0)
	f.Add(math.Inf(1), math.NaN(), -1.0, 2, 1, 0.0)
	f.Fuzz(func(t *testing.T, a, b, c float64, w, h int, top float64) {
		w, h = w%300, h%40
		g := asciiBars()
		lines := g.Graph([]float64{a, b, c}, w, h, top)
		if w > 0 && h > 0 && len(lines) != h {
			t.Fatalf("got %d lines, want %d", len(lines), h)
		}
		for _, line := range lines {
			if utf8.RuneCountInString(line) != w {
				t.Fatalf("got %q, want %d columns", line, w)
			}
		}
	})
}
