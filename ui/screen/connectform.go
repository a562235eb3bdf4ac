package screen

import (
	"fmt"
	"slices"
	"strings"

	"culvert/internal/say"
	"culvert/ui/draw"
)

func (d *connect) title() string {
	t := d.theme
	doing := "forward"
	switch {
	case d.of != nil:
		doing = "change"
	case d.any:
		doing = "any host through"
	}
	return t.Strong.Paint(doing) + " " + t.Accent.Paint(t.CutMiddle(say.Line(d.to.String()), 60))
}

func (d *connect) foot() string { return "" }

func (d *connect) help() []draw.Binding {
	k := d.keys
	return []draw.Binding{k.in.As("open"), k.back.As("cancel"), draw.Bind("", "next", "tab"), draw.Bind("", "copy command", "ctrl+y"), draw.Bind("", "workflow step", "ctrl+g")}
}

// head says what the tunnel leads to, and warns when it cannot be opened now.
func (d *connect) head(w int) []string {
	t, e := d.theme, d.entry
	if text := d.startHead(); text != "" {
		ink := t.Muted
		if strings.HasPrefix(text, "!") {
			ink = t.Busy
		}
		return []string{" " + ink.Paint(t.Cut(text, w-2)), ""}
	}
	switch {
	case e.task == nil && e.container == nil:
		line := fmt.Sprintf("any ready task of the service, now %d of %d; followed through deployments", e.ready, e.tasks)
		switch {
		case e.execOff():
			all := fmt.Errorf("ECS Exec is on for the service, and off for all %d tasks of it: they were started before", e.tasks)
			return append(d.problem(&whole{all.Error(), say.Remedy(e.cause)}, w, shortAdvice), "")
		case e.ready == 0 && d.reading():
			return []string{" " + t.Busy.Paint(t.Cut(d.spinner()+" the tasks of the service are still being read; their ports are filled in then", w-2)), ""}
		case e.ready == 0 && !d.place.knows(d.tasks()): // the tasks are not being read
			return []string{" " + t.Muted.Paint(t.Cut("any ready task of the service; followed through deployments", w-2)), ""}
		case e.ready == 0 && e.cause != nil && !e.cause.Temporary():
			return append(d.problem(notReady(e.cause), w, shortAdvice), "")
		case e.ready == 0:
			return []string{" " + t.Busy.Paint(t.Cut("! no task of the service is ready now; the tunnel waits for one", w-2)), ""}
		}
		return []string{" " + t.Muted.Paint(t.Cut(line, w-2)), ""}
	case e.cause != nil:
		return append(d.problem(notReady(e.cause), w, shortAdvice), "")
	case e.task.Service != "":
		return []string{" " + t.Muted.Paint(t.Cut("this task; when it ends, another task of its service", w-2)), ""}
	}
	if e.task.Family == "" {
		return []string{" " + t.Muted.Paint("this task"), ""}
	}
	return []string{" " + t.Muted.Paint(t.Cut("this task; when it ends, the newest one of family "+say.Line(e.task.Family), w-2)), ""}
}

func (d *connect) draw(w, h int, _ bool) []string {
	t := d.theme
	fields := d.fields()
	lines := d.head(w)
	if n := len(lines) - 1; len(lines)+len(fields)+draw.HintLines >= h {
		lines = lines[:max(n, 0)] // the blank line is the first that is left out
	}
	d.above = len(lines)
	for i, f := range fields {
		lines = append(lines, f.Line(t, w, i == d.at))
	}
	if d.failure == nil || h-len(lines) > draw.HintLines+shortAdvice {
		lines = append(lines, t.Fill(d.hinted(fields).Hint(t, w-1), w-1, draw.HintLines)...)
	}
	var below []string
	switch {
	case d.opening:
		below = append(below, " "+t.Busy.Paint(d.spinner()+" opening"))
	case d.failure != nil:
		below = append(below, d.problem(d.failure, w, max(h-len(lines)-3, shortAdvice))...)
	}
	if f, ok := d.valid(); ok {
		below = append(below, d.recipes(d.recipe(f), w, h-len(lines)-len(below))...)
	}
	lines = append(lines, below...)
	return t.Fill(lines, w-1, min(max(d.above+len(fields)+draw.HintLines+recipeLines, len(lines)), h))
}

// hinted is the field whose hint is shown in full below the form: that with the keyboard, unless another
// one is wrong.
func (d *connect) hinted(fields []*draw.Field) *draw.Field {
	if at := fields[d.at]; at.Wrong != "" {
		return at
	}
	if i := slices.IndexFunc(fields, func(f *draw.Field) bool { return f.Wrong != "" }); i >= 0 {
		return fields[i]
	}
	return fields[d.at]
}

// recipeLines is how many lines the command and the workflow step take. The dialog keeps their room while there is something else
// to say, so that it stays where it is.
const recipeLines = 14

// recipes shows the command and the workflow step that open the same tunnel, as far as there is room.
func (d *connect) recipes(r recipe, w, room int) []string {
	t := d.theme
	lines := []string{" " + t.Muted.Paint("the same without this screen")}
	for _, line := range draw.Wrap(say.Line(r.command()), w-4) {
		lines = append(lines, "   "+t.Link.Paint(line))
	}
	if len(lines) > room {
		return nil
	}
	step := []string{" " + t.Muted.Paint("in a workflow")}
	for line := range strings.Lines(r.step()) {
		step = append(step, "   "+t.Link.Paint(t.Cut(say.Line(strings.TrimRight(line, "\n")), w-4)))
	}
	if len(lines)+len(step) <= room {
		lines = append(lines, step...)
	}
	return lines
}
