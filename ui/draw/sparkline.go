package draw

import "strings"

// Bars are the glyphs of a graph, lowest first.
type Bars []string

func unicodeBars() Bars { return Bars{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"} }

// asciiBars rise by the ink in them.
func asciiBars() Bars { return Bars{".", ":", "-", "=", "+", "*", "%", "#"} }

// Bars are those that the terminal can show.
func (t *Theme) Bars() Bars {
	if t.Unicode {
		return unicodeBars()
	}
	return asciiBars()
}

// quietest is the peak below which a graph is not stretched to its full height: a trickle is to look like one. In bytes
// per second.
const quietest = 1000

// Peak is the rate at the top of a graph of values.
func Peak(values ...[]float64) float64 {
	top := float64(quietest)
	for _, series := range values {
		for _, v := range series {
			top = max(top, v)
		}
	}
	return top
}

// Sparkline draws the last values in one line, one column each and the newest at the right, against the given peak.
// What is above zero leaves a trace, zero leaves a blank.
func (b Bars) Sparkline(values []float64, width int, top float64) string {
	return strings.Join(b.Graph(values, width, 1, top), "")
}

// Graph is a sparkline of several lines, from the top down.
func (b Bars) Graph(values []float64, width, height int, top float64) []string {
	if width <= 0 || height <= 0 {
		return nil
	}
	values = values[max(0, len(values)-width):]
	steps := len(b)
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
			line.WriteString(b[min(l-floor, steps)-1])
		}
		lines[row] = line.String()
	}
	return lines
}

// filled is how high a value stands in a graph of so many steps.
func filled(v, top float64, steps int) int {
	if !(v > 0) || !(top > 0) { // NaN is neither
		return 0
	}
	if v >= top {
		return steps
	}
	return max(1, int(v/top*float64(steps)+0.5))
}
