package ui

// The least window that shows something useful.
const (
	minWidth  = 60
	minHeight = 15
)

// A window narrower than twoLineHeader gets a header of two lines if it is tall enough for that.
const (
	twoLineHeader = 120
	tallHeader    = 20
)

// rect is a part of the window, in cells from its upper left corner.
type rect struct{ x, y, w, h int }

func (r rect) holds(x, y int) bool { return x >= r.x && x < r.x+r.w && y >= r.y && y < r.y+r.h }

// inner is what a frame leaves of a rectangle.
func (r rect) inner() rect { return rect{r.x + 1, r.y + 1, max(r.w-2, 0), max(r.h-2, 0)} }

// layout says where everything is, from the top down.
type layout struct {
	header, body, tunnels, notice, keys rect
	tooSmall                            bool
}

// arrange divides a window. The tunnels get the lines they ask for, frame included, but no more than two fifths of the
// window and no fewer than one line of them.
func arrange(w, h, tunnels, notice int) layout {
	if w < minWidth || h < minHeight {
		return layout{tooSmall: true}
	}
	header := 1
	if w < twoLineHeader && h >= tallHeader {
		header = 2
	}
	below := min(max(tunnels, 3), max(3, h*2/5))
	var l layout
	y := 0
	for _, part := range []struct {
		at    *rect
		lines int
	}{
		{&l.header, header},
		{&l.body, h - header - below - notice - 1},
		{&l.tunnels, below},
		{&l.notice, notice},
		{&l.keys, 1},
	} {
		*part.at = rect{0, y, w, part.lines}
		y += part.lines
	}
	return l
}

// middle places a dialog of w by h in a window.
func middle(w, h, window, lines int) rect {
	w, h = min(w, window), min(h, lines)
	return rect{(window - w) / 2, (lines - h) / 2, w, h}
}
