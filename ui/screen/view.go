package screen

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/ui/draw"
)

// View draws the window.
func (a *app) View() tea.View {
	v := tea.NewView(a.guardedScreen())
	v.AltScreen = true
	v.ReportFocus = true
	v.WindowTitle = a.tunnels.summary()
	if _, selecting := a.dialog.(*receiptBox); !a.o.NoMouse && !selecting {
		v.MouseMode = tea.MouseModeCellMotion
	}
	if !a.pointed.IsZero() {
		a.click.at = a.click.at.Add(a.o.Now().Sub(a.pointed))
		a.pointed = time.Time{}
	}
	return v
}

// guardedScreen returns the screen. A panic while it is drawn ends the program with the next message.
func (a *app) guardedScreen() (content string) {
	defer func() {
		if value := recover(); value != nil {
			a.panicked(value)
		}
	}()
	return a.screen()
}

// page returns the page that fills the body.
func (a *app) page() screen {
	if n := len(a.pages); n > 0 {
		return a.pages[n-1]
	}
	return a.browse
}

// subject returns the tunnel that the page in sight is about; nil when it is about none.
func (a *app) subject() *row {
	if page, ok := a.page().(interface{ subject() *row }); ok {
		return page.subject()
	}
	return nil
}

func (a *app) layout() draw.Layout {
	a.pane.above, a.pane.read = a.subject(), a.below
	return draw.Arrange(a.width, a.height, draw.Wanted{
		Below: a.pane.wanted(a.width - 2), Notice: a.notice.lines(a.look, a.width), Alone: a.zoomed, Lower: a.below,
	})
}

// screen is the whole window as text.
func (a *app) screen() string {
	if a.width <= 0 || a.height <= 0 {
		return "" // the terminal has not told its size yet
	}
	t, l := a.theme, a.layout()
	lines := make([]string, 0, a.height)
	if l.TooSmall {
		lines = t.Fill(a.tooSmall(), a.width, a.height)
	} else {
		lines = append(lines, t.Fit(a.header(l.Header.W), l.Header.W))
		lines = append(lines, a.framed(a.page(), l.Body, !a.below)...)
		lines = append(lines, a.framed(a.pane, l.Below, a.below)...)
		notice := a.notice.draw(a.look, l.Notice.W)
		if a.notice.text == "" {
			notice = []string{" " + t.Muted.Paint(t.Cut(a.tunnels.ticker(), l.Notice.W-2))}
		}
		lines = append(lines, t.Fill(notice, l.Notice.W, l.Notice.H)...)
		lines = append(lines, t.Fit(a.bottomLine(l.Keys.W), l.Keys.W))
	}
	if a.dialog != nil {
		r, drawn := a.dialogBox()
		lines = t.Over(lines, t.Frame(a.dialog.title(), a.dialog.foot(), drawn, r.W, r.H, true), r.X, r.Y)
	}
	content := strings.Join(lines, "\n")
	if !t.Unicode {
		content = draw.ASCII(content)
	}
	return content
}

func (a *app) framed(s screen, r draw.Rect, focused bool) []string {
	if r.H == 0 {
		return nil
	}
	in := r.Inner()
	lines := s.draw(in.W, in.H, focused)
	return a.theme.Frame(s.title(), s.foot(), lines, r.W, r.H, focused && a.dialog == nil)
}

// dialogWidth is how wide a dialog may be, frame included.
const dialogWidth = 88

// dialogBox is the rectangle of the open dialog and the lines in it. The rectangle is as large as these lines need, within
// dialogWidth and the window, and leaves the bottom line in sight.
func (a *app) dialogBox() (draw.Rect, []string) {
	w := min(dialogWidth, a.width)
	if _, selecting := a.dialog.(*receiptBox); selecting { // as wide as possible, since a line that is broken cannot be selected as one
		w = a.width
	}
	lines := a.dialog.draw(w-2, max(a.height-3, 1), true)
	widest := max(draw.Width(a.dialog.title()), draw.Width(a.dialog.foot())) + 6
	for _, line := range lines {
		widest = max(widest, draw.Width(line)+1)
	}
	return draw.Middle(min(w, widest+2), len(lines)+2, a.width, a.height-1), lines
}

// tooSmall says how large the window has to be, and shows as much as there is room for of what always matters: the tunnels.
func (a *app) tooSmall() []string {
	t := a.theme
	size := draw.Thousands(a.width) + " by " + draw.Thousands(a.height)
	lines := []string{
		fmt.Sprintf("culvert needs a window of %d by %d.", draw.MinWidth, draw.MinHeight),
		"This one is " + size + "; " + a.keys.quit.Shortest() + " quits.",
		"",
	}
	for _, r := range a.tunnels.rows {
		text, colour := a.tunnels.standing(r)
		lines = append(lines, colour.Paint(t.Fit(text, stateCells))+" "+t.Accent.Paint(r.local()))
	}
	if n, over := len(a.tunnels.rows), len(lines)-a.height; over > 0 && n > 0 {
		lines = append(lines[:a.height-1], t.Muted.Paint(plural(min(over+1, n), "more tunnel")))
	}
	return lines
}

// stateCells is how many cells the longest state of a tunnel takes.
const stateCells = 13

// bottomLine names the keys that matter now, as many as fit; help and quit are always among them.
func (a *app) bottomLine(w int) string {
	t := a.theme
	keys := a.top().help()
	var last []draw.Binding
	if a.dialog == nil {
		other := "tunnels"
		if a.below {
			other = "browse"
		}
		if a.zoomed {
			keys = append([]draw.Binding{a.keys.zoom.As("both panes")}, keys...)
		}
		keys = append(keys, a.keys.nextPane.As(other), a.keys.zoom.As("zoom"), a.keys.log, a.keys.profile, a.keys.region)
		last = []draw.Binding{a.keys.help, a.keys.quit}
	}
	room := w - 1
	for _, b := range last {
		room -= hintWidth(b)
	}
	var b strings.Builder
	b.WriteByte(' ')
	for _, k := range keys {
		if hintWidth(k) > room {
			break
		}
		room -= hintWidth(k)
		b.WriteString(hint(t, k))
	}
	for _, k := range last {
		b.WriteString(hint(t, k))
	}
	return b.String()
}

// hint writes a key with its words for the bottom line.
func hint(t *draw.Theme, b draw.Binding) string {
	return t.Link.Paint(b.Shortest()) + " " + t.Muted.Paint(b.Help().Desc) + "  "
}

func hintWidth(b draw.Binding) int {
	return draw.Width(b.Shortest()) + 1 + draw.Width(b.Help().Desc) + 2
}
