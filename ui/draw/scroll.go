package draw

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/charmbracelet/x/ansi"

	"culvert/internal/say"
)

// Scroll is a text that is taller than its window: one moves through it and looks for words in it.
type Scroll struct {
	theme *Theme
	keys  *TableKeys

	top, height, lines int // the first line in sight, how many are, how many there are: as drawn last
	texts              []string

	typing  bool
	pattern string
	at      int // the line that was found last, -1 for none
}

// NewScroll makes one that has nothing to show yet.
func NewScroll(t *Theme, keys *TableKeys) *Scroll { return &Scroll{theme: t, keys: keys, at: -1} }

// Typing reports whether keys are letters now.
func (s *Scroll) Typing() bool { return s.typing }

// Reset goes back to the beginning and forgets what was looked for.
func (s *Scroll) Reset() { s.top, s.pattern, s.typing, s.at = 0, "", false, -1 }

// Update takes keys and the mouse; false is for somebody else.
func (s *Scroll) Update(msg tea.Msg) bool {
	switch msg := msg.(type) {
	case tea.PasteMsg:
		if s.typing {
			s.look(s.pattern+strings.Join(strings.Fields(say.Line(msg.Content)), " "), s.top)
		}
		return s.typing
	case tea.MouseWheelMsg:
		if msg.Button == tea.MouseWheelUp {
			s.to(s.top - WheelStep)
		} else {
			s.to(s.top + WheelStep)
		}
		return true
	case tea.KeyPressMsg:
		if s.typing {
			return s.typed(msg)
		}
		return s.key(msg)
	}
	return false
}

func (s *Scroll) key(k tea.KeyPressMsg) bool {
	switch {
	case s.keys.Up.Pressed(k):
		s.to(s.top - 1)
	case s.keys.Down.Pressed(k):
		s.to(s.top + 1)
	case s.keys.Top.Pressed(k):
		s.to(0)
	case s.keys.Bottom.Pressed(k):
		s.to(s.lines)
	case s.keys.PageUp.Pressed(k):
		s.to(s.top - max(s.height-1, 1))
	case s.keys.PageDown.Pressed(k):
		s.to(s.top + max(s.height-1, 1))
	case s.keys.Filter.Pressed(k):
		s.typing = true
	case s.pattern != "" && k.String() == "enter":
		s.look(s.pattern, s.at+1)
	case s.pattern != "" && s.keys.Back.Pressed(k):
		s.look("", s.top)
	default:
		return false
	}
	return true
}

func (s *Scroll) typed(k tea.KeyPressMsg) bool {
	switch k.String() {
	case "enter":
		s.typing = false
	case "esc":
		s.typing = false
		s.look("", s.top)
	case "backspace":
		letters := []rune(s.pattern)
		s.typing = len(letters) > 0
		s.look(string(letters[:max(len(letters)-1, 0)]), s.top)
	default:
		if k.Text == "" {
			return false
		}
		s.look(s.pattern+say.Line(k.Text), max(s.at, s.top))
	}
	return true
}

func (s *Scroll) to(top int) { s.top = max(min(top, s.lines-s.height), 0) }

// look finds the next line with the pattern, from a line on and then from the beginning.
func (s *Scroll) look(pattern string, from int) {
	s.pattern, s.at = pattern, -1
	if pattern == "" {
		return
	}
	for i := range s.texts {
		at := (from + i) % len(s.texts)
		if s.has(s.texts[at]) {
			s.at = at
			if at < s.top || at >= s.top+s.height {
				s.to(at - s.height/3)
			}
			return
		}
	}
}

func (s *Scroll) has(text string) bool {
	return s.pattern != "" && strings.Contains(strings.ToLower(text), strings.ToLower(s.pattern))
}

// Finding is what is being looked for, and whether there is such a line; empty when nothing is.
func (s *Scroll) Finding() string {
	t := s.theme
	if s.pattern == "" && !s.typing {
		return ""
	}
	text := t.Busy.Paint("/" + say.Line(s.pattern))
	if s.typing {
		text += t.Busy.Paint(t.Glyph.Caret)
	}
	if s.pattern != "" && s.at < 0 {
		text += t.Muted.Paint(" not found")
	}
	return text
}

// Position says where in the text the window is; empty when all of it is in sight.
func (s *Scroll) Position() string {
	if s.lines <= s.height {
		return ""
	}
	return Thousands(min(s.top+s.height, s.lines)) + " of " + Thousands(s.lines) + " lines"
}

// Line is a line of such a text: what it says, and how it looks where it is not what is looked for.
type Line struct {
	Text  string // printable, without styles
	Drawn string // empty: Text as it is
	Goes  bool   // on with the line above: whoever looks for something finds the beginning
}

// Draw shows as many lines as there is room for.
func (s *Scroll) Draw(all []Line, h int) []string {
	s.lines, s.height = len(all), max(h, 0)
	s.texts = s.texts[:0]
	begin := 0
	for i, line := range all {
		s.texts = append(s.texts, "")
		if !line.Goes {
			begin = i
		}
		s.texts[begin] += strings.TrimLeft(line.Text, " ")
	}
	s.to(s.top)
	var lines []string
	for i := s.top; i < min(s.top+s.height, len(all)); i++ {
		switch line := all[i]; {
		case i == s.at:
			lines = append(lines, s.theme.Selected.Paint(line.Text))
		case s.has(s.texts[i]):
			lines = append(lines, s.theme.Busy.Paint(line.Text))
		case line.Drawn != "":
			lines = append(lines, line.Drawn)
		default:
			lines = append(lines, line.Text)
		}
	}
	return lines
}

// Hard breaks a line of code into lines of at most w cells wherever the room ends. What goes on is indented more than the
// beginning.
func Hard(s string, w int) []Line {
	indent := len(s) - len(strings.TrimLeft(s, " ")) + 2
	lines := []Line{{Text: ansi.Truncate(s, w, "")}}
	for rest := s[len(lines[0].Text):]; rest != ""; {
		part := ansi.Truncate(rest, max(w-indent, 1), "")
		if part == "" { // a wide character in a single cell
			break
		}
		lines = append(lines, Line{Text: spaces(indent) + part, Goes: true})
		rest = rest[len(part):]
	}
	return lines
}
