package screen

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// step is a state in the past of a tunnel.
type step struct {
	tunnel.Event

	number int
	lasted time.Duration
}

func (s step) id() string { return strconv.FormatInt(s.At.UnixNano(), 10) + " " + s.State.String() }

// steps returns the states that a tunnel has had, and how long each lasted, the latest first.
func steps(history []tunnel.Event, now time.Time) []step {
	all := make([]step, len(history))
	for i, e := range history {
		until := now
		if i+1 < len(history) {
			until = history[i+1].At
		}
		all[i] = step{Event: e, number: i, lasted: until.Sub(e.At)}
	}
	slices.Reverse(all)
	return all
}

func (d *detail) historyColumns() []draw.Column[step] {
	t := d.theme
	return []draw.Column[step]{
		{Title: "WHEN", Least: 8, Most: 8, Text: func(s step) string { return s.At.Local().Format(time.TimeOnly) }, Order: func(a, b step) int { return a.At.Compare(b.At) }},
		{Title: "STATE", Least: 11, Most: 11, Text: func(s step) string { return s.State.String() }, Ink: func(s step) draw.Ink { return tone(t, s.State) }},
		{Title: "FOR", Least: 7, Most: 7, Right: true, Text: func(s step) string {
			if s.State.Final() {
				return ""
			}
			return say.Age(s.lasted)
		}, Order: func(a, b step) int { return cmp.Compare(a.lasted, b.lasted) }},
		{Title: "WHY", Least: 12, Grow: true, Text: func(s step) string {
			if s.Err == nil {
				return ""
			}
			return say.Line(s.Err.Error())
		}, Ink: func(step) draw.Ink { return t.Busy }},
		{Title: "TASK", Least: 10, Most: 32, Middle: true, Drop: 1, Text: func(s step) string { return say.Line(s.Link.Target.Task) }},
		{Title: "SESSION", Least: 17, Most: 40, Middle: true, Drop: 2, Text: func(s step) string { return say.Line(s.Link.Session) }},
		{Title: "AGENT", Least: 11, Most: 11, Drop: 3, Text: func(s step) string { return say.Line(s.Link.Agent) }},
	}
}
