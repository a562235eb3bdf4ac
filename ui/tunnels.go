package ui

import tea "charm.land/bubbletea/v2"

// tunnelsPane shows what the tunnels do.
type tunnelsPane struct{ app *app }

func newTunnels(a *app) *tunnelsPane { return &tunnelsPane{app: a} }

func (p *tunnelsPane) title() string                  { return p.app.theme.strong.paint("tunnels") }
func (p *tunnelsPane) foot() string                   { return "" }
func (p *tunnelsPane) help() []binding                { return nil }
func (p *tunnelsPane) draw(int, int) []string         { return nil }
func (p *tunnelsPane) update(tea.Msg) (tea.Cmd, bool) { return nil, false }
func (p *tunnelsPane) tick() tea.Cmd                  { return nil }
func (p *tunnelsPane) open() int                      { return 0 }
func (p *tunnelsPane) wanted() int                    { return 3 }
func (p *tunnelsPane) follow(*place) tea.Cmd          { return nil }
