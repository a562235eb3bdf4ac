package ui

import "strings"

// bars are the glyphs of a graph from nothing to full.
type bars []string

func unicodeBars() bars { return bars{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"} }

// asciiBars rise by the ink in them.
func asciiBars() bars { return bars{" ", ".", ":", "-", "=", "+", "*", "%", "#"} }

// quietest is the peak below which a graph is not stretched to its full height: a trickle is to look like one. In bytes
// per second.
const quietest = 1000

// peak is the rate at the top of a graph of values.
func peak(values []float64) float64 {
	top := float64(quietest)
	for _, v := range values {
		top = max(top, v)
	}
	return top
}

// sparkline draws the last values, one column each, against the given peak. Every value above zero leaves a trace.
func (b bars) sparkline(values []float64, width int, top float64) string {
	return strings.Join(b.graph(values, width, 1, top), "")
}

// graph draws the last values in lines from the top down, one column each and the newest at the right.
func (b bars) graph(values []float64, width, height int, top float64) []string {
	if width <= 0 || height <= 0 {
		return nil
	}
	values = values[max(0, len(values)-width):]
	steps := len(b) - 1
	levels := make([]int, width)
	for i, v := range values {
		levels[width-len(values)+i] = level(v, top, steps*height)
	}
	lines := make([]string, height)
	for row := range lines {
		floor := (height - 1 - row) * steps // levels below this line
		var line strings.Builder
		for _, l := range levels {
			line.WriteString(b[min(max(l-floor, 0), steps)])
		}
		lines[row] = line.String()
	}
	return lines
}

// level is how high a value stands in a graph of so many steps.
func level(v, top float64, steps int) int {
	if !(v > 0) || !(top > 0) { // NaN is neither
		return 0
	}
	if v >= top {
		return steps
	}
	return max(1, int(v/top*float64(steps)+0.5))
}
