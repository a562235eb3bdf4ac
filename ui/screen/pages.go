package screen

import (
	"net/url"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// everywhere returns the pages and dialogs that a key opens whatever is on the screen. A new one needs a file of its own and a
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
		{a.keys.jump, jumping},
		{a.keys.all, func() wish { return toBrowser((*browse).showAll) }},
		{a.keys.hosts, func() wish { return privateHosts(a.here.survey(a.browse.part()), "") }},
		{a.keys.log, func() wish { return show(newLog(a.look, a.o.Log)) }},
		{a.keys.saved, func() wish { return show(newSaved(a.look, a.accounts, a.tunnels, a.shelf, a.o)) }},
		{a.keys.save, func() wish { return a.shelf.save(a.tunnels, a.meant()) }},
		{a.keys.profile, func() wish { return ask(newProfiles(a.look, a.here, a.o.Profiles)) }},
		{a.keys.region, func() wish { return ask(newRegions(a.look, a.here)) }},
		{a.keys.why, readWhole},
		{a.keys.signIn, func() wish { return signIn(a.ctx, a.tunnels, a.here) }},
		{a.keys.undo, a.tunnels.undo},
		{a.keys.quit, leaving},
	}
}

// The pages that one page can open by a wish, without knowing them.

// jumping opens the jump dialog; names of clusters and services that are not known yet are asked for, once.
func jumping() wish {
	return func(a *app) tea.Cmd {
		fixed := slices.Concat(goalsOf(a.tunnels, a.memory, a.shelf, a.o.KeepAlive), privateGoals(a.here), a.keys.keyGoals())
		j := newJump(a.look, a.here, fixed, func(to aws.Target) wish {
			return toBrowser(func(b *browse) wish { return b.seek(to) })
		})
		return a.grant(all(ask(j), a.here.askNames()))
	}
}

// awaitCode waits for the next question for a one-time code and opens a dialog for it, which waits for the one after that.
func awaitCode() wish {
	return func(a *app) tea.Cmd {
		if a.o.Codes == nil {
			return nil
		}
		return func() tea.Msg {
			q, ok := a.o.Codes.next(a.ctx)
			if !ok {
				return nil
			}
			return then(func() wish {
				return func(a *app) tea.Cmd { return a.grant(ask(newCodeBox(a.look, q, a.dialog))) }
			})
		}
	}
}

// startSaved shows the saved tunnels, and starts one line of them.
func startSaved(kind, name string) wish {
	return func(a *app) tea.Cmd {
		p := newSaved(a.look, a.accounts, a.tunnels, a.shelf, a.o)
		return a.grant(all(show(p), p.startLine(kind+" "+name)))
	}
}

// hostOn shows the page about a tunnel, with the cursor on one of its hosts.
func hostOn(r *row, host string) wish {
	return func(a *app) tea.Cmd {
		d := newDetail(a.look, a.tunnels, r)
		d.toHost(host)
		return a.grant(show(d))
	}
}

// forwardToAll opens the dialog for tunnels to several rows of the browser; opened is called when they are open.
func forwardToAll(p *place, entries []entry, opened func()) wish {
	return func(a *app) tea.Cmd {
		d := newSeveral(a.look, a.tunnels, p, entries, proposals{span: a.o.KeepAlive}, opened)
		return a.grant(all(ask(d), d.askFree(d.forks)))
	}
}

// forwardTo opens the dialog for a tunnel to a row of the browser.
func forwardTo(p *place, e entry) wish {
	return func(a *app) tea.Cmd {
		d := newConnect(a.look, a.tunnels, p, e, a.proposals())
		return a.grant(all(ask(d), d.askFree()))
	}
}

// privateHosts shows the private destinations of a part of an account, with the cursor on one of them. There is only one such
// page.
func privateHosts(s *survey, id string) wish {
	return func(a *app) tea.Cmd {
		for len(a.pages) > 0 {
			_, list := a.page().(*hostsPage)
			if _, one := a.page().(*hostPage); !list && !one {
				break
			}
			a.leave()
		}
		p := newHosts(a.look, a.accounts, a.tunnels, s, a.o.ReadOnly)
		if id != "" {
			p.reveal(id)
		}
		return a.grant(all(show(p), p.ask()))
	}
}

// aboutHost shows the page about a private destination.
func aboutHost(s *survey, l hostRow) wish {
	return func(a *app) tea.Cmd { return a.grant(show(newHost(a.look, s, l, a.o.ReadOnly))) }
}

// enterHost runs the program for a private database on this terminal.
func enterHost(s *survey, l hostRow) wish {
	return func(a *app) tea.Cmd { return a.grant(enterDatabase(a.ctx, s, l, a.o)) }
}

// forwardToHost opens the dialog for a tunnel to a private destination, through one of the ways to it.
func forwardToHost(s *survey, l hostRow, way int) wish {
	return func(a *app) tea.Cmd {
		d := newConnect(a.look, a.tunnels, s.place, s.entry(l.ways[way]), a.proposals())
		d.leadTo(s, l, way)
		return a.grant(all(ask(d), d.askFree()))
	}
}

// anyHostThrough opens the dialog for a tunnel to any host through a row of the browser.
func anyHostThrough(p *place, e entry) wish {
	return func(a *app) tea.Cmd {
		d := newConnect(a.look, a.tunnels, p, e, a.proposals())
		d.leadAnywhere()
		return a.grant(all(ask(d), d.askFree()))
	}
}

// proposals returns the values with which the forward dialog begins.
func (a *app) proposals() proposals {
	return proposals{family: a.familyToRun(), span: a.o.KeepAlive, anyHost: a.o.AnyHost, linkLocal: a.o.LinkLocal, demo: a.o.Demo, action: a.o.Action, checkProbe: a.o.CheckProbe}
}

// familyToRun is the family of the task definition that is run where the user names none; empty: nothing can be started.
func (a *app) familyToRun() string {
	if a.o.Errand == nil {
		return ""
	}
	return a.o.Family
}

// editForward opens the dialog with the values of a tunnel that is over.
func editForward(r *row) wish {
	return func(a *app) tea.Cmd {
		d := newConnect(a.look, a.tunnels, r.place, entryOf(r.place.catalog, r.again().spec), proposals{
			family: a.familyToRun(), linkLocal: a.o.LinkLocal, demo: a.o.Demo, checkProbe: a.o.CheckProbe,
		})
		d.change(r)
		return a.grant(all(ask(d), d.askFree()))
	}
}

// meant returns the tunnels that a key is for: the one under the cursor or the one that the page in sight is about, else all.
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

// aboutDestination shows the page about a destination of a tunnel to any host.
func aboutDestination(r *row, to tunnel.Endpoint) wish {
	return func(a *app) tea.Cmd { return a.grant(all(show(newDestination(a.look, a.tunnels, r, to)), hurry())) }
}

// destinationOn shows the page about a tunnel, with the cursor on one of its destinations.
func destinationOn(r *row, name string) wish {
	return func(a *app) tea.Cmd {
		d := newDetail(a.look, a.tunnels, r)
		d.toDestination(name)
		return a.grant(show(d))
	}
}

// leaving ends the program, after a question while tunnels are open.
func leaving() wish {
	return func(a *app) tea.Cmd {
		if a.tunnels.open()+a.tunnels.starting() == 0 {
			return a.grant(quit())
		}
		var k *keeper
		if a.o.Keep != nil && a.tunnels.open() > 0 {
			k = &keeper{tunnels: a.tunnels, keep: a.o.Keep, reopens: a.o.Reopens, demo: a.o.Demo, profile: a.o.Profile, region: a.o.Region}
		}
		return a.grant(ask(newDeparture(a.look, a.tunnels, k)))
	}
}

// describe shows the page about a row of the browser, and asks ECS about it.
func describe(p *place, e entry) wish {
	return func(a *app) tea.Cmd {
		d := newDescription(a.look, p, e, a.o.Open)
		return a.grant(all(show(d), d.ask()))
	}
}

// shellFor opens a shell in a task or container.
func shellFor(p *place, e entry) wish {
	return func(a *app) tea.Cmd { return a.grant(enterContainer(a.ctx, p, e, a.o.ReadOnly)) }
}

// onConsole opens the page about a row of the browser in AWS's console.
func onConsole(p *place, e entry) wish {
	return func(a *app) tea.Cmd { return a.grant(console(p, e, a.o.Open)) }
}

// askProbe asks for a URL that the doctor is to reach as well, and then consults it.
func askProbe(p *place, q aws.Query, far tunnel.Spec, before string) wish {
	return func(a *app) tea.Cmd {
		about := examination{place: p, query: q, remote: far.Remote, dynamic: far.Dynamic}.subject()
		return a.grant(ask(newProbe(a.look, about, before, a.o.LinkLocal, func(probe *url.URL) wish { return examine(p, q, far, probe) })))
	}
}

// keepReports is how many of the doctor's reports are kept, so that the user can come back to them.
const keepReports = 20

// consult shows the doctor's page about a port of a target, or about a host behind it.
func consult(p *place, q aws.Query, remote tunnel.Endpoint) wish {
	return examine(p, q, tunnel.Spec{Remote: remote}, nil)
}

// examine shows the doctor's page about a target and the far end of a tunnel there. An examination of the same is shown as it was
// left.
func examine(p *place, q aws.Query, far tunnel.Spec, probe *url.URL) wish {
	return func(a *app) tea.Cmd {
		e := examination{
			ctx: a.ctx, under: &a.examining, place: p, query: q, remote: far.Remote, dynamic: far.Dynamic, probe: probe, roots: a.o.Roots, linkLocal: a.o.LinkLocal, relay: a.o.Relay, build: a.o.Build,
		}
		if _, on := a.page().(*doctorPage); on {
			a.leave() // there is only one page of the doctor
		}
		i := slices.IndexFunc(a.reports, func(d *doctorPage) bool { return d.same(e) })
		if i >= 0 && a.reports[i].finished() {
			return a.grant(all(show(a.reports[i]), hurry()))
		}
		d := newDoctor(a.look, e)
		if i >= 0 {
			a.reports = slices.Delete(a.reports, i, i+1)
		}
		if a.reports = append(a.reports, d); len(a.reports) > keepReports {
			a.reports = slices.Delete(a.reports, 0, 1)
		}
		return a.grant(all(show(d), d.examine()))
	}
}

// readWhole opens a dialog with the whole text of the errors that are in sight: first of the part that has the keyboard, then of
// the others.
func readWhole() wish {
	return func(a *app) tea.Cmd {
		var found []error
		add := func(failures ...error) {
			for _, err := range failures {
				same := func(other error) bool {
					return strings.Contains(other.Error(), err.Error()) && say.Remedy(other) == say.Remedy(err)
				}
				if err != nil && !slices.ContainsFunc(found, same) {
					found = append(found, err)
				}
			}
		}
		for _, s := range []screen{a.top(), a.page(), a.pane} {
			if s, ok := s.(interface{ failing() []error }); ok {
				add(s.failing()...)
			}
		}
		if a.notice.trouble {
			add(&whole{a.notice.text, a.notice.remedy})
		}
		if len(found) == 0 {
			return a.grant(tell("nothing that is in sight has failed"))
		}
		return a.grant(ask(newReader(a.look, found)))
	}
}

// confirm asks the user before something is done that cannot be undone.
func confirm(name, doing string, agreed func() wish, text ...string) wish {
	return func(a *app) tea.Cmd { return a.grant(ask(newQuestion(a.look, name, doing, agreed, text...))) }
}

// chooseNumbered lets the user pick one of a few choices, by its number or its name.
func chooseNumbered(name string, choices []choice, chosen func(int) wish) wish {
	return func(a *app) tea.Cmd { return a.grant(ask(newNumbered(a.look, name, choices, chosen))) }
}
