package draw

import (
	"math"
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
		{[]float64{math.NaN(), math.Inf(1), -3, 0.001}, "   █ ▁"},
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

func TestTricklesAreNotStretched(t *testing.T) {
	if got := Peak([]float64{3, 5}, nil); got != quietest {
		t.Errorf("got %g, want %d", got, quietest)
	}
	if got := Peak([]float64{3}, []float64{9e9}); got != 9e9 {
		t.Errorf("got %g, want 9e9", got)
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
