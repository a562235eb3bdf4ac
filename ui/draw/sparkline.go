package draw

import (
	"math"
	"slices"
	"strings"
)

// Bars are the glyphs of a graph, lowest first. The last one stands for a value that is cut off at the top.
type Bars []string

func unicodeBars() Bars { return Bars{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█", "▲"} }

// asciiBars are bars in ASCII: a higher one has more ink.
func asciiBars() Bars { return Bars{".", ":", "-", "=", "+", "*", "%", "#", "^"} }

// Bars returns the bars that the terminal can show.
func (t *Theme) Bars() Bars {
	if t.Unicode {
		return unicodeBars()
	}
	return asciiBars()
}

// quietest is the least value at the top of a graph, in bytes per second, so that little traffic also looks little.
const quietest = 1000

// A highest value of more than spike times the 90th percentile of the values above zero is cut off, at twice that percentile, so
// that the others can be seen beside it. That needs at least enough values above zero.
const (
	spike  = 4
	enough = 5
)

// Scale returns the value at the top of a graph: a round number, so that it does not change with every value. Higher values are
// drawn as cut off.
func Scale(values []float64) float64 {
	some := make([]float64, 0, len(values))
	for _, v := range values {
		if v > 0 {
			some = append(some, v)
		}
	}
	if len(some) == 0 {
		return quietest
	}
	slices.Sort(some)
	top, most := some[len(some)-1], some[(len(some)-1)*9/10]
	if len(some) >= enough && top > spike*most {
		top = 2 * most
	}
	return round(max(top, quietest))
}

// round returns the next number of 1, 2, 5, 10, 20 and so on that is not less than v.
func round(v float64) float64 {
	if math.IsInf(v, 0) {
		return v
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 5} {
		if v <= step*power {
			return step * power
		}
	}
	return 10 * power
}

// Sparkline draws the last values in one line, one column each and the newest at the right. A value of top has the full height.
// Every value above zero has a bar, however little it is; zero is a blank.
func (b Bars) Sparkline(values []float64, width int, top float64) string {
	return strings.Join(b.Graph(values, width, 1, top), "")
}

// Graph is a sparkline of several lines, from the top down.
func (b Bars) Graph(values []float64, width, height int, top float64) []string {
	if width <= 0 || height <= 0 {
		return nil
	}
	values = values[max(0, len(values)-width):]
	steps := len(b) - 1
	levels := make([]int, width)
	for i, v := range values {
		levels[width-len(values)+i] = filled(v, top, steps*height)
	}
	lines := make([]string, height)
	for row := range lines {
		floor := (height - 1 - row) * steps // levels below this line
		var line strings.Builder
		for _, l := range levels {
			if l <= floor {
				line.WriteByte(' ')
				continue
			}
			if row == 0 && l > steps*height {
				line.WriteString(b[steps])
				continue
			}
			line.WriteString(b[min(l-floor, steps)-1])
		}
		lines[row] = line.String()
	}
	return lines
}

// filled is how many of a graph's steps a value fills; one more than all of them when the value is cut off.
func filled(v, top float64, steps int) int {
	if !(v > 0) || !(top > 0) { // NaN is neither
		return 0
	}
	switch {
	case v > top:
		return steps + 1
	case v == top:
		return steps
	}
	return max(1, int(v/top*float64(steps)+0.5))
}

// TimeAxis is the line below a graph of width columns, one per second, of which the last is now. say writes how long ago it was.
func TimeAxis(width int, say func(seconds int) string) string {
	const now = "now"
	if width < len(now) {
		return spaces(width)
	}
	line := []byte(spaces(width))
	copy(line[width-len(now):], now)
	step := 60
	if width < 2*step {
		step = 30
	}
	if width < 40 {
		step = 10
	}
	for at := step; at < width; at += step {
		label := say(at)
		if from := width - 1 - at - len(label)/2; from >= 0 && from+len(label) < width-len(now) {
			copy(line[from:], label)
		}
	}
	return string(line)
}
