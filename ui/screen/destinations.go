package screen

import (
	"cmp"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// destinationRow is a destination of a tunnel to any host as its page shows it.
type destinationRow struct {
	tunnel.Destination

	name     string
	up, down float64 // bytes per second
	measured bool    // up and down are known
}

func (l destinationRow) id() string { return l.name }

// destinationRates holds samples of the totals of open destinations.
type destinationRates map[tunnel.Endpoint]samples

// rows returns destinations with their rates, measured from a time on, in the order of their names.
func (r *destinationRates) rows(to []tunnel.Destination, from, now time.Time) []destinationRow {
	seen := make(destinationRates, len(to))
	lines := make([]destinationRow, len(to))
	for i, d := range to {
		line := destinationRow{Destination: d, name: say.Line(hostPort(d.Endpoint))}
		p := (*r)[d.Endpoint].with(sample{at: now, sent: d.Stats.Sent, received: d.Stats.Received})
		seen[d.Endpoint] = p
		line.up, line.down, line.measured = p.rate(from)
		lines[i] = line
	}
	*r = seen
	slices.SortFunc(lines, func(a, b destinationRow) int {
		return cmp.Or(strings.Compare(a.Endpoint.Host, b.Endpoint.Host), cmp.Compare(a.Endpoint.Port, b.Endpoint.Port))
	})
	return lines
}

// leads shows the destinations of the page's tunnel.
func (d *detail) leads(to []tunnel.Destination) {
	from := d.row.meter.since()
	if d.row.holder != nil {
		from = d.now.Add(-rateWindow)
	}
	d.destinations.Set(d.rates.rows(to, from, d.now))
}

// idle is how long a destination has had no connection; false while it has one, and where that is not known.
func (l destinationRow) idle(now time.Time) (time.Duration, bool) {
	if l.Stats.Connections > 0 || l.Used.IsZero() {
		return 0, false
	}
	return max(now.Sub(l.Used), 0), true
}

// standingOf says how a destination stands, by a sign with a word, and returns the colour for that.
func (l *look) standingOf(d tunnel.Destination) (text string, colour draw.Ink) {
	if d.Direct && d.State == tunnel.Open {
		return sign(l.theme, d.State) + " direct", tone(l.theme, d.State)
	}
	return sign(l.theme, d.State) + " " + d.State.String(), tone(l.theme, d.State)
}

func (l *look) destinationColumns() []draw.Column[destinationRow] {
	t := l.theme
	number := func(title string, wide, drop int, colour draw.Ink, of func(destinationRow) string, order func(a, b destinationRow) int) draw.Column[destinationRow] {
		return draw.Column[destinationRow]{
			Title: title, Least: wide, Most: wide, Right: true, Drop: drop, Text: of, Order: order,
			Ink: func(destinationRow) draw.Ink { return colour },
		}
	}
	rate := func(title string, wide, drop int, colour draw.Ink, of func(destinationRow) float64) draw.Column[destinationRow] {
		return number(title, wide, drop, colour, func(l destinationRow) string {
			switch {
			case l.State.Final():
				return t.Glyph.None
			case !l.measured:
				return t.Glyph.More
			}
			return say.Rate(of(l))
		}, func(a, b destinationRow) int { return cmp.Compare(of(a), of(b)) })
	}
	text := func(title string, wide, drop int, of func(destinationRow) string) draw.Column[destinationRow] {
		return draw.Column[destinationRow]{
			Title: title, Sought: draw.AsText, Least: wide, Most: wide, Drop: drop,
			Text: func(l destinationRow) string { return orNone(say.Line(of(l)), t) },
			Ink:  func(destinationRow) draw.Ink { return t.Muted },
		}
	}
	session := text("SESSION", 22, 6, func(l destinationRow) string { return l.Link.Session })
	session.Middle = true
	return []draw.Column[destinationRow]{
		{Title: "DESTINATION", Sought: draw.AsName, Text: destinationRow.id, Ink: func(destinationRow) draw.Ink { return t.Accent }, Least: 24, Most: 64, Grow: true, Middle: true},
		{
			Title: "STATE", Sought: draw.AsText, Least: stateCells, Most: stateCells,
			Text:  func(d destinationRow) string { text, _ := l.standingOf(d.Destination); return text },
			Ink:   func(d destinationRow) draw.Ink { _, colour := l.standingOf(d.Destination); return colour },
			Order: func(a, b destinationRow) int { return cmp.Compare(a.State, b.State) },
		},
		number("CONNS", 5, 0, t.Text, func(l destinationRow) string { return say.Count(uint64(max(l.Stats.Connections, 0))) },
			func(a, b destinationRow) int { return cmp.Compare(a.Stats.Connections, b.Stats.Connections) }),
		rate("RECEIVING", 9, 2, t.Received, func(l destinationRow) float64 { return l.down }),
		rate("SENDING", 8, 3, t.Sent, func(l destinationRow) float64 { return l.up }),
		number("IDLE", 6, 1, t.Text, func(d destinationRow) string {
			switch idle, ok := d.idle(l.now); {
			case ok:
				return say.Age(idle)
			case d.Stats.Connections > 0:
				return ""
			}
			return t.Glyph.None
		}, func(a, b destinationRow) int { return b.Used.Compare(a.Used) }),
		number("AGE", 6, 5, t.Text, func(d destinationRow) string {
			if d.Opened.IsZero() {
				return t.Glyph.None
			}
			return say.Age(l.now.Sub(d.Opened))
		}, func(a, b destinationRow) int { return b.Opened.Compare(a.Opened) }),
		text("TASK", 10, 4, func(l destinationRow) string {
			if l.Direct {
				return "direct"
			}
			return l.Link.Target.Task
		}),
		session,
		{
			Title: "WHY", Sought: draw.AsText, Least: 21, Rest: true, Drop: 7, Ink: func(destinationRow) draw.Ink { return t.Bad },
			Text: func(l destinationRow) string {
				if l.Err == nil {
					return ""
				}
				return say.Line(l.Err.Error())
			},
		},
	}
}

// carriers returns the facts about what carries a destination.
func (l *look) carriers(d tunnel.Destination) []string {
	t := l.theme
	fact := func(name, value string) string {
		return t.Muted.Paint(name+" ") + t.CutMiddle(orNone(say.Line(value), t), 44)
	}
	if d.Direct {
		return []string{t.Text.Paint("directly from this machine"), t.Muted.Paint("it has no session: --via does not name it")}
	}
	facts := []string{fact("task", d.Link.Target.Task), fact("session", d.Link.Session), fact("agent", d.Link.Agent)}
	if d.Warm {
		facts = append(facts, t.Muted.Paint("kept open"))
	}
	return facts
}

// rules returns the facts about a tunnel to any host: through which service it leads, and to which hosts.
func (d *detail) rules(since string) []string {
	t, of := d.theme, d.row.Spec.Dynamic
	dot := " " + t.Muted.Paint(t.Glyph.Dot) + " "
	via := t.Muted.Paint("everything goes through a task")
	if len(of.Via) > 0 {
		via = t.Muted.Paint("via ") + say.Line(strings.Join(forms(of.Via), " ")) + t.Muted.Paint(", the rest directly")
	}
	if len(of.Deny) > 0 {
		via += dot + t.Muted.Paint("deny ") + say.Line(strings.Join(forms(of.Deny), " "))
	}
	return []string{
		" " + t.Muted.Paint("through ") + t.CutMiddle(say.Line(lasting(d.row.Spec).String()), 60) + dot +
			t.Muted.Paint(plural(capOf(of), "destination")+" at a time at most") + dot + t.Muted.Paint(d.row.State.String()+" ") + since,
		" " + via,
	}
}

// line joins facts to one line of w cells.
func (l *look) line(facts []string, w int) string {
	t := l.theme
	return t.Cut(" "+strings.Join(facts, " "+t.Muted.Paint(t.Glyph.Dot)+" "), w)
}

// keyed does what a key does to the destination under the cursor.
func (d *detail) keyed(k tea.KeyPressMsg) (wish, bool) {
	if d.side != destinationSheet {
		return nil, false
	}
	to, ok := d.destinations.Row()
	if !ok {
		return nil, false
	}
	if d.keys.in.Pressed(k) {
		return aboutDestination(d.row, to.Endpoint), true
	}
	return d.tunnels.actBehind(k, d.row, to.Destination)
}
