package ui

// The least window that shows something useful.
const (
	minWidth  = 60
	minHeight = 15
)

// rect is a part of the window, in cells from its upper left corner.
type rect struct{ x, y, w, h int }

func (r rect) holds(x, y int) bool { return x >= r.x && x < r.x+r.w && y >= r.y && y < r.y+r.h }

// inner is what a frame leaves of a rectangle.
func (r rect) inner() rect { return rect{r.x + 1, r.y + 1, max(r.w-2, 0), max(r.h-2, 0)} }

// layout says where everything is.
type layout struct {
	header, body, tunnels, notice, keys rect
	tooSmall                            bool
}

// arrange divides a window. The tunnels get the lines they ask for, frame included, but never more than a good third
// of the window, nor less than one line of them.
func arrange(w, h, tunnels int) layout {
	l := layout{tooSmall: w < minWidth || h < minHeight}
	if l.tooSmall {
		return l
	}
	header := 1
	if w < twoLineHeader && h >= tallHeader {
		header = 2
	}
	below := min(max(tunnels, 3), max(3, h*2/5))
	l.header = rect{0, 0, w, header}
	l.keys = rect{0, h - 1, w, 1}
	l.notice = rect{0, h - 2, w, 1}
	l.tunnels = rect{0, h - 2 - below, w, below}
	l.body = rect{0, header, w, h - 2 - below - header}
	return l
}

// A window narrower than twoLineHeader gets a header of two lines if it is tall enough for that.
const (
	twoLineHeader = 120
	tallHeader    = 20
)

// middle places a dialog of w by h in a window.
func middle(w, h, window, lines int) rect {
	w, h = min(w, window-2), min(h, lines-2)
	return rect{(window - w) / 2, (lines - h) / 2, w, h}
}
