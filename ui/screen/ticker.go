package screen

import (
	"fmt"
	"time"

	"culvert/tunnel"
)

// Bell says for what the terminal's bell rings.
type Bell int

// The bells.
const (
	BellLost  Bell = iota // for a tunnel that was open and is lost
	BellAll               // for that, and for a lost tunnel that is open again
	BellNever             // for nothing
)

// happening is the last event that the screen tells about a tunnel.
type happening struct {
	at   time.Time
	text string
}

// turned is called when a tunnel has changed: it tells the user of a new state, and may ring the bell.
func (ts *tunnels) turned(r *row, at time.Time) wish {
	name := r.local()
	happened := func(text string) { ts.last = happening{at: at, text: name + " " + text} }
	lost := func(text string) wish {
		if !r.lost.IsZero() {
			return nil // the user knows of it
		}
		r.lost = at
		happened(text)
		return ring(BellLost)
	}
	before := r.told
	r.told = r.State
	switch r.State {
	case tunnel.Open:
		if before == tunnel.Open {
			return nil // its session or its relay has changed
		}
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

// ticker is the text of the last happening, with its time; empty while there was none.
func (ts *tunnels) ticker() string {
	if ts.last.at.IsZero() {
		return ""
	}
	return ts.last.at.Local().Format(time.TimeOnly) + " " + ts.last.text
}

// summary says for the title of the window how many tunnels are open and how many are in trouble.
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
