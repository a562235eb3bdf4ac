package draw

// The smallest window that shows something useful.
const (
	MinWidth  = 60
	MinHeight = 15
)

// leastBody is how many lines the pane below leaves to the page above it, frame included, unless the window is too low for that.
const leastBody = 10

// Rect is a part of the window, in cells from its upper left corner.
type Rect struct{ X, Y, W, H int }

// Holds reports whether a cell of the window lies in the rectangle.
func (r Rect) Holds(x, y int) bool { return x >= r.X && x < r.X+r.W && y >= r.Y && y < r.Y+r.H }

// Inner is the part of a rectangle within its frame.
func (r Rect) Inner() Rect { return Rect{r.X + 1, r.Y + 1, max(r.W-2, 0), max(r.H-2, 0)} }

// Layout says where everything is, from the top down.
type Layout struct {
	Header, Body, Below, Notice, Keys Rect
	TooSmall                          bool
}

// Wanted is what a window has to have room for.
type Wanted struct {
	Below, Notice int  // lines of the pane below, its frame included, and of the notice
	Alone         bool // the window shows only the page or the pane below, whichever has the keyboard
	Lower         bool // with Alone: the pane below has the keyboard
}

// Arrange divides a window. The pane below gets the lines that it wants, but no more than two fifths of the window, no
// more than leave something of the page, and no fewer than one line within the frame.
func Arrange(w, h int, want Wanted) Layout {
	if w < MinWidth || h < MinHeight {
		return Layout{TooSmall: true}
	}
	room := h - want.Notice - 2 // the header and the keys take a line each
	pane := max(min(want.Below, h*2/5, room-leastBody), 3)
	if want.Alone {
		pane = 0
		if want.Lower {
			pane = room
		}
	}
	var l Layout
	y := 0
	for _, part := range []struct {
		at    *Rect
		lines int
	}{
		{&l.Header, 1},
		{&l.Body, room - pane},
		{&l.Below, pane},
		{&l.Notice, want.Notice},
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
