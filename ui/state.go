package ui

import (
	"cmp"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
)

// standing is the state of a tunnel as the screen tells it: a sign and a word, either of which is enough, and a colour.
func (a *app) standing(r *row) (text string, colour ink) {
	if r.State == tunnel.Open && a.proofs[r.tunnel].state == unproved {
		return a.theme.glyph.off + " no answer", a.theme.bad
	}
	if r.State == tunnel.Open && a.proofs[r.tunnel].again && a.proofs[r.tunnel].state == proving {
		return a.theme.glyph.half + " proving", a.theme.busy
	}
	return a.theme.sign(r.State) + " " + r.State.String(), a.theme.tone(r.State)
}

// sign is the glyph of a state.
func (t *theme) sign(s tunnel.State) string {
	switch s {
	case tunnel.Starting, tunnel.Handshaking, tunnel.Resuming, tunnel.Reopening:
		return t.glyph.half
	case tunnel.Open:
		return t.glyph.on
	case tunnel.Asleep:
		return t.glyph.none
	case tunnel.Closed, tunnel.Failed:
		return t.glyph.off
	}
	return " "
}

// tone is the colour of a state.
func (t *theme) tone(s tunnel.State) ink {
	switch s {
	case tunnel.Starting, tunnel.Handshaking, tunnel.Resuming, tunnel.Reopening:
		return t.busy
	case tunnel.Open:
		return t.good
	case tunnel.Asleep, tunnel.Closed:
		return t.muted
	case tunnel.Failed:
		return t.bad
	}
	return t.text
}

// ailment is what keeps a tunnel from working, nil when nothing does.
func (a *app) ailment(r *row) error {
	switch r.State {
	case tunnel.Open:
		return a.proofs[r.tunnel].err
	case tunnel.Closed:
		return nil
	case tunnel.Starting, tunnel.Handshaking, tunnel.Resuming, tunnel.Reopening, tunnel.Asleep, tunnel.Failed:
	}
	return r.Err
}

// columns are those of the tunnels. Live ones have a fixed width, so that nothing jumps; the narrower the window, the
// more of them are left to the foot of the frame.
func (p *tunnelsPane) columns() []column[*row] {
	a := p.app
	t := a.theme
	total := func(r *row) float64 {
		sent, received := r.meter.rate()
		return sent + received
	}
	when := func(of func(*row) time.Time) func(a, b *row) int {
		return func(a, b *row) int { return of(a).Compare(of(b)) }
	}
	number := func(title string, wide, drop int, of func(*row) string, order func(a, b *row) int) column[*row] {
		return column[*row]{title: title, text: of, order: order, least: wide, most: wide, right: true, drop: drop}
	}
	return []column[*row]{
		{title: "LOCAL", text: (*row).local, ink: func(*row) ink { return t.accent }, least: 14, most: 30},
		{title: "TARGET", text: (*row).inside, least: 13, grow: true},
		{title: "CLUSTER", text: func(r *row) string { return say.Line(r.Spec.Target.Cluster) }, least: 8, most: 20, drop: 3},
		{
			title: "STATE", least: 13, most: 13,
			text:  func(r *row) string { text, _ := a.standing(r); return text },
			ink:   func(r *row) ink { _, colour := a.standing(r); return colour },
			order: func(a, b *row) int { return cmp.Compare(a.State, b.State) },
		},
		{
			title: "RECEIVED", least: 8, most: 8, right: true, drop: 1,
			text:  func(r *row) string { _, received := r.meter.rate(); return rateText(received) },
			ink:   func(*row) ink { return t.received },
			order: func(a, b *row) int { _, x := a.meter.rate(); _, y := b.meter.rate(); return cmp.Compare(x, y) },
		},
		{
			title: "SENT", least: 8, most: 8, right: true, drop: 1,
			text:  func(r *row) string { sent, _ := r.meter.rate(); return rateText(sent) },
			ink:   func(*row) ink { return t.sent },
			order: func(a, b *row) int { x, _ := a.meter.rate(); y, _ := b.meter.rate(); return cmp.Compare(x, y) },
		},
		{
			title: "TRAFFIC", least: sparkCells, most: sparkCells, drop: 2,
			text:  func(r *row) string { return r.spark(t) },
			ink:   func(*row) ink { return t.received },
			order: func(a, b *row) int { return cmp.Compare(total(a), total(b)) },
		},
		number("CONNS", 5, 4, func(r *row) string { return countText(uint64(max(r.Stats.Connections, 0))) },
			func(a, b *row) int { return cmp.Compare(a.Stats.Connections, b.Stats.Connections) }),
		number("AGE", 7, 5, func(r *row) string { return ageText(a.now.Sub(r.Opened)) }, when(func(r *row) time.Time { return r.Opened })),
		number("TRIP", 6, 6, func(r *row) string { return tripText(r.Stats.RoundTrip) },
			func(a, b *row) int { return cmp.Compare(a.Stats.RoundTrip, b.Stats.RoundTrip) }),
		number("RESENT", 6, 7, func(r *row) string { return countText(r.Stats.Resent) },
			func(a, b *row) int { return cmp.Compare(a.Stats.Resent, b.Stats.Resent) }),
		number("RETRIES", 7, 8, func(r *row) string { return countText(r.Stats.Retries) },
			func(a, b *row) int { return cmp.Compare(a.Stats.Retries, b.Stats.Retries) }),
	}
}

// heldColumn names the process that holds a tunnel.
func (p *tunnelsPane) heldColumn() column[*row] {
	return column[*row]{title: "HELD BY", text: (*row).heldBy, ink: func(*row) ink { return p.app.theme.muted }, least: 8, most: 20, drop: 4}
}

// sparkCells is how many seconds of traffic a row shows.
const sparkCells = 8

// spark is the traffic of the last seconds, both ways together.
func (r *row) spark(t *theme) string {
	values := make([]float64, sparkCells)
	for i, second := range r.meter.history(sparkCells) {
		values[i] = second.sent + second.received
	}
	return t.bars().sparkline(values, sparkCells, peak(values))
}

// inside is where the tunnel leads, within its cluster: the service, and behind it the port or host.
func (r *row) inside() string {
	near := say.Line(cmp.Or(r.Spec.Target.Service, r.Spec.Target.Task))
	if r.Spec.Remote.Host == "" {
		return near + ":" + r.far()
	}
	return near + " › " + r.far()
}

// towards is inside with the cluster.
func (r *row) towards() string { return say.Line(r.Spec.Target.Cluster) + "/" + r.inside() }
