package draw

// The least window that shows something useful.
const (
	MinWidth  = 60
	minHeight = 15
)

// A window narrower than twoLineHeader gets a header of two lines if it is tall enough for that.
const (
	twoLineHeader = 120
	tallHeader    = 20
)

// Rect is a part of the window, in cells from its upper left corner.
type Rect struct{ X, Y, W, H int }

// Holds reports whether a cell of the window lies in the rectangle.
func (r Rect) Holds(x, y int) bool { return x >= r.X && x < r.X+r.W && y >= r.Y && y < r.Y+r.H }

// Inner is what a frame leaves of a rectangle.
func (r Rect) Inner() Rect { return Rect{r.X + 1, r.Y + 1, max(r.W-2, 0), max(r.H-2, 0)} }

// Layout says where everything is, from the top down.
type Layout struct {
	Header, Body, Below, Notice, Keys Rect
	TooSmall                          bool
}

// Arrange divides a window. The pane below gets the lines that it wants, frame included, but no more than two fifths of
// the window and no fewer than one line within the frame.
func Arrange(w, h, wanted, notice int) Layout {
	if w < MinWidth || h < minHeight {
		return Layout{TooSmall: true}
	}
	header := 1
	if w < twoLineHeader && h >= tallHeader {
		header = 2
	}
	pane := min(max(wanted, 3), max(3, h*2/5))
	var l Layout
	y := 0
	for _, part := range []struct {
		at    *Rect
		lines int
	}{
		{&l.Header, header},
		{&l.Body, h - header - pane - notice - 1},
		{&l.Below, pane},
		{&l.Notice, notice},
		{&l.Keys, 1},
	} {
		*part.at = Rect{0, y, w, part.lines}
		y += part.lines
	}
	return l
}

// Middle places a dialog of w by h in a window.
func Middle(w, h, window, lines int) Rect {
	w, h = min(w, window), min(h, lines)
	return Rect{(window - w) / 2, (lines - h) / 2, w, h}
}
