package screen

import (
	"time"

	"culvert/ui/draw"
)

// look is what every page draws with. The event loop changes it in place; whoever draws keeps a pointer to it and reads.
type look struct {
	theme  *draw.Theme
	keys   *keyMap
	now    time.Time // the time of the last tick
	frames int       // ticks so far, for the spinner
}

// spinner returns the sign for something that is under way.
func (l *look) spinner() string {
	signs := l.theme.Glyph.Spinner
	return signs[l.frames%len(signs)]
}
