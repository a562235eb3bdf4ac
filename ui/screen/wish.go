package screen

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
)

// wish is what a page gives back: something that the event loop alone can do. It is granted before the next message is
// taken, so that a key that follows at once finds the screen as the wish has left it. nil is no wish.
type wish func(*app) tea.Cmd

// then is a message that says by itself what it does: the end of a command of whoever wrote it.
type then func() wish

// grant does what a page wishes.
func (a *app) grant(w wish) tea.Cmd {
	if w == nil {
		return nil
	}
	return w(a)
}

// all are several wishes, granted in their order.
func all(wishes ...wish) wish {
	return func(a *app) tea.Cmd {
		cmds := make([]tea.Cmd, 0, len(wishes))
		for _, w := range wishes {
			cmds = append(cmds, a.grant(w))
		}
		return tea.Batch(cmds...)
	}
}

// beside starts what takes its time, beside the event loop. What comes of it is a then.
func beside(cmd tea.Cmd) wish {
	return func(*app) tea.Cmd { return cmd }
}

// hurry has the screen drawn now, and as often as is due after that.
func hurry() wish { return (*app).hurry }

// quit ends the program.
func quit() wish {
	return func(*app) tea.Cmd { return tea.Quit }
}

// goOn ends the program while engines go on, whose tunnels are in the background as a set of that name.
func goOn(name string, going []*tunnel.Engine) wish {
	return func(a *app) tea.Cmd {
		a.kept, a.going = name, going
		return a.grant(quit())
	}
}

// tell says something that has happened in the line above the keys.
func tell(text string) wish {
	return func(a *app) tea.Cmd {
		a.notice = notice{text: say.Line(text), until: a.now.Add(keepNotice)}
		return nil
	}
}

// fail tells what went wrong, and what to do about it.
func fail(err error) wish {
	return func(a *app) tea.Cmd {
		a.fail(err)
		return nil
	}
}

// failBeside is fail for a page that tells the error itself while it is in sight.
func failBeside(page screen, err error) wish {
	return func(a *app) tea.Cmd {
		if a.page() != page {
			a.fail(err)
		}
		return nil
	}
}

// copied puts text on the user's clipboards and says which of them has it. What is in it of strangers is made safe line
// by line: what is pasted is what was shown.
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

// receipted tells what became of a text: in the line above the keys if it fits there or a dialog is open, which shows it
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

// show puts a page on top, and gives it the keyboard.
func show(page screen) wish {
	return func(a *app) tea.Cmd {
		a.pages = append(a.pages, page)
		a.below = false
		return nil
	}
}

// ask opens a dialog; it takes the place of another.
func ask(dialog screen) wish {
	return func(a *app) tea.Cmd {
		a.dialog = dialog
		return nil
	}
}

// dismiss closes a dialog, unless another has taken its place.
func dismiss(dialog screen) wish {
	return func(a *app) tea.Cmd {
		if a.dialog == dialog {
			a.dialog = nil
		}
		return nil
	}
}

// goBelow gives the keyboard to the tunnels.
func goBelow() wish {
	return func(a *app) tea.Cmd {
		a.below = true
		return nil
	}
}

// goTo shows the account of a profile and region: one that was looked at before as it was left, else a new one.
func goTo(profile, region string) wish {
	return func(a *app) tea.Cmd {
		a.here = a.place(profile, region, "")
		a.browse.arrive()
		return a.grant(a.here.look())
	}
}

// refreshed tells that a place has another catalog.
func refreshed(p *place) wish {
	return func(a *app) tea.Cmd {
		if p == a.here {
			a.browse.fresh()
		}
		if page, ok := a.page().(interface{ renew(p *place) wish }); ok {
			return a.grant(page.renew(p))
		}
		return nil
	}
}

// joined tells that a place has an engine: what its tunnels do is followed from now on.
func joined(p *place) wish {
	return func(a *app) tea.Cmd { return a.tunnels.follow(p) }
}

// begin opens the tunnels that are wanted from the beginning, in a place that can be used now.
func begin(p *place) wish {
	return func(a *app) tea.Cmd { return a.grant(a.tunnels.begin(p)) }
}
