package screen

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

func (b *browse) draw(w, h int, focused bool) []string {
	t, p := b.theme, b.accounts.here
	if p.catalog == nil {
		return b.waiting(w, h)
	}
	var below []string
	if p.trouble != nil {
		below = append(below, b.problem(b.stale(), w, shortAdvice)...)
	}
	for _, gap := range b.gaps() {
		below = append(below, b.problem(gap, w, shortAdvice)...)
	}
	if rows := b.table().Shown(); rows > 0 {
		var details []string
		if e, ok := b.table().Row(); ok {
			details = newPortrait(b.look, e, nil).brief(w)
		}
		empty := h - rows - 1 - len(below)
		below = append(below, b.about(w, max(empty-4, shortAdvice), len(details)+2 <= empty)...)
		below = append(below, draw.First(details, max(h-rows-1-len(below), 0))...)
	}
	below = draw.First(below, max(h/2, 2, h-1-b.table().Shown()))
	room := h - len(below)
	var lines []string
	switch {
	case b.gone != "":
		lines = []string{"", "  " + say.Line(b.gone) + " is no more.", "", "  " + hint(t, b.keys.back)}
	case b.table().Len() == 0:
		lines = b.empty(w)
	case b.table().Shown() == 0:
		lines = []string{"", "  Nothing matches " + t.Busy.Paint("/"+t.Cut(b.table().Filter(), w-24)) + ".", "",
			"  " + t.Muted.Paint(t.Cut("Names are looked at; state:steady looks in the column of that title.", w-4)), "", "  " + hint(t, b.keys.back.As("no filter"))}
	default:
		lines = b.table().Draw(w, room, focused)
	}
	return append(t.Fill(lines, w, max(room, 0)), below...)
}

// waiting is shown before there is a catalog: what is being done, or why that failed.
func (b *browse) waiting(w, _ int) []string {
	t, p := b.theme, b.accounts.here
	if p.trouble == nil {
		doing := "looking at the clusters of " + p.regionName()
		if p.sight.Cluster != "" {
			doing = "looking at cluster " + say.Line(p.sight.Cluster) + " in " + p.regionName()
		}
		if p.client == nil {
			doing = "signing in"
		}
		return []string{"", "  " + t.Busy.Paint(b.spinner()) + " " + doing}
	}
	lines := []string{""}
	if !isExpired(p.trouble) { // the header says when credentials have expired
		for _, line := range draw.Wrap(say.Line(p.trouble.Error()), w-4) {
			lines = append(lines, "  "+t.Bad.Paint(line))
		}
		lines = append(lines, "")
	}
	if advice := say.Remedy(p.trouble); advice != "" {
		for _, line := range draw.Wrap(say.Line(advice), w-4) {
			lines = append(lines, "  "+t.Busy.Paint(line))
		}
	}
	again := "It is tried again every " + say.Age(b.accounts.refresh) + "."
	if p.looking {
		again = b.spinner() + " trying again"
	}
	keys := hint(t, b.keys.refresh.As("try now")) + hint(t, b.keys.profile) + hint(t, b.keys.region)
	if expired := b.tunnels.expiry(p); expired != nil && expired.Command() != nil {
		keys = hint(t, b.keys.signIn.As("run it here")) + keys
	}
	return append(lines, "", "  "+t.Muted.Paint(again), "  "+keys)
}

// empty is shown when there are no rows: what there is none of, and where else to look.
func (b *browse) empty(w int) []string {
	t, p := b.theme, b.accounts.here
	if p.looking && !p.seen() {
		return []string{"", "  " + t.Busy.Paint(b.spinner()) + " looking"}
	}
	var text string
	switch b.depth {
	case atClusters:
		text = "There are no clusters in " + p.regionName() + ". Is it another region, or another profile?"
	case atServices:
		if b.flat {
			text = "There are no services in " + p.regionName() + "."
			break
		}
		text = "Nothing runs in this cluster: it has no services and no tasks."
	case atTasks:
		text = "No task is running."
		if s := b.serviceHere(); s != nil {
			text = "The service wants " + draw.Thousands(s.Desired) + " tasks and runs none."
			if s.Desired == 0 {
				text = "The service is scaled to zero: it wants no tasks."
			}
			if len(s.Events) > 0 {
				text += " ECS says: " + say.Line(s.Events[0].Text)
			}
		}
	case atContainers:
		text = "ECS tells of no containers in this task."
	case deepest:
	}
	lines := []string{""}
	for _, line := range draw.Wrap(text, w-4) {
		lines = append(lines, "  "+line)
	}
	if b.depth == atClusters {
		return append(lines, "", "  "+hint(t, b.keys.region)+hint(t, b.keys.profile)+hint(t, b.keys.refresh))
	}
	return append(lines, "", "  "+hint(t, b.keys.back)+hint(t, b.keys.refresh))
}

// serviceHere is the service whose tasks are shown; nil when there is none.
func (b *browse) serviceHere() *aws.Service {
	for i := range b.accounts.here.catalog.Clusters {
		k := &b.accounts.here.catalog.Clusters[i]
		if k.Name != b.cluster {
			continue
		}
		for j := range k.Services {
			if k.Services[j].Name == b.service {
				return &k.Services[j]
			}
		}
	}
	return nil
}

// gaps returns the errors of what could not be read and would be shown here.
func (b *browse) gaps() []error {
	var here []error
	for _, err := range b.accounts.here.catalog.Gaps {
		gap, ok := errors.AsType[*aws.GapError](err)
		if b.depth == atClusters || b.flat && b.depth == atServices || !ok || len(gap.Clusters) == 0 || slices.Contains(gap.Clusters, b.cluster) {
			here = append(here, err)
		}
	}
	return here
}

// stale is why the catalog could not be renewed; nil when it was, and when expired credentials are the reason, which the header
// says.
func (b *browse) stale() error {
	p := b.accounts.here
	if isExpired(p.trouble) {
		cure := say.Remedy(p.trouble)
		if b.tunnels.expiry(p).Command() != nil {
			cure += " (" + b.keys.signIn.Shortest() + " runs it here)"
		}
		return &whole{cure: cure}
	}
	return fmt.Errorf("not refreshed: %w", p.trouble)
}

// failing returns the errors that are in sight, but perhaps not their whole text.
func (b *browse) failing() []error {
	p := b.accounts.here
	var all []error
	if p.trouble != nil {
		all = append(all, p.trouble)
	}
	if p.catalog == nil {
		return all
	}
	all = append(all, b.gaps()...)
	if e, ok := b.table().Row(); ok && e.cause != nil && (e.known || e.ready == 0) {
		all = append(all, notReady(e.cause))
	}
	return all
}

// notReady is what keeps a row from carrying a tunnel, without the name that stands in the row.
func notReady(e *aws.NotReadyError) error { return &whole{why(e), say.Remedy(e)} }

// why is what keeps a row from carrying a tunnel, without the name that stands in the row.
func why(e *aws.NotReadyError) string {
	text := e.Error()
	if _, reason, ok := strings.Cut(text, " is not ready: "); ok {
		return reason
	}
	return text
}

// about says more of the row under the cursor than its columns can: why it cannot carry a tunnel and what to do about
// that, else what there is no column for. What the details tell that follow it is left to them.
func (b *browse) about(w, most int, detailed bool) []string {
	t := b.theme
	e, ok := b.table().Row()
	if !ok {
		return nil
	}
	rule := t.Border.Paint(strings.Repeat(t.Glyph.Thin.Across, w))
	if e.cause != nil && (e.known || e.service != nil && e.task == nil && e.ready == 0) {
		return append([]string{rule}, b.problem(notReady(e.cause), w, most)...)
	}
	var facts []string
	switch {
	case e.container != nil:
		facts = []string{e.name(), "runtime " + orNone(say.Line(e.container.RuntimeID), t), say.Line(e.container.Reason)}
	case e.task != nil:
		facts = []string{say.Line(e.task.ID), revision(e.task.TaskDefinition), launch(e.task.LaunchType, e.task.CapacityProvider), say.Line(e.task.PlatformVersion), say.Line(e.task.Platform)}
		if !e.task.StartedAt.IsZero() {
			facts = append(facts, "since "+e.task.StartedAt.In(b.now.Location()).Format("2006-01-02 15:04:05"))
		}
	case e.service != nil:
		facts = []string{e.name(), revision(e.service.TaskDefinition)}
		if len(e.service.Events) > 0 && !detailed {
			facts = append(facts, say.Line(e.service.Events[0].Text))
		}
	case e.loose:
		facts = []string{"started by run-task, or by a schedule"}
	default:
		facts = []string{e.name(), say.Line(e.cluster.ARN)}
	}
	facts = slices.DeleteFunc(facts, func(s string) bool { return s == "" })
	return []string{rule, " " + t.Muted.Paint(t.Cut(strings.Join(facts, " "+t.Glyph.Dot+" "), w-2))}
}
