package screen

import (
	"time"

	tea "charm.land/bubbletea/v2"
)

// How often the screen is drawn by itself: while somebody looks, while nobody does, and while nothing moves.
const (
	lively = 100 * time.Millisecond
	calm   = time.Second
)

// tickMsg is one beat of the series that is running; those of older series are over.
type tickMsg struct{ beat int }

// hurry starts a new series of ticks with one right now.
func (a *app) hurry() tea.Cmd {
	a.beat++
	beat := a.beat
	return func() tea.Msg { return tickMsg{beat} }
}

// watch finds out what is in sight, and whether anybody looks.
func (a *app) watch() {
	a.inSight = a.page() == a.browse && (!a.zoomed || !a.below)
	a.unwatched = a.blurred || a.now.Sub(a.touched) >= unwatchedAfter
}

// tick brings everything that changes by itself up to date.
func (a *app) tick(msg tickMsg) tea.Cmd {
	if msg.beat != a.beat {
		return nil
	}
	a.now = a.o.Now()
	a.frames++
	a.notice.fade(a.now)
	a.watch()
	cmd := a.grant(all(a.here.tick(), a.tunnels.tick(), a.memory.tick()))
	if page, ok := a.page().(interface{ tick() }); ok {
		page.tick()
	}
	if page, ok := a.page().(interface{ ask() wish }); ok {
		cmd = tea.Batch(cmd, a.grant(page.ask()))
	}
	pace := calm
	if page, ok := a.page().(interface{ busy() bool }); !a.blurred && (a.tunnels.open()+a.tunnels.starting() > 0 || a.here.busy() || ok && page.busy()) {
		pace = lively
	}
	return tea.Batch(cmd, tea.Tick(pace, func(time.Time) tea.Msg { return msg }))
}
