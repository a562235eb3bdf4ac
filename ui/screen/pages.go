package screen

import (
	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// everywhere are the pages and dialogs that a key opens whatever is on the screen. A new one is a file of its own and a
// line here.
func (a *app) everywhere() []struct {
	key  draw.Binding
	open func() wish
} {
	return []struct {
		key  draw.Binding
		open func() wish
	}{
		{a.keys.help, func() wish { return ask(newHelp(a.look)) }},
		{a.keys.log, func() wish { return show(newLog(a.look, a.o.Log)) }},
		{a.keys.saved, func() wish { return show(newSaved(a.look, a.accounts, a.tunnels, a.shelf, a.o)) }},
		{a.keys.save, func() wish { return a.shelf.save(a.tunnels, a.meant()) }},
		{a.keys.profile, func() wish { return ask(newProfiles(a.look, a.here, a.o.Profiles)) }},
		{a.keys.region, func() wish { return ask(newRegions(a.look, a.here)) }},
		{a.keys.quit, leaving},
	}
}

// The pages that are about something, which one page wishes of another without knowing it.

// forwardTo opens the dialog for a tunnel to a row of the browser.
func forwardTo(p *place, e entry) wish {
	return func(a *app) tea.Cmd {
		d := newConnect(a.look, a.tunnels, p, e, proposals{
			span: a.o.KeepAlive, linkLocal: a.o.LinkLocal, demo: a.o.Demo, action: a.o.Action, checkProbe: a.o.CheckProbe,
		})
		return a.grant(all(ask(d), d.askFree()))
	}
}

// meant are the tunnels that a key is for: the one under the cursor or that the page in sight is about, else all.
func (a *app) meant() []*row {
	if r, ok := a.pane.table.Row(); ok && a.below {
		return []*row{r}
	}
	if r := a.subject(); r != nil && !a.below {
		return []*row{r}
	}
	return a.tunnels.rows
}

// fillIn opens the dialog about a saved tunnel or group.
func fillIn(c Change) wish {
	return func(a *app) tea.Cmd { return a.grant(ask(newSavedForm(a.look, a.shelf, c, a.o))) }
}

// details shows the page about a tunnel.
func details(r *row) wish {
	return func(a *app) tea.Cmd { return a.grant(all(show(newDetail(a.look, a.tunnels, r)), hurry())) }
}

// leaving ends the program, after a question while tunnels are open.
func leaving() wish {
	return func(a *app) tea.Cmd {
		if a.tunnels.open() == 0 {
			return a.grant(quit())
		}
		var k *keeper
		if a.o.Keep != nil {
			k = &keeper{tunnels: a.tunnels, keep: a.o.Keep, reopens: a.o.Reopens, demo: a.o.Demo, profile: a.o.Profile, region: a.o.Region}
		}
		return a.grant(ask(newDeparture(a.look, a.tunnels.open(), k)))
	}
}

// describe shows the page about a row of the browser, and asks ECS about it.
func describe(p *place, e entry) wish {
	return func(a *app) tea.Cmd {
		d := newDescription(a.look, p, e, a.o.Open)
		return a.grant(all(show(d), d.ask()))
	}
}

// onConsole opens the page about a row of the browser in AWS's console.
func onConsole(p *place, e entry) wish {
	return func(a *app) tea.Cmd { return a.grant(console(p, e, a.o.Open)) }
}

// consult shows the doctor's page about a target and begins to examine it.
func consult(p *place, q aws.Query, remote tunnel.Endpoint) wish {
	return func(a *app) tea.Cmd {
		d := newDoctor(a.look, examination{ctx: a.ctx, under: &a.examining, place: p, query: q, remote: remote, linkLocal: a.o.LinkLocal})
		return a.grant(all(show(d), d.examine()))
	}
}

// confirm asks the user before something is done that cannot be undone.
func confirm(name, doing string, agreed func() wish, text ...string) wish {
	return func(a *app) tea.Cmd { return a.grant(ask(newQuestion(a.look, name, doing, agreed, text...))) }
}

// chooseNumbered lets the user pick one of a few, by its number or by its name.
func chooseNumbered(name string, choices []choice, chosen func(int) wish) wish {
	return func(a *app) tea.Cmd { return a.grant(ask(newNumbered(a.look, name, choices, chosen))) }
}
