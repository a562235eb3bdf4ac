package screen

import (
	"cmp"
	"time"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// columns are those of the tunnels. Live ones have a fixed width, so that nothing jumps; the narrower the window, the
// more of them are left to the foot of the frame.
func (p *tunnelsPane) columns() []draw.Column[*row] {
	t := p.theme
	total := func(r *row) float64 {
		sent, received := r.meter.rate()
		return sent + received
	}
	when := func(of func(*row) time.Time) func(a, b *row) int {
		return func(a, b *row) int { return of(a).Compare(of(b)) }
	}
	number := func(title string, wide, drop int, of func(*row) string, order func(a, b *row) int) draw.Column[*row] {
		return draw.Column[*row]{Title: title, Text: of, Order: order, Least: wide, Most: wide, Right: true, Drop: drop}
	}
	return []draw.Column[*row]{
		{Title: "LOCAL", Text: (*row).local, Ink: func(*row) draw.Ink { return t.Accent }, Least: 14, Most: 30},
		{Title: "TARGET", Text: (*row).inside, Least: 13, Grow: true},
		{Title: "CLUSTER", Text: func(r *row) string { return say.Line(r.Spec.Target.Cluster) }, Least: 8, Most: 20, Drop: 3},
		{
			Title: "STATE", Least: 13, Most: 13,
			Text:  func(r *row) string { text, _ := p.tunnels.standing(r); return text },
			Ink:   func(r *row) draw.Ink { _, colour := p.tunnels.standing(r); return colour },
			Order: func(a, b *row) int { return cmp.Compare(a.State, b.State) },
		},
		{
			Title: "RECEIVED", Least: 8, Most: 8, Right: true, Drop: 1,
			Text:  func(r *row) string { _, received := r.meter.rate(); return p.rate(r, received) },
			Ink:   func(*row) draw.Ink { return t.Received },
			Order: func(a, b *row) int { _, x := a.meter.rate(); _, y := b.meter.rate(); return cmp.Compare(x, y) },
		},
		{
			Title: "SENT", Least: 8, Most: 8, Right: true, Drop: 1,
			Text:  func(r *row) string { sent, _ := r.meter.rate(); return p.rate(r, sent) },
			Ink:   func(*row) draw.Ink { return t.Sent },
			Order: func(a, b *row) int { x, _ := a.meter.rate(); y, _ := b.meter.rate(); return cmp.Compare(x, y) },
		},
		{
			Title: "TRAFFIC", Least: sparkCells, Most: sparkCells, Drop: 2,
			Text:  func(r *row) string { return r.spark(t) },
			Ink:   func(*row) draw.Ink { return t.Received },
			Order: func(a, b *row) int { return cmp.Compare(total(a), total(b)) },
		},
		number("CONNS", 5, 4, func(r *row) string { return draw.Count(uint64(max(r.Stats.Connections, 0))) },
			func(a, b *row) int { return cmp.Compare(a.Stats.Connections, b.Stats.Connections) }),
		number("AGE", 7, 5, func(r *row) string { return draw.Age(p.now.Sub(r.Opened)) }, when(func(r *row) time.Time { return r.Opened })),
		number("TRIP", 6, 6, func(r *row) string { return draw.Trip(r.Stats.RoundTrip) },
			func(a, b *row) int { return cmp.Compare(a.Stats.RoundTrip, b.Stats.RoundTrip) }),
		number("RESENT", 6, 7, func(r *row) string { return draw.Count(r.Stats.Resent) },
			func(a, b *row) int { return cmp.Compare(a.Stats.Resent, b.Stats.Resent) }),
		number("RETRIES", 7, 8, func(r *row) string { return draw.Count(r.Stats.Retries) },
			func(a, b *row) int { return cmp.Compare(a.Stats.Retries, b.Stats.Retries) }),
	}
}

// rate is a rate of a tunnel: not known before it was measured, and none of what is over.
func (l *look) rate(r *row, bytes float64) string {
	switch {
	case r.State.Final():
		return l.theme.Glyph.None
	case !r.meter.measured():
		return l.theme.Glyph.More
	}
	return draw.Rate(bytes)
}

// heldColumn names the process that holds a tunnel.
func (p *tunnelsPane) heldColumn() draw.Column[*row] {
	return draw.Column[*row]{Title: "HELD BY", Text: (*row).heldBy, Ink: func(*row) draw.Ink { return p.theme.Muted }, Least: 8, Most: 20, Drop: 4}
}
