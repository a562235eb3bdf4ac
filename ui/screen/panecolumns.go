package screen

import (
	"cmp"
	"time"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// columns returns the columns for tunnels. Those that change all the time have a fixed width, so that nothing jumps; the narrower
// the window, the more of them are left to the foot of the frame.
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
	rate := func(title string, wide int, ink draw.Ink, of func(*row) float64) draw.Column[*row] {
		return draw.Column[*row]{
			Title: title, Least: wide, Most: wide, Right: true, Drop: 1,
			Text:  func(r *row) string { return p.rate(r, of(r)) },
			Ink:   func(*row) draw.Ink { return ink },
			Order: func(a, b *row) int { return cmp.Compare(of(a), of(b)) },
		}
	}
	sum := func(title string, wide int, ink draw.Ink, of func(*row) uint64) draw.Column[*row] {
		return draw.Column[*row]{
			Title: title, Least: wide, Most: wide, Right: true, Drop: 6,
			Text:  func(r *row) string { return say.Bytes(of(r)) },
			Ink:   func(*row) draw.Ink { return ink },
			Order: func(a, b *row) int { return cmp.Compare(of(a), of(b)) },
		}
	}
	return []draw.Column[*row]{
		{Title: "LOCAL", Sought: draw.AsID, Text: (*row).local, Ink: func(*row) draw.Ink { return t.Accent }, Least: 15, Most: 30},
		{Title: "TARGET", Sought: draw.AsName, Text: (*row).inside, Least: 22, Most: 44, Grow: true, Middle: true},
		{Title: "CLUSTER", Sought: draw.AsText, Text: func(r *row) string { return say.Line(r.Spec.Target.Cluster) }, Least: 10, Most: 20, Middle: true, Drop: 3},
		{
			Title: "STATE", Least: stateCells, Most: stateCells,
			Text:  func(r *row) string { text, _ := p.tunnels.standing(r); return text },
			Ink:   func(r *row) draw.Ink { _, colour := p.tunnels.standing(r); return colour },
			Order: func(a, b *row) int { return cmp.Compare(a.State, b.State) },
		},
		rate("RECEIVING", 9, t.Received, func(r *row) float64 { _, received := r.meter.rate(); return received }),
		rate("SENDING", 8, t.Sent, func(r *row) float64 { sent, _ := r.meter.rate(); return sent }),
		{
			Title: "TRAFFIC", Least: sparkCells, Rest: true, Drop: 2,
			Wide:  func(r *row, w int) string { return r.spark(t, w) },
			Ink:   func(*row) draw.Ink { return t.Received },
			Order: func(a, b *row) int { return cmp.Compare(total(a), total(b)) },
		},
		sum("RECEIVED", 8, t.Received, func(r *row) uint64 { return r.Stats.Received }),
		sum("SENT", 6, t.Sent, func(r *row) uint64 { return r.Stats.Sent }),
		number("CONNS", 5, 4, func(r *row) string { return say.Count(uint64(max(r.Stats.Connections, 0))) },
			func(a, b *row) int { return cmp.Compare(a.Stats.Connections, b.Stats.Connections) }),
		number("AGE", 6, 5, func(r *row) string { return say.Age(p.now.Sub(r.Opened)) }, when(func(r *row) time.Time { return r.Opened })),
		number("TRIP", 6, 7, func(r *row) string { return say.Trip(r.Stats.RoundTrip) },
			func(a, b *row) int { return cmp.Compare(a.Stats.RoundTrip, b.Stats.RoundTrip) }),
		number("RESENT", 6, 8, func(r *row) string { return say.Count(r.Stats.Resent) },
			func(a, b *row) int { return cmp.Compare(a.Stats.Resent, b.Stats.Resent) }),
		number("RETRIES", 7, 8, func(r *row) string { return say.Count(r.Stats.Retries) },
			func(a, b *row) int { return cmp.Compare(a.Stats.Retries, b.Stats.Retries) }),
		{Title: "HELD BY", Text: (*row).heldBy, Ink: func(*row) draw.Ink { return t.Muted }, Least: 8, Most: 20, Middle: true, Drop: 9},
	}
}

// rate writes a rate of a tunnel: the sign for not known yet before it was measured, and the sign for none for a tunnel that is
// over.
func (l *look) rate(r *row, bytes float64) string {
	switch {
	case r.State.Final():
		return l.theme.Glyph.None
	case !r.meter.measured():
		return l.theme.Glyph.More
	}
	return say.Rate(bytes)
}
