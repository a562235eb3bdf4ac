package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// View draws the window.
func (a *app) View() tea.View {
	v := tea.NewView(a.guardedScreen())
	v.AltScreen = true
	v.ReportFocus = true
	v.WindowTitle = "culvert"
	if !a.o.NoMouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

// guardedScreen is the screen; one that cannot be drawn ends the program with the next message.
func (a *app) guardedScreen() (content string) {
	defer func() {
		if value := recover(); value != nil {
			a.panicked(value)
		}
	}()
	return a.screen()
}

// page is what fills the body.
func (a *app) page() screen {
	if n := len(a.pages); n > 0 {
		return a.pages[n-1]
	}
	return a.browse
}

func (a *app) layout() layout {
	return arrange(a.width, a.height, a.tunnels.wanted(), a.notice.lines(a.theme, a.width))
}

// screen is the whole window as text.
func (a *app) screen() string {
	if a.width <= 0 || a.height <= 0 {
		return "" // the terminal has not told its size yet
	}
	t, l := a.theme, a.layout()
	lines := make([]string, 0, a.height)
	if l.tooSmall {
		lines = t.fill(a.tooSmall(), a.width, a.height)
	} else {
		lines = append(lines, t.fill(a.header(l.header.w, l.header.h), l.header.w, l.header.h)...)
		lines = append(lines, a.framed(a.page(), l.body, !a.below && a.dialog == nil)...)
		lines = append(lines, a.framed(a.tunnels, l.tunnels, a.below && a.dialog == nil)...)
		lines = append(lines, t.fill(a.notice.draw(t, l.notice.w), l.notice.w, l.notice.h)...)
		lines = append(lines, t.fit(a.bottomLine(l.keys.w), l.keys.w))
	}
	if a.dialog != nil {
		r, drawn := a.dialogBox()
		lines = t.over(lines, t.frame(a.dialog.title(), a.dialog.foot(), drawn, r.w, r.h, true), r.x, r.y)
	}
	content := strings.Join(lines, "\n")
	if !t.unicode {
		content = ascii(content)
	}
	return content
}

func (a *app) framed(s screen, r rect, focused bool) []string {
	in := r.inner()
	return a.theme.frame(s.title(), s.foot(), s.draw(in.w, in.h), r.w, r.h, focused)
}

// dialogWidth is how wide a dialog may be, frame included.
const dialogWidth = 88

// dialogBox is where the dialog lies, as large as what it has to say, and that. The bottom line stays in sight.
func (a *app) dialogBox() (rect, []string) {
	w := min(dialogWidth, a.width)
	lines := a.dialog.draw(w-2, max(a.height-3, 1))
	widest := max(width(a.dialog.title()), width(a.dialog.foot())) + 6
	for _, line := range lines {
		widest = max(widest, width(line)+1)
	}
	return middle(min(w, widest+2), len(lines)+2, a.width, a.height-1), lines
}

func (a *app) tooSmall() []string {
	return []string{
		"culvert needs a window of 60 by 15.",
		"This one is " + thousands(a.width) + " by " + thousands(a.height) + ".",
		"q quits",
	}
}

// bottomLine names the keys that matter now, as many as fit; help and quit are always among them.
func (a *app) bottomLine(w int) string {
	t := a.theme
	keys := a.top().help()
	var last []binding
	if a.dialog == nil {
		keys = append(keys, a.keys.nextPane.as("tunnels"), a.keys.log, a.keys.profile, a.keys.region)
		if a.below {
			keys[len(keys)-4] = a.keys.nextPane.as("browse")
		}
		last = []binding{a.keys.help, a.keys.quit}
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
		b.WriteString(t.hint(k))
	}
	for _, k := range last {
		b.WriteString(t.hint(k))
	}
	return b.String()
}

func (t *theme) hint(b binding) string {
	return t.link.paint(b.shortest()) + " " + t.muted.paint(b.Help().Desc) + "  "
}

func hintWidth(b binding) int { return width(b.shortest()) + 1 + width(b.Help().Desc) + 2 }
