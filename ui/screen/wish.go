package screen

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
)

// wish is what a page gives back: something that the event loop alone can do. It is granted before the next message is
// taken, so that a key that follows at once finds the screen as the wish has left it. nil is no wish.
type wish func(*app) tea.Cmd

// then is the message with which a command (tea.Cmd) reports that it has ended: a function that the event loop calls, in its own
// goroutine, and whose wish it grants. So the page that starts a command also says what happens with the result, and Update
// needs no message type for each command.
type then func() wish

// grant does what a page wishes.
func (a *app) grant(w wish) tea.Cmd {
	if w == nil {
		return nil
	}
	return w(a)
}

// all returns several wishes as one, which are granted in their order.
func all(wishes ...wish) wish {
	return func(a *app) tea.Cmd {
		cmds := make([]tea.Cmd, 0, len(wishes))
		for _, w := range wishes {
			cmds = append(cmds, a.grant(w))
		}
		return tea.Batch(cmds...)
	}
}

// later returns a wish that is only determined when it is granted, so after the wishes before it.
func later(w func() wish) wish {
	return func(a *app) tea.Cmd { return a.grant(w()) }
}

// pressing does what pressing a key would do.
func pressing(k tea.KeyPressMsg) wish {
	return func(a *app) tea.Cmd { return a.key(k) }
}

// beside runs a command, which may take long, outside of the event loop. The command returns a then, or nil.
func beside(cmd tea.Cmd) wish {
	return func(*app) tea.Cmd { return cmd }
}

// hurry has the screen be drawn at once.
func hurry() wish { return (*app).hurry }

// quit ends the program.
func quit() wish {
	return func(*app) tea.Cmd { return tea.Quit }
}

// goOn ends the program without closing some engines, whose tunnels go on in the background as the set with that name.
func goOn(name string, going []*tunnel.Engine) wish {
	return func(a *app) tea.Cmd {
		a.kept, a.going = name, going
		return a.grant(quit())
	}
}

// tell shows a notice about something that has happened.
func tell(text string) wish { return tellFor(keepNotice, text) }

// tellFor is tell for a notice that stays for span.
func tellFor(span time.Duration, text string) wish {
	return func(a *app) tea.Cmd {
		a.notice = notice{text: say.Line(text), until: a.now.Add(span)}
		return nil
	}
}

// fail shows a notice about an error, with its remedy.
func fail(err error) wish {
	return func(a *app) tea.Cmd {
		a.fail(err)
		return nil
	}
}

// failBeside is fail, unless a page is in sight that shows the error itself.
func failBeside(page screen, err error) wish {
	return func(a *app) tea.Cmd {
		if a.page() != page {
			a.fail(err)
		}
		return nil
	}
}

// ringsAgain is the least time between two rings, as tunnels are often lost together.
const ringsAgain = 2 * time.Second

// ring rings the terminal's bell, where the user wants that.
func ring(bell Bell) wish {
	return func(a *app) tea.Cmd {
		if a.o.Bell == BellNever || bell > a.o.Bell || a.now.Sub(a.rang) < ringsAgain && !a.rang.IsZero() {
			return nil
		}
		a.rang = a.now
		return tea.Raw("\a")
	}
}

// failedBelow shows a notice about a tunnel that has failed, unless its row is in sight. The reason and the remedy stand with the
// tunnel.
func failedBelow(r *row, err error) wish {
	return func(a *app) tea.Cmd {
		if under, ok := a.pane.table.Row(); ok && under == r || a.subject() == r {
			return nil
		}
		a.notice = notice{text: say.Line(err.Error()) + " (" + a.keys.tunnels.Shortest() + " leads there)", trouble: true, until: a.now.Add(keepTrouble)}
		return nil
	}
}

// copied puts text on the user's clipboards and says which of them has it. The text may have parts from others, so it is made
// safe, line by line: what is pasted is what was shown.
func copied(what, text string) wish {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = say.Line(line)
	}
	text = strings.Join(lines, "\n")
	return func(a *app) tea.Cmd {
		return func() tea.Msg {
			outcome := a.o.Clipboards.Copy(a.ctx, text)
			return then(func() wish {
				tellOf := receipted(receipt{what, text, outcome})
				if outcome.Terminal == "" {
					return tellOf
				}
				return all(tellOf, beside(tea.Raw(outcome.Terminal)))
			})
		}
	}
}

// receipted shows a receipt: as a notice if it fits into one line or a dialog is open, which shows the text
// itself; else in a box of its own.
func receipted(r receipt) wish {
	return func(a *app) tea.Cmd {
		n := r.notice(a.now)
		if _, old := a.dialog.(*receiptBox); old || a.dialog == nil && !n.fits(a.width) {
			return a.grant(ask(newReceiptBox(a.look, r)))
		}
		a.notice = n
		return nil
	}
}

// show puts a page on top of the others, and gives it the keyboard.
func show(page screen) wish {
	return func(a *app) tea.Cmd {
		a.pages, a.from = append(a.pages, page), append(a.from, a.below)
		a.below = false
		return nil
	}
}

// ask opens a dialog, instead of one that is open.
func ask(dialog screen) wish {
	return func(a *app) tea.Cmd {
		a.dialog = dialog
		return nil
	}
}

// dismiss closes a dialog, if it is still the one that is open.
func dismiss(dialog screen) wish {
	return func(a *app) tea.Cmd {
		if a.dialog == dialog {
			a.dialog = nil
			if a.pausing == dialog {
				a.dialog, a.beneath, a.pausing = a.beneath, nil, nil
			}
		}
		return nil
	}
}

// goBelow gives the keyboard to the pane of tunnels.
func goBelow() wish {
	return func(a *app) tea.Cmd {
		a.below = true
		return nil
	}
}

// toBrowser shows the browser, and grants what then wishes.
func toBrowser(then func(*browse) wish) wish {
	return func(a *app) tea.Cmd {
		a.pages, a.from, a.below = nil, nil, false
		return a.grant(then(a.browse))
	}
}

// toTunnel gives the keyboard to the pane of tunnels, and puts the cursor on one of them.
func toTunnel(r *row) wish { return all(goBelow(), pointAt(r)) }

// pointAt puts the cursor of the pane of tunnels on a row.
func pointAt(r *row) wish {
	return func(a *app) tea.Cmd {
		a.pane.pointAt(r)
		return nil
	}
}

// goTo shows the account of a profile and region; if the user has looked at it before, as it was left.
func goTo(profile, region string) wish {
	return func(a *app) tea.Cmd {
		a.here = a.place(profile, region, "")
		a.browse.arrive()
		return a.grant(a.here.look())
	}
}

// refreshed is granted when a place has another catalog, so that pages show it.
func refreshed(p *place) wish {
	return func(a *app) tea.Cmd {
		if p != a.here {
			return nil
		}
		a.browse.fresh()
		arrived := all(a.browse.arrived(), pressEarly())
		if page, ok := a.page().(interface{ renew(p *place) wish }); ok {
			arrived = all(arrived, page.renew(p))
		}
		if dialog, ok := a.dialog.(interface{ renew(p *place) wish }); ok {
			arrived = all(arrived, dialog.renew(p))
		}
		return a.grant(arrived)
	}
}

// pressOn presses keys that waited for a page, if the page is still in sight.
func pressOn(page screen, keys []tea.KeyPressMsg) wish {
	return func(a *app) tea.Cmd {
		if a.top() != page {
			return nil
		}
		var cmds []tea.Cmd
		for _, k := range keys {
			cmds = append(cmds, a.key(k))
		}
		return tea.Batch(cmds...)
	}
}

// pressEarly presses the keys that were pressed in the browser before its rows were there, if those are there now. If the user is
// on another page by then, the keys are dropped.
func pressEarly() wish {
	return func(a *app) tea.Cmd {
		var cmds []tea.Cmd
		waiting := a.browse.early
		a.browse.early = nil
		for i, k := range waiting {
			onIt := a.top() == screen(a.browse)
			if i == 0 && !onIt {
				break
			}
			if onIt && a.browse.lacks(k) {
				a.browse.early = append(a.browse.early, waiting[i:]...)
				break
			}
			cmds = append(cmds, a.key(k))
		}
		return tea.Batch(cmds...)
	}
}

// joined has the events of a place's new engine be followed.
func joined(p *place) wish {
	return func(a *app) tea.Cmd { return a.tunnels.follow(p) }
}

// begin opens the tunnels that are wanted from the start, in a place whose account is open now.
func begin(p *place) wish {
	return func(a *app) tea.Cmd { return a.grant(a.tunnels.begin(p)) }
}
