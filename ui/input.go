package ui

import (
	tea "charm.land/bubbletea/v2"
)

// key decides what a key press does: some keys work everywhere, then the dialog has them all, then the screen with the
// keyboard, and what that does not want belongs to the app.
func (a *app) key(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case is(k, a.keys.interrupt):
		return a.quit()
	case is(k, a.keys.suspend):
		return tea.Suspend
	case a.layout().tooSmall && a.dialog == nil:
		if is(k, a.keys.quit) {
			return a.askQuit()
		}
		return nil
	}
	cmd, taken := a.top().update(k)
	if taken || a.dialog != nil {
		return cmd
	}
	return tea.Batch(cmd, a.command(k))
}

// command is what the keys do that work in every screen.
func (a *app) command(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case is(k, a.keys.quit):
		return a.askQuit()
	case is(k, a.keys.help):
		a.ask(newHelp(a))
	case is(k, a.keys.nextPane):
		a.below = !a.below
	case is(k, a.keys.tunnels):
		a.below = true
	case is(k, a.keys.back):
		if a.below {
			a.below = false
		} else {
			a.leave()
		}
	case is(k, a.keys.log):
		a.show(newLog(a))
	case is(k, a.keys.saved):
		a.show(newSaved(a))
	case is(k, a.keys.save):
		return a.save()
	case is(k, a.keys.profile):
		a.ask(newProfiles(a))
	case is(k, a.keys.region):
		a.ask(newRegions(a))
	case is(k, a.keys.refresh):
		return tea.Batch(a.here.look(), a.hurry())
	}
	return nil
}

// mouse gives a click or the wheel to what lies under it, and the keyboard with a click.
func (a *app) mouse(msg tea.MouseMsg) tea.Cmd {
	if a.dialog != nil {
		at, _ := a.dialogBox()
		cmd, _ := a.dialog.update(moved(msg, at.inner()))
		return cmd
	}
	l := a.layout()
	if l.tooSmall {
		return nil
	}
	_, clicked := msg.(tea.MouseClickMsg)
	m := msg.Mouse()
	switch {
	case l.tunnels.inner().holds(m.X, m.Y):
		a.below = a.below || clicked
		cmd, _ := a.tunnels.update(moved(msg, l.tunnels.inner()))
		return cmd
	case l.body.inner().holds(m.X, m.Y):
		a.below = a.below && !clicked
		cmd, _ := a.page().update(moved(msg, l.body.inner()))
		return cmd
	}
	return nil
}

// moved is a mouse message with its place relative to a rectangle.
func moved(msg tea.MouseMsg, to rect) tea.Msg {
	switch msg := msg.(type) {
	case tea.MouseClickMsg:
		msg.X, msg.Y = msg.X-to.x, msg.Y-to.y
		return msg
	case tea.MouseWheelMsg:
		msg.X, msg.Y = msg.X-to.x, msg.Y-to.y
		return msg
	}
	return msg
}
