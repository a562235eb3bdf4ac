package screen

import (
	"time"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// How long a notice stays in the line above the keys. One about what went wrong stays longer, as it has to be read with more
// care.
const (
	keepNotice  = 5 * time.Second
	keepTrouble = 30 * time.Second
)

// notice is one thing said to the user in the line above the keys, with its remedy in a line below.
type notice struct {
	text, remedy string
	trouble      bool
	doubt        bool // what the notice says is not certain
	until        time.Time
}

// fail tells what went wrong, and what to do about it.
func (a *app) fail(err error) {
	a.notice = notice{text: say.Line(err.Error()), remedy: say.Line(say.Remedy(err)), trouble: true, until: a.now.Add(keepTrouble)}
}

// fade removes the notice when its time is over.
func (n *notice) fade(now time.Time) {
	if now.After(n.until) {
		*n = notice{}
	}
}

// fits reports whether the whole notice fits into one line of w cells.
func (n *notice) fits(w int) bool { return n.remedy == "" && draw.Width(n.text) <= w-2 }

// lines is how many lines the notice takes in a window.
func (n *notice) lines(l *look, w int) int { return len(n.draw(l, w)) }

func (n *notice) draw(l *look, w int) []string {
	switch {
	case n.text == "":
		return []string{""}
	case n.doubt:
		return []string{" " + l.theme.Busy.Paint(l.theme.Cut(n.text, w-2))}
	case !n.trouble:
		return []string{" " + l.theme.Good.Paint(l.theme.Cut(n.text, w-2))}
	}
	return l.problem(&whole{n.text, n.remedy}, w, shortAdvice)
}

// whole is an error made of texts: what went wrong, and the remedy.
type whole struct{ text, cure string }

func (e *whole) Error() string  { return e.text }
func (e *whole) Remedy() string { return e.cure }
