package film

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// A cell in pixels. A font whose letters are 0.6 of its size wide, as most are, needs no stretching.
const (
	cellWidth  = 8
	cellHeight = 17
	fontSize   = 13.333
	above      = 13 // of a line that is above the feet of its letters
	margin     = 12
)

// inks are the colours of a drawing, each a class of its style sheet.
type inks struct {
	class map[string]string
	order []string
}

// of is the class of a colour.
func (k *inks) of(colour string) string {
	if k.class == nil {
		k.class = map[string]string{}
	}
	name, known := k.class[colour]
	if !known {
		name = fmt.Sprintf("c%d", len(k.order))
		k.class[colour] = name
		k.order = append(k.order, colour)
	}
	return name
}

// style is the style sheet: text and blocks are filled, lines are drawn.
func (k *inks) style() string {
	var b strings.Builder
	for i, colour := range k.order {
		fmt.Fprintf(&b, ".c%d{fill:%s}path.c%d{fill:none;stroke:%s}", i, colour, i, colour)
	}
	b.WriteString(".b{font-weight:700}.u{text-decoration:underline}.h{stroke-width:2.2}")
	return b.String()
}

// drawing is a line of a screen as it becomes SVG. Its origin is the left end of the foot of its letters.
type drawing struct {
	inks  *inks
	b     strings.Builder
	words strings.Builder // not yet written, all in the same style
	at    int             // where they begin
	until int             // where they end
	style Cell            // how they look
}

// drawRow is a line of a screen as elements of SVG; empty when there is nothing to see.
func drawRow(row []Cell, k *inks) string {
	d := &drawing{inks: k}
	d.grounds(row)
	for x := 0; x < len(row); {
		if n := d.shape(row, x); n > 0 {
			x += n
			continue
		}
		d.letter(row, x)
		x++
	}
	d.flush()
	return d.b.String()
}

// grounds draws what lies behind the text.
func (d *drawing) grounds(row []Cell) {
	for x := 0; x < len(row); {
		n := same(row, x, func(c Cell) string { return c.Ground })
		if g := row[x].Ground; g != paper && g != "" {
			fmt.Fprintf(&d.b, `<rect x="%d" y="%d" width="%d" height="%d" class="%s"/>`, x*cellWidth, -above, n*cellWidth, cellHeight, d.inks.of(g))
		}
		x += n
	}
}

// same counts the cells from x on that have something in common.
func same(row []Cell, x int, what func(Cell) string) int {
	n := 1
	for x+n < len(row) && what(row[x+n]) == what(row[x]) {
		n++
	}
	return n
}

// letter adds a cell to the words; they stand where they are also for viewers that squeeze blanks.
func (d *drawing) letter(row []Cell, x int) {
	c := row[x]
	look := Cell{Ink: c.Ink, Bold: c.Bold, Underlined: c.Underlined}
	if d.words.Len() > 0 && c.Underlined != d.style.Underlined {
		d.flush()
	}
	blank := c.Text == " " || c.Text == "" && (x == 0 || !wide(row[x-1]))
	switch {
	case c.Text == "" && !blank: // the right half of a wide letter
		if d.words.Len() > 0 {
			d.until = x + 1
		}
		return
	case blank && !c.Underlined && (d.words.Len() == 0 || strings.HasSuffix(d.words.String(), " ")):
		d.flush()
		return
	case d.words.Len() > 0 && look != d.style && !blank:
		d.flush()
	}
	if d.words.Len() == 0 {
		d.at, d.style = x, look
	}
	if blank {
		d.words.WriteByte(' ')
	} else {
		d.words.WriteString(c.Text)
	}
	d.until = x + 1
}

// wide reports whether a letter may take two cells.
func wide(c Cell) bool { return c.Text != "" && c.Text[0] >= utf8.RuneSelf }

// flush writes the words.
func (d *drawing) flush() {
	words := d.words.String()
	if trimmed := strings.TrimRight(words, " "); trimmed != words && !d.style.Underlined {
		d.until -= len(words) - len(trimmed)
		words = trimmed
	}
	d.words.Reset()
	if words == "" {
		return
	}
	length := ""
	if n := d.until - d.at; n > 1 {
		length = fmt.Sprintf(` textLength="%d"`, n*cellWidth)
	}
	class := d.inks.of(d.style.Ink)
	if d.style.Bold {
		class += " b"
	}
	if d.style.Underlined {
		class += " u"
	}
	fmt.Fprintf(&d.b, `<text x="%d"%s class="%s">%s</text>`, d.at*cellWidth, length, class, html.EscapeString(words))
}

// shape draws what lines and blocks are made of, so that they meet whatever the font, and says for how many cells.
func (d *drawing) shape(row []Cell, x int) int {
	c := row[x]
	const left, right, top, bottom = 0, cellWidth, -above, cellHeight - above
	const midX, midY = cellWidth / 2, bottom - cellHeight/2.0
	at := x * cellWidth
	path := func(heavy bool, points string) {
		d.flush()
		class := d.inks.of(c.Ink)
		if heavy {
			class += " h"
		}
		fmt.Fprintf(&d.b, `<path class="%s" d="%s"/>`, class, points)
	}
	corner := func(heavy bool, fromY, toX int) int {
		path(heavy, fmt.Sprintf("M%d %dV%gH%d", at+midX, fromY, midY, at+toX))
		return 1
	}
	n := same(row, x, func(c Cell) string { return c.Text + c.Ink })
	switch c.Text {
	case "─", "━":
		path(c.Text == "━", fmt.Sprintf("M%d %gH%d", at+left, midY, at+n*cellWidth))
		return n
	case "│", "┃":
		path(c.Text == "┃", fmt.Sprintf("M%d %dV%d", at+midX, top, bottom))
		return 1
	case "┌", "┏", "╭":
		return corner(c.Text == "┏", bottom, right)
	case "┐", "┓", "╮":
		return corner(c.Text == "┓", bottom, left)
	case "└", "┗", "╰":
		return corner(c.Text == "┗", top, right)
	case "┘", "┛", "╯":
		return corner(c.Text == "┛", top, left)
	case "▌":
		d.block(at, top, cellWidth/2, cellHeight, c.Ink)
		return 1
	}
	if r, _ := utf8.DecodeRuneInString(c.Text); r >= '▁' && r <= '█' {
		h := cellHeight * float64(r-'▁'+1) / 8
		d.block(at, bottom-h, n*cellWidth, h, c.Ink)
		return n
	}
	return 0
}

func (d *drawing) block(x int, y float64, w int, h float64, ink string) {
	d.flush()
	fmt.Fprintf(&d.b, `<rect x="%d" y="%.4g" width="%d" height="%.4g" class="%s"/>`, x, y, w, h, d.inks.of(ink))
}
