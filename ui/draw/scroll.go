package draw

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/charmbracelet/x/ansi"

	"culvert/internal/say"
)

// Scroll is a text that may be longer than its window. The user moves through it and looks for words in it.
type Scroll struct {
	theme *Theme
	keys  *TableKeys

	top, height, lines int      // as drawn last: the first line in sight, the lines of the window, and the lines of the text
	texts              []string // what is searched: per line its text, with the lines that go on with it; empty for those

	typing  bool
	pattern string
	at      int // the line that was found last, -1 for none
}

// NewScroll makes a Scroll without text.
func NewScroll(t *Theme, keys *TableKeys) *Scroll { return &Scroll{theme: t, keys: keys, at: -1} }

// Typing reports whether a pattern is being typed, so that keys are letters.
func (s *Scroll) Typing() bool { return s.typing }

// Reset goes back to the beginning and forgets the pattern.
func (s *Scroll) Reset() { s.top, s.pattern, s.typing, s.at = 0, "", false, -1 }

// Update takes keys, pastes and the mouse; it returns false for what is not for the text.
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

// look finds the next line with a pattern: from the line from on to the end, then from the beginning.
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

// Finding is the pattern, for the frame of the text, and whether no line has it; empty without a pattern.
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

// Position says which line of the text is the last in sight, "20 of 120 lines"; empty when all lines are in sight.
func (s *Scroll) Position() string {
	if s.lines <= s.height {
		return ""
	}
	return Thousands(min(s.top+s.height, s.lines)) + " of " + Thousands(s.lines) + " lines"
}

// Line is a line of such a text.
type Line struct {
	Text  string // printable, without styles
	Drawn string // Text with its styles, for when the line does not have the pattern; empty for Text without styles
	Goes  bool   // the line goes on with the one above it; a search finds the line where the text begins
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

// Hard breaks a line of code into lines of at most w cells, between any two letters. The lines after the first are indented by
// two more.
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
