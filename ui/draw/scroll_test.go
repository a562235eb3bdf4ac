package draw

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// scrolling is a scroll of text lines with the usual keys, drawn once.
func scrolling(t *testing.T, lines []Line, h int) *Scroll {
	t.Helper()
	s := NewScroll(NewTheme(true), &TableKeys{
		Up: Bind("", "", "k"), Down: Bind("", "", "j"), Top: Bind("", "", "g"), Bottom: Bind("", "", "G"), PageUp: Bind("", "", "ctrl+b"), PageDown: Bind("", "", "ctrl+f"),
		Filter: Bind("", "", "/"), Back: Bind("", "", "esc"),
	})
	s.Draw(lines, h)
	return s
}

func TestAScrollStaysWithinItsText(t *testing.T) {
	var lines []Line
	for text := range strings.FieldsSeq("a b c d e f g h i j") {
		lines = append(lines, Line{Text: text})
	}
	s := scrolling(t, lines, 4)
	for _, step := range []struct{ key, want string }{
		{"k", "a b c d"}, {"j", "b c d e"}, {"G", "g h i j"}, {"j", "g h i j"}, {"g", "a b c d"},
	} {
		s.Update(tea.KeyPressMsg{Code: rune(step.key[0]), Text: step.key})
		if got := strings.Join(s.Draw(lines, 4), " "); got != step.want {
			t.Errorf("after %s: got %q, want %q", step.key, got, step.want)
		}
	}
	s.Update(tea.KeyPressMsg{Code: 'G', Text: "G"})
	if got := s.Draw(lines[:2], 4); len(got) != 2 || got[0] != "a" {
		t.Errorf("a text that became shorter: got %q", got)
	}
	if got := s.Draw(nil, -1); len(got) != 0 {
		t.Errorf("no text and no room: got %q", got)
	}
}

func TestBrokenLinesAreWholeForWhoeverLooks(t *testing.T) {
	lines := Hard(`  "taskDefinitionArn": "arn:aws:ecs:eu-west-1"`, 30)
	if len(lines) != 2 || lines[0].Goes || !lines[1].Goes || !strings.HasPrefix(lines[1].Text, "    ") {
		t.Fatalf("got %+v", lines)
	}
	for _, line := range lines {
		if Width(line.Text) > 30 {
			t.Errorf("%q is too wide", line.Text)
		}
	}
	s := scrolling(t, lines, 4)
	for _, key := range "/aws:ecs:eu" {
		s.Update(tea.KeyPressMsg{Code: key, Text: string(key)})
	}
	if s.at != 0 || strings.Contains(s.Finding(), "not found") {
		t.Errorf("found line %d: %s", s.at, s.Finding())
	}
	if got := Hard("サ", 1); len(got) != 1 {
		t.Errorf("a wide character in one cell: got %+v", got)
	}
}
