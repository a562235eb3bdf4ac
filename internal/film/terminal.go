package film

import (
	"fmt"
	"image/color"
	"io"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
)

// term is what the terminal calls itself.
const term = "xterm-256color"

// paper and text are the colours of a terminal that was told none.
const (
	paper = "#14171c"
	text  = "#d7dce2"
)

// Terminal is a terminal in memory. It is used by one goroutine.
type Terminal struct {
	vt       *vt.Emulator
	answered chan struct{}
}

// NewTerminal makes a terminal; what it answers to a program that asks about it is written to answers, by a goroutine
// that ends with Close.
func NewTerminal(width, height int, answers io.Writer) *Terminal {
	t := &Terminal{vt: vt.NewEmulator(width, height), answered: make(chan struct{})}
	t.vt.SetDefaultForegroundColor(ansi.XParseColor(text))
	t.vt.SetDefaultBackgroundColor(ansi.XParseColor(paper))
	go func() {
		defer close(t.answered)
		buffer := make([]byte, 1024)
		for {
			n, err := t.vt.Read(buffer)
			if err != nil {
				return
			}
			_, _ = answers.Write(buffer[:n]) // a program that has ended waits for no answer
		}
	}()
	return t
}

// Close ends the terminal.
func (t *Terminal) Close() {
	_ = t.vt.InputPipe().(io.Closer).Close() //nolint:forcetypeassert // it is an *io.PipeWriter, and Close of the emulator is no friend of its Read
	<-t.answered
}

// Write shows what a program writes.
func (t *Terminal) Write(p []byte) { _, _ = t.vt.Write(p) } // it fails when it is closed, and the caller closes it

// Screen is what is to be seen now.
func (t *Terminal) Screen() Screen {
	s := make(Screen, t.vt.Height())
	for y := range s {
		s[y] = make([]Cell, t.vt.Width())
		for x := range s[y] {
			if c := t.vt.CellAt(x, y); c != nil {
				s[y][x] = cellOf(c)
			}
		}
	}
	return s
}

// Show is the screen that a text with its colours makes, line by line.
func Show(width, height int, content string) Screen {
	t := NewTerminal(width, height, io.Discard)
	defer t.Close()
	t.Write([]byte("\x1b[?7l" + strings.ReplaceAll(content, "\n", "\r\n")))
	return t.Screen()
}

// Screen is what a terminal shows, line by line.
type Screen [][]Cell

// Cell is one place of a screen.
type Cell struct {
	Text        string // one character; empty to the right of one that is two cells wide
	Ink, Ground string // as #rrggbb
	Bold        bool
	Underlined  bool
}

func cellOf(c *uv.Cell) Cell {
	d := Cell{
		Text: c.Content, Ink: hex(c.Style.Fg, text), Ground: hex(c.Style.Bg, paper),
		Bold: c.Style.Attrs&uv.AttrBold != 0, Underlined: c.Style.Underline != ansi.UnderlineNone,
	}
	if c.Width == 0 && d.Text != "" {
		d.Text = ""
	}
	if c.Style.Attrs&uv.AttrReverse != 0 {
		d.Ink, d.Ground = d.Ground, d.Ink
	}
	if c.Style.Attrs&uv.AttrFaint != 0 {
		d.Ink = between(d.Ink, d.Ground)
	}
	if c.Style.Attrs&uv.AttrConceal != 0 {
		d.Ink = d.Ground
	}
	return d
}

// hex is a colour as SVG takes it.
func hex(c color.Color, usual string) string {
	if c == nil {
		return usual
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// between is the colour half way from one to the other: faint text.
func between(a, b string) string {
	var x, y [3]int
	_, _ = fmt.Sscanf(a, "#%02x%02x%02x", &x[0], &x[1], &x[2]) // both are of hex
	_, _ = fmt.Sscanf(b, "#%02x%02x%02x", &y[0], &y[1], &y[2])
	return fmt.Sprintf("#%02x%02x%02x", (x[0]+y[0])/2, (x[1]+y[1])/2, (x[2]+y[2])/2)
}

// Lines are the texts of the lines, without blanks at their ends.
func (s Screen) Lines() []string {
	lines := make([]string, len(s))
	for y, row := range s {
		var b strings.Builder
		for _, c := range row {
			b.WriteString(c.Text)
		}
		lines[y] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

// String is the text of the screen.
func (s Screen) String() string { return strings.Join(s.Lines(), "\n") + "\n" }
