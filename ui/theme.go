package ui

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// theme is every colour and every glyph of the screen. There is one, changed in place when the terminal tells more about
// itself; whoever draws may keep a pointer to it.
type theme struct {
	dark    bool
	unicode bool
	profile colorprofile.Profile

	text, muted, strong    ink // of what is read: ordinary, secondary, what matters
	accent, link           ink // names and addresses; keys of the bottom line
	good, busy, bad        ink // states: open, on its way, lost
	sent, received         ink // the two directions of traffic
	selected               ink // the row under the cursor in the pane that has the keyboard
	border, borderFocused  ink
	header, warning, alarm ink // bars

	glyph glyphs
}

// glyphs are the signs that are drawn, each one cell wide.
type glyphs struct {
	more     string // what stands for text that is cut off
	cursor   string
	into     string // between the parts of a path
	dot      string // between facts
	up, down string // sent, received; ascending, descending
	on       string // open, ready, running
	half     string // on its way
	off      string // lost, not possible
	none     string // not known, does not apply
	thin     box
	thick    box // of the pane that has the keyboard
	spinner  []string
	caret    string
	choose   string // there is more to choose from, left and right
}

// box is a border: horizontal, vertical, and the corners clockwise from the upper left.
type box struct{ across, along, upLeft, upRight, downRight, downLeft string }

// ink is a style as it goes to the terminal.
type ink struct{ on, off string }

// paint colours text, which must not hold styles of its own.
func (i ink) paint(text string) string {
	if i.on == "" || text == "" {
		return text
	}
	return i.on + text + i.off
}

func newInk(s lipgloss.Style) ink {
	on, off, _ := strings.Cut(s.Render("x"), "x")
	return ink{on, off}
}

// newTheme is the theme before the terminal has said anything: dark, in all colours.
func newTheme(unicode bool) *theme {
	t := &theme{dark: true, unicode: unicode, profile: colorprofile.TrueColor}
	t.mix()
	return t
}

// mix makes the styles anew from what is known of the terminal.
func (t *theme) mix() {
	pick := lipgloss.LightDark(t.dark)
	// hue is one colour: the sixteen that the user has chosen where there are no more, else a tone that suits the background.
	hue := func(light16, dark16 int, light, dark string) color.Color {
		switch t.profile {
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

	t.text, t.muted, t.strong = newInk(plain), newInk(plain.Foreground(grey)), newInk(plain.Bold(true))
	t.accent, t.link = newInk(plain.Foreground(blue)), newInk(plain.Foreground(cyan))
	t.good, t.busy, t.bad = newInk(plain.Foreground(green)), newInk(plain.Foreground(amber)), newInk(plain.Foreground(red).Bold(true))
	t.sent, t.received = newInk(plain.Foreground(violet)), newInk(plain.Foreground(cyan))
	t.border, t.borderFocused = newInk(plain.Foreground(grey)), newInk(plain.Foreground(blue))
	t.header = newInk(plain.Bold(true))
	t.selected = newInk(plain.Reverse(true))
	t.warning, t.alarm = newInk(plain.Foreground(amber).Bold(true)), newInk(plain.Foreground(red).Bold(true).Reverse(true))
	t.glyph = asciiGlyphs()
	if t.unicode {
		t.glyph = unicodeGlyphs()
	}
}

func unicodeGlyphs() glyphs {
	return glyphs{
		more: "…", cursor: "▌", into: "›", dot: "·", up: "↑", down: "↓", on: "●", half: "◐", off: "✕", none: "–", caret: "▏", choose: "◂▸",
		thin:    box{"─", "│", "┌", "┐", "┘", "└"},
		thick:   box{"━", "┃", "┏", "┓", "┛", "┗"},
		spinner: []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"},
	}
}

func asciiGlyphs() glyphs {
	return glyphs{
		more: "~", cursor: ">", into: ">", dot: "|", up: "^", down: "v", on: "*", half: "o", off: "x", none: "-", caret: "_", choose: "<>",
		thin:    box{"-", "|", "+", "+", "+", "+"},
		thick:   box{"=", "#", "#", "#", "#", "#"},
		spinner: []string{"|", "/", "-", "\\"},
	}
}

// unicodeLocale reports whether an environment promises a terminal that shows more than ASCII. Without any word on it
// that is what terminals of today do.
func unicodeLocale(lookup func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := lookup(name); locale != "" {
			locale = strings.ToLower(locale)
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return true
}
