package screen

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"culvert/ui/draw"
)

// question is a dialog that asks yes or no.
type question struct {
	app    *app
	name   string
	text   []string
	yes    draw.Binding
	agreed func() tea.Cmd
}

// confirm asks the user before something is done that cannot be undone.
func (a *app) confirm(name, doing string, agreed func() tea.Cmd, text ...string) {
	a.ask(&question{app: a, name: name, text: text, yes: draw.Bind("", doing, "enter", "y"), agreed: agreed})
}

// askQuit leaves, after a question while tunnels are open.
func (a *app) askQuit() tea.Cmd {
	open := a.tunnels.open()
	if open == 0 {
		return a.quit()
	}
	what := fmt.Sprintf("%d tunnels are open. Quitting closes them and", open)
	if open == 1 {
		what = "One tunnel is open. Quitting closes it and"
	}
	a.confirm("quit", "quit", a.quit, what, "cuts off what goes through.")
	return nil
}

func (q *question) title() string { return q.app.theme.Strong.Paint(q.name) }

func (q *question) foot() string { return "" }

func (q *question) draw(w, _ int) []string {
	t := q.app.theme
	lines := []string{""}
	for _, text := range q.text {
		for _, line := range draw.Wrap(text, w-4) {
			lines = append(lines, "  "+t.Text.Paint(line)+" ")
		}
	}
	return append(lines, "")
}

func (q *question) help() []draw.Binding { return []draw.Binding{q.yes, q.app.keys.back.As("stay")} }

func (q *question) update(msg tea.Msg) (tea.Cmd, bool) {
	k, ok := msg.(tea.KeyPressMsg)
	switch {
	case !ok:
	case q.yes.Pressed(k):
		q.app.dismiss()
		return q.agreed(), true
	case q.app.keys.back.Pressed(k), k.String() == "n", q.app.keys.quit.Pressed(k):
		q.app.dismiss()
	}
	return nil, true
}
