package ui

import (
	"errors"
	"fmt"
	"strings"

	"culvert/internal/say"
)

func (d *connect) title() string {
	t := d.app.theme
	return t.strong.paint("forward") + " " + t.accent.paint(t.cutMiddle(say.Line(d.to.String()), 60))
}

func (d *connect) foot() string { return "" }

func (d *connect) help() []binding {
	k := d.app.keys
	return []binding{k.in.as("open"), k.back.as("cancel"), bind("", "next", "tab"), bind("", "copy command", "ctrl+y"), bind("", "workflow step", "ctrl+g")}
}

// head says what the tunnel leads to, and warns when it cannot be opened now.
func (d *connect) head(w int) []string {
	t, e := d.app.theme, d.entry
	switch {
	case e.task == nil && e.container == nil:
		line := fmt.Sprintf("any ready task of the service, now %d of %d; followed through deployments", e.ready, e.tasks)
		if e.ready == 0 {
			return []string{" " + t.busy.paint(t.cut("! no task of the service is ready now; the tunnel waits for one", w-2)), ""}
		}
		return []string{" " + t.muted.paint(t.cut(line, w-2)), ""}
	case e.cause != nil:
		return append(t.problem(errors.New(why(e.cause)), say.Remedy(e.cause), w, shortAdvice), "")
	case e.task.Service != "":
		return []string{" " + t.muted.paint(t.cut("this task; when it ends, another task of its service", w-2)), ""}
	}
	return []string{" " + t.muted.paint("this task"), ""}
}

func (d *connect) draw(w, h int) []string {
	t := d.app.theme
	lines := d.head(w)
	for i, f := range d.fields() {
		lines = append(lines, f.draw(t, w, i == d.at)...)
	}
	var below []string
	switch {
	case d.opening:
		below = append(below, "", " "+t.busy.paint(d.app.spinner()+" opening"))
	case d.failure != nil:
		below = append(append(below, ""), t.problem(d.failure, say.Remedy(d.failure), w, shortAdvice)...)
	}
	if f, ok := d.valid(); ok {
		below = append(below, d.recipes(d.recipe(f), w, h-len(lines)-len(below))...)
	}
	return append(lines, below...)
}

// recipes are the command and the workflow step that do the same, as far as there is room.
func (d *connect) recipes(r recipe, w, room int) []string {
	t := d.app.theme
	lines := []string{"", " " + t.muted.paint("the same without this screen")}
	for _, line := range wrap(r.command(), w-4) {
		lines = append(lines, "   "+t.link.paint(line))
	}
	if len(lines) > room {
		return nil
	}
	step := []string{" " + t.muted.paint("in a workflow")}
	for line := range strings.Lines(r.step()) {
		step = append(step, "   "+t.link.paint(t.cut(strings.TrimRight(line, "\n"), w-4)))
	}
	if len(lines)+len(step) <= room {
		lines = append(lines, step...)
	}
	return lines
}
