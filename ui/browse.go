package ui

import tea "charm.land/bubbletea/v2"

// browse is the way from clusters to containers.
type browse struct {
	app *app
}

func newBrowse(a *app) *browse { return &browse{app: a} }

// arrive begins with another place.
func (b *browse) arrive() {}

// fresh shows a catalog that has arrived.
func (b *browse) fresh() {}

func (b *browse) title() string { return b.app.theme.strong.paint("clusters") }

func (b *browse) foot() string { return "" }

func (b *browse) help() []binding {
	return []binding{b.app.keys.in, b.app.keys.filter, b.app.keys.forward}
}

func (b *browse) draw(int, int) []string { return nil }

func (b *browse) update(tea.Msg) (tea.Cmd, bool) { return nil, false }
