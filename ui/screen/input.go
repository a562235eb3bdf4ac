package screen

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/ui/draw"
)

// key decides what a key press does. Some keys work everywhere; all others go to the dialog if one is open, else to the screen
// with the keyboard, and what that does not take is the app's.
func (a *app) key(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case a.keys.interrupt.Pressed(k), k.Code == 'c' && k.Mod == tea.ModCtrl|tea.ModAlt: // esc and right after it ctrl+c come as one key
		return tea.Quit
	case a.keys.suspend.Pressed(k):
		return a.suspend()
	case a.layout().TooSmall && a.dialog == nil:
		if a.keys.quit.Pressed(k) {
			return a.grant(leaving())
		}
		return nil
	}
	w, taken := a.top().update(k)
	cmd := a.grant(w)
	if taken || a.dialog != nil {
		return cmd
	}
	return tea.Batch(cmd, a.command(k))
}

// suspend hands the terminal back to the shell. As tunnels stand still until the program goes on, the user is asked first;
// pressing the same key again means yes.
func (a *app) suspend() tea.Cmd {
	open := a.tunnels.open()
	if asked := a.dialog != nil && a.dialog == a.pausing; open == 0 || asked {
		if asked {
			a.grant(dismiss(a.pausing))
		}
		return tea.Suspend
	}
	what := fmt.Sprintf("%d tunnels stand still until fg:", open)
	if open == 1 {
		what = "One tunnel stands still until fg:"
	}
	q := newQuestion(a.look, "suspend", "suspend", func() wish { return beside(tea.Suspend) },
		what, "what goes through is held up, and cut off when it takes long.")
	a.pausing, a.beneath = q, a.dialog
	return a.grant(ask(q))
}

// command does what the keys do that work on every screen.
func (a *app) command(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case a.keys.nextPane.Pressed(k):
		a.below = !a.below
		return nil
	case a.keys.zoom.Pressed(k):
		a.zoomed = !a.zoomed
		return nil
	case a.keys.tunnels.Pressed(k):
		if r := a.browse.tunnel(); r != nil && !a.below && a.page() == a.browse {
			return a.grant(toTunnel(r))
		}
		a.below = true
		return nil
	case a.keys.reconnect.Pressed(k) && len(a.memory.left()) > 0:
		return a.grant(a.memory.again(a.o.KeepAlive))
	case a.keys.back.Pressed(k) && a.below:
		a.below = false
		return nil
	case a.keys.back.Pressed(k) && len(a.pages) > 0:
		a.leave()
		return nil
	case a.keys.refresh.Pressed(k):
		a.o.Codes.again()
		return a.grant(all(a.here.look(), hurry()))
	}
	for _, e := range a.everywhere() {
		if e.key.Pressed(k) {
			return a.grant(e.open())
		}
	}
	return a.grant(a.keys.elsewhere(k))
}

// twice is the second click of a double click, which may be anywhere on the line of the first.
type twice struct{ tea.MouseClickMsg }

// soon is how long after a click another one makes a double click. The time that drawing the screen after the first click takes
// does not count: on a slow machine that is longer than anybody's double click.
const soon = 400 * time.Millisecond

// clicked makes a double click (twice) of a click that follows another one soon, on the same line.
func (a *app) clicked(msg tea.MouseMsg) tea.MouseMsg {
	click, ok := msg.(tea.MouseClickMsg)
	if !ok || click.Button != tea.MouseLeft {
		return msg
	}
	now, before := a.touched, a.click
	if click.Y == before.y && now.Sub(before.at) < soon && now.Sub(before.at) >= 0 {
		a.click = lastClick{}
		return twice{click}
	}
	a.click = lastClick{at: now, y: click.Y}
	return msg
}

// lastClick is when and in which line of the window there was a click.
type lastClick struct {
	at time.Time
	y  int
}

// mouse gives a click or the wheel to what lies under it, and the keyboard with a click.
func (a *app) mouse(msg tea.MouseMsg) tea.Cmd {
	msg = a.clicked(msg)
	if a.dialog != nil {
		at, _ := a.dialogBox()
		w, _ := a.dialog.update(moved(msg, at.Inner()))
		return a.grant(w)
	}
	l := a.layout()
	if l.TooSmall {
		return nil
	}
	_, clicked := msg.(tea.MouseClickMsg)
	if _, again := msg.(twice); again {
		clicked = true
	}
	m := msg.Mouse()
	switch {
	case l.Below.Inner().Holds(m.X, m.Y):
		a.below = a.below || clicked
		w, _ := a.pane.update(moved(msg, l.Below.Inner()))
		return a.grant(w)
	case l.Body.Inner().Holds(m.X, m.Y):
		a.below = a.below && !clicked
		w, _ := a.page().update(moved(msg, l.Body.Inner()))
		return a.grant(w)
	}
	return nil
}

// moved returns a mouse message with its coordinates relative to a rectangle.
func moved(msg tea.MouseMsg, to draw.Rect) tea.Msg {
	switch msg := msg.(type) {
	case twice:
		msg.X, msg.Y = msg.X-to.X, msg.Y-to.Y
		return msg
	case tea.MouseClickMsg:
		msg.X, msg.Y = msg.X-to.X, msg.Y-to.Y
		return msg
	case tea.MouseWheelMsg:
		msg.X, msg.Y = msg.X-to.X, msg.Y-to.Y
		return msg
	}
	return msg
}
