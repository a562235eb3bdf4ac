package screen

import (
	"time"

	tea "charm.land/bubbletea/v2"
)

// How often the screen is drawn by itself: while somebody looks at it, while nobody does, and while nothing changes.
const (
	lively = 100 * time.Millisecond
	calm   = time.Second
)

// tickMsg is one tick. beat is the number of its series; ticks of a series before the running one are ignored.
type tickMsg struct{ beat int }

// hurry starts a new series of ticks, the first of which comes at once.
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

// tick brings everything up to date that changes by itself.
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
