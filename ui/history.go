package ui

import (
	"slices"
	"strconv"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
)

// step is a state in the past of a tunnel.
type step struct {
	tunnel.Event

	number int
	lasted time.Duration
}

func (s step) id() string { return strconv.FormatInt(s.At.UnixNano(), 10) + " " + s.State.String() }

// steps are the states of a tunnel with how long each lasted, the latest first.
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

func (d *detail) historyColumns() []column[step] {
	t := d.app.theme
	return []column[step]{
		{title: "WHEN", least: 8, most: 8, text: func(s step) string { return s.At.Local().Format(time.TimeOnly) }, order: func(a, b step) int { return a.At.Compare(b.At) }},
		{title: "STATE", least: 11, most: 11, text: func(s step) string { return s.State.String() }, ink: func(s step) ink { return t.tone(s.State) }},
		{title: "FOR", least: 7, most: 7, right: true, text: func(s step) string {
			if s.State.Final() {
				return ""
			}
			return ageText(s.lasted)
		}, order: func(a, b step) int { return int(a.lasted - b.lasted) }},
		{title: "WHY", least: 12, grow: true, text: func(s step) string {
			if s.Err == nil {
				return ""
			}
			return say.Line(s.Err.Error())
		}, ink: func(step) ink { return t.busy }},
		{title: "TASK", least: 10, most: 10, drop: 1, text: func(s step) string { return shortID(t, s.Link.Target.Task, 10) }},
		{title: "SESSION", least: 17, most: 17, drop: 2, text: func(s step) string { return shortID(t, s.Link.Session, 17) }},
		{title: "AGENT", least: 11, most: 11, drop: 3, text: func(s step) string { return say.Line(s.Link.Agent) }},
	}
}

// shortID is the end of an id, which tells it from others.
func shortID(t *theme, id string, w int) string { return t.cutMiddle(say.Line(id), w) }
