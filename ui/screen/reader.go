package screen

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// reader is a dialog that shows errors in full, with their remedies, however long they are.
type reader struct {
	*look

	failures []error
	top      int
	lines    int // how many lines are in sight
	all      int // how many lines there are
}

func newReader(l *look, failures []error) *reader { return &reader{look: l, failures: failures} }

func (r *reader) title() string { return r.theme.Strong.Paint("what failed") }

func (r *reader) foot() string {
	t := r.theme
	switch {
	case r.top+r.lines < r.all:
		return t.Muted.Paint("more below " + t.Glyph.Down)
	case r.top > 0:
		return t.Muted.Paint("more above " + t.Glyph.Up)
	}
	return ""
}

func (r *reader) help() []draw.Binding {
	return []draw.Binding{r.keys.copy.As("copy remedy"), r.keys.back.As("close"), r.keys.down.As("scroll")}
}

func (r *reader) draw(w, h int, _ bool) []string {
	t := r.theme
	var lines []string
	for i, err := range r.failures {
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, marked(t.Bad, "!", draw.Wrap(say.Line(err.Error()), w-5))...)
		if cure := say.Line(say.Remedy(err)); cure != "" {
			lines = append(lines, marked(t.Busy, t.Glyph.Into, draw.Wrap(cure, w-5))...)
		}
	}
	r.all, r.lines = len(lines), min(h, len(lines))
	r.top = max(min(r.top, r.all-r.lines), 0)
	return lines[r.top : r.top+r.lines]
}

func (r *reader) update(msg tea.Msg) (wish, bool) {
	keys := r.keys
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		switch {
		case keys.up.Pressed(msg):
			r.top--
		case keys.down.Pressed(msg):
			r.top++
		case keys.pageUp.Pressed(msg):
			r.top -= r.lines
		case keys.pageDown.Pressed(msg):
			r.top += r.lines
		case keys.top.Pressed(msg):
			r.top = 0
		case keys.bottom.Pressed(msg):
			r.top = r.all
		case keys.copy.Pressed(msg):
			return r.copy(), true
		case keys.back.Pressed(msg), keys.why.Pressed(msg), keys.in.Pressed(msg), keys.quit.Pressed(msg):
			return dismiss(r), true
		}
	case tea.MouseWheelMsg:
		if msg.Button == tea.MouseWheelUp {
			r.top -= draw.WheelStep
		} else {
			r.top += draw.WheelStep
		}
	}
	r.top = max(r.top, 0)
	return nil, true
}

// copy copies the remedies.
func (r *reader) copy() wish {
	var cures []string
	for _, err := range r.failures {
		if cure := say.Line(say.Remedy(err)); cure != "" && !slices.Contains(cures, cure) {
			cures = append(cures, cure)
		}
	}
	if len(cures) == 0 {
		return tell("there is no remedy to copy")
	}
	return all(dismiss(r), copied("the remedy", strings.Join(cures, "\n")))
}
