package screen

import (
	"fmt"
	"time"

	"culvert/tunnel"
)

// Bell says when the terminal rings.
type Bell int

// The bells.
const (
	BellLost  Bell = iota // when a tunnel that was open is lost
	BellAll               // and when it is back
	BellNever             // not at all
)

// happening is the last that happened to a tunnel.
type happening struct {
	at   time.Time
	text string
}

// turned takes in that a tunnel is in another state than before.
func (ts *tunnels) turned(r *row, at time.Time) wish {
	name := r.local()
	happened := func(text string) { ts.last = happening{at: at, text: name + " " + text} }
	lost := func(text string) wish {
		if !r.lost.IsZero() {
			return nil // that is known
		}
		r.lost = at
		happened(text)
		return ring(BellLost)
	}
	switch r.State {
	case tunnel.Open:
		back := r.lost
		again := r.worked || r.asked
		r.worked, r.asked, r.lost = true, false, time.Time{}
		switch {
		case !back.IsZero():
			happened("open again after " + at.Sub(back).Round(100*time.Millisecond).String())
			return ring(BellAll)
		case again:
			happened("open again")
		default:
			happened("open")
		}
	case tunnel.Reopening:
		switch {
		case r.asked:
			happened("reconnecting")
		case r.worked:
			return lost("lost: " + word(r.Err))
		}
	case tunnel.Failed:
		if !r.worked {
			happened("failed: " + word(r.Err))
			return failedBelow(r, fmt.Errorf("tunnel %s failed: %s", name, word(r.Err)))
		}
		w := lost("lost: " + word(r.Err))
		happened("lost: " + word(r.Err))
		return all(w, failedBelow(r, fmt.Errorf("tunnel %s was lost: %s", name, word(r.Err))))
	case tunnel.Asleep:
		happened("asleep")
	case tunnel.Closed:
		happened("stopped")
	case tunnel.Starting, tunnel.Handshaking, tunnel.Resuming:
	}
	return nil
}

// ticker is the last that happened, with its time; empty while nothing has.
func (ts *tunnels) ticker() string {
	if ts.last.at.IsZero() {
		return ""
	}
	return ts.last.at.Local().Format(time.TimeOnly) + " " + ts.last.text
}

// summary is how the tunnels stand, for the title of the window: how many are open, how many are in trouble.
func (ts *tunnels) summary() string {
	g := ts.look.theme.Glyph
	var open, ill int
	for _, r := range ts.rows {
		switch {
		case r.State == tunnel.Failed || ts.ailment(r) != nil || !r.lost.IsZero() && r.State != tunnel.Closed:
			ill++
		case r.State == tunnel.Open:
			open++
		}
	}
	text := "culvert"
	if open > 0 {
		text += fmt.Sprintf(" %s %d", g.On, open)
	}
	if ill > 0 {
		text += fmt.Sprintf(" %s %d", g.Off, ill)
	}
	return text
}
