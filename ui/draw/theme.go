package draw

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// Theme is every colour and every glyph of the screen. There is one Theme, which is changed in place when the terminal tells more
// about itself, so that drawing code may keep a pointer to it.
type Theme struct {
	Dark    bool
	Unicode bool
	Profile colorprofile.Profile

	Text, Muted, Strong    Ink // text: ordinary, secondary, important
	Accent, Link           Ink // names and addresses; keys of the bottom line
	Good, Busy, Bad        Ink // states: open, changing, lost
	Sent, Received         Ink // the two directions of traffic
	Caret                  Ink // the cell where the next letter would go
	Selected               Ink // the ground of the row under the cursor in the pane that has the keyboard
	Border, BorderFocused  Ink
	Header, Warning, Alarm Ink // bars

	Glyph Glyphs
}

// Glyphs are the signs that are drawn, each one cell wide.
type Glyphs struct {
	More     string // stands for text that is cut off
	Cursor   string
	Mark     string // a row that is marked
	Tunnel   string // something that has a tunnel
	Into     string // between the parts of a path
	Dot      string // between facts
	Up, Down string // sent, received; ascending, descending
	On       string // open, ready, running
	Half     string // changing
	Off      string // lost, not possible
	None     string // not known, does not apply
	Thin     box
	Thick    box // the frame of the pane that has the keyboard
	Spinner  []string
	Caret    string
	Choose   string // there is more to choose from, left and right
}

// box is a border: horizontal, vertical, and the corners clockwise from the upper left.
type box struct{ Across, Along, upLeft, upRight, downRight, downLeft string }

// Ink is a style, as the escape sequences before and after a text.
type Ink struct{ on, off string }

// Paint colours text, which must not hold styles of its own.
func (i Ink) Paint(text string) string {
	if i.on == "" || text == "" {
		return text
	}
	return i.on + text + i.off
}

// over is the ink on the background of another one.
func (i Ink) over(ground Ink) Ink {
	return Ink{on: ground.on + i.on, off: "\x1b[m"}
}

func newInk(s lipgloss.Style) Ink {
	on, off, _ := strings.Cut(s.Render("x"), "x")
	return Ink{on, off}
}

// NewTheme makes the theme that is used before the terminal has told anything about itself: dark, in all colours.
func NewTheme(unicode bool) *Theme {
	t := &Theme{Dark: true, Unicode: unicode, Profile: colorprofile.TrueColor}
	t.Mix()
	return t
}

// Mix makes the styles anew, for what is known of the terminal.
func (t *Theme) Mix() {
	pick := lipgloss.LightDark(t.Dark)
	// hue is one colour: one of the user's sixteen in a terminal that has no more, else a tone that suits the background.
	hue := func(light16, dark16 int, light, dark string) color.Color {
		switch t.Profile {
		case colorprofile.Unknown, colorprofile.NoTTY, colorprofile.ASCII:
			return lipgloss.NoColor{}
		case colorprofile.ANSI:
			return pick(ansi.BasicColor(light16), ansi.BasicColor(dark16)) //nolint:gosec // 0 to 15
		case colorprofile.ANSI256, colorprofile.TrueColor:
		}
		return pick(lipgloss.Color(light), lipgloss.Color(dark))
	}
	plain := lipgloss.NewStyle()
	blue := hue(4, 12, "#1d5fbf", "#7ab8ff")
	cyan := hue(6, 14, "#00707f", "#6fd7e0")
	green := hue(2, 10, "#1c7a32", "#7fd88f")
	amber := hue(3, 11, "#8a5a00", "#f2c14e")
	red := hue(1, 9, "#b3261e", "#ff7b72")
	grey := hue(8, 7, "#5f6672", "#98a1b0")
	violet := hue(5, 13, "#7a3fa8", "#c9a2ff")

	t.Text, t.Muted, t.Strong = newInk(plain), newInk(plain.Foreground(grey)), newInk(plain.Bold(true))
	t.Accent, t.Link = newInk(plain.Foreground(blue)), newInk(plain.Foreground(cyan))
	t.Good, t.Busy, t.Bad = newInk(plain.Foreground(green)), newInk(plain.Foreground(amber)), newInk(plain.Foreground(red).Bold(true))
	t.Sent, t.Received = newInk(plain.Foreground(violet)), newInk(plain.Foreground(cyan))
	t.Border, t.BorderFocused = newInk(plain.Foreground(grey)), newInk(plain.Foreground(blue))
	t.Header = newInk(plain.Bold(true))
	t.Caret = newInk(plain.Reverse(true))
	t.Selected = t.Caret
	if t.Profile >= colorprofile.ANSI256 {
		t.Selected = newInk(plain.Background(hue(0, 0, "#d9e6f8", "#24344d")))
	}
	t.Warning, t.Alarm = newInk(plain.Foreground(amber).Bold(true)), newInk(plain.Foreground(red).Bold(true).Reverse(true))
	t.Glyph = asciiGlyphs()
	if t.Unicode {
		t.Glyph = unicodeGlyphs()
	}
}

func unicodeGlyphs() Glyphs {
	return Glyphs{
		More: "…", Cursor: "▌", Mark: "✓", Tunnel: "⇄", Into: "›", Dot: "·", Up: "↑", Down: "↓", On: "●", Half: "◐", Off: "✕", None: "–", Caret: "▏", Choose: "◂▸",
		Thin:    box{"─", "│", "┌", "┐", "┘", "└"},
		Thick:   box{"━", "┃", "┏", "┓", "┛", "┗"},
		Spinner: []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"},
	}
}

func asciiGlyphs() Glyphs {
	return Glyphs{
		More: "~", Cursor: ">", Mark: "+", Tunnel: "=", Into: ">", Dot: "|", Up: "^", Down: "v", On: "*", Half: "o", Off: "x", None: "-", Caret: "_", Choose: "<>",
		Thin:    box{"-", "|", "+", "+", "+", "+"},
		Thick:   box{"=", "#", "#", "#", "#", "#"},
		Spinner: []string{"|", "/", "-", "\\"},
	}
}

// UnicodeLocale reports whether the terminal shows more than ASCII, by the variables of the locale. If none is set, it is true,
// as today's terminals do.
func UnicodeLocale(lookup func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := lookup(name); locale != "" {
			locale = strings.ToLower(locale)
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return true
}
