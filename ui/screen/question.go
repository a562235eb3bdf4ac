package screen

import (
	tea "charm.land/bubbletea/v2"

	"culvert/ui/draw"
)

// question is a dialog that asks yes or no.
type question struct {
	*look

	name   string
	text   []string
	yes    draw.Binding
	agreed func() wish
}

func newQuestion(l *look, name, doing string, agreed func() wish, text ...string) *question {
	return &question{look: l, name: name, text: text, yes: draw.Bind("", doing, "enter", "y"), agreed: agreed}
}

func (q *question) title() string { return q.theme.Strong.Paint(q.name) }

func (q *question) foot() string { return "" }

func (q *question) draw(w, _ int, _ bool) []string {
	t := q.theme
	lines := []string{""}
	for _, text := range q.text {
		for _, line := range draw.Wrap(text, w-4) {
			lines = append(lines, "  "+t.Text.Paint(line)+" ")
		}
	}
	return append(lines, "")
}

func (q *question) help() []draw.Binding { return []draw.Binding{q.yes, q.keys.back.As("stay")} }

func (q *question) update(msg tea.Msg) (wish, bool) {
	k, ok := msg.(tea.KeyPressMsg)
	switch {
	case !ok:
	case q.yes.Pressed(k):
		return all(dismiss(q), q.agreed()), true
	case q.keys.back.Pressed(k), k.String() == "n", q.keys.quit.Pressed(k):
		return dismiss(q), true
	}
	return nil, true
}
