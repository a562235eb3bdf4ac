package screen

import (
	"slices"
	"time"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// The traffic on the page about a tunnel: received on the left, sent on the right, in figures and as graphs.

// half is how many cells each direction has in a line of w cells, with a rule and blanks between the two.
func half(w int) int { return (w - 5) / 2 }

// sides lays the two directions side by side, each line as wide as half.
func (d *detail) sides(w int, received, sent string) string {
	t := d.theme
	return " " + t.Received.Paint(t.Fit(received, half(w))) + t.Border.Paint(t.Glyph.Thin.Along) + " " + t.Sent.Paint(t.Fit(sent, half(w)))
}

// numbers returns the lines with the rates, and with the totals and the highest rates of the time that the graph
// shows, as far as there is room.
func (d *detail) numbers(w int) []string {
	t := d.theme
	up, down := d.row.meter.rate()
	received, sent := d.past(w)
	side := func(word, sign string, now float64, total uint64, past []float64) string {
		peak := say.Rate(slices.Max(append(past, 0)))
		switch {
		case half(w) >= longNumbers:
			return word + " " + d.rate(d.row, now) + ", " + say.Bytes(total) + " in all, peak " + peak
		case half(w) >= shortNumbers:
			return sign + " " + d.rate(d.row, now) + ", " + say.Bytes(total) + ", peak " + peak
		}
		return sign + " " + d.rate(d.row, now) + ", peak " + peak
	}
	return []string{d.sides(w,
		side("received", t.Glyph.Down, down, d.row.Stats.Received, received),
		side("sent", t.Glyph.Up, up, d.row.Stats.Sent, sent))}
}

// The widths, in cells, from which there is room for all figures with words, and for all figures.
const (
	longNumbers  = 54
	shortNumbers = 34
)

// scaleCells is how many cells the scale on the left of a graph takes.
const scaleCells = 10

// past returns as many seconds of traffic as the graphs have room for.
func (d *detail) past(w int) (received, sent []float64) {
	for _, second := range d.row.meter.history(min(half(w)-scaleCells-1, keepSeconds)) {
		received, sent = append(received, second.received), append(sent, second.sent)
	}
	return received, sent
}

// graphs draws the traffic of the last minutes, received on the left and sent on the right. Each has a scale of its own, which
// stands beside it, and a time axis below.
func (d *detail) graphs(w, h int) []string {
	received, sent := d.past(w)
	left, right := d.graph(received, w, h), d.graph(sent, w, h)
	lines := make([]string, len(left))
	for i := range lines {
		lines[i] = d.sides(w, left[i], right[i])
	}
	return lines
}

func (d *detail) graph(past []float64, w, h int) []string {
	t := d.theme
	cells := half(w) - scaleCells - 1
	top := draw.Scale(past)
	lines := t.Bars().Graph(past, cells, h, top)
	for i, line := range lines {
		scale := ""
		if i == 0 {
			scale = say.Rate(top)
		}
		lines[i] = t.FitRight(scale, scaleCells-2) + " " + t.Glyph.Thin.Along + line
	}
	axis := draw.TimeAxis(cells, func(seconds int) string { return say.Age(time.Duration(seconds) * time.Second) })
	return append(lines, t.FitRight("0", scaleCells-2)+" "+t.Glyph.Thin.Along+axis)
}
