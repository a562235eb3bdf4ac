package ui

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
)

// browse is the way from clusters to containers.
type browse struct {
	app    *app
	depth  depth
	tables [deepest]*table[entry]

	cluster, service, task string // gone into
	loose                  bool   // into the tasks without a service
	gone                   string // what was gone into and is no more; empty while it is there
}

func newBrowse(a *app) *browse {
	b := &browse{app: a}
	b.arrive()
	return b
}

// arrive begins with another place.
func (b *browse) arrive() {
	b.depth, b.cluster, b.service, b.task, b.loose = atClusters, "", "", "", false
	for l := range deepest {
		b.tables[l] = newTable(b.app.theme, b.app.keys, entry.id, b.columns(l)...)
	}
	if b.app.here != nil {
		b.fresh()
	}
}

// fresh shows what the catalog says now about where the user is.
func (b *browse) fresh() {
	catalog := b.app.here.catalog
	if catalog == nil {
		return
	}
	b.gone = ""
	if b.depth == atClusters {
		b.tables[atClusters].set(clusterEntries(catalog))
		return
	}
	at := slices.IndexFunc(catalog.Clusters, func(k aws.Cluster) bool { return k.Name == b.cluster })
	if at < 0 {
		b.lost("cluster " + b.cluster)
		return
	}
	cluster := &catalog.Clusters[at]
	switch b.depth {
	case atServices:
		b.tables[atServices].set(serviceEntries(cluster))
	case atTasks:
		entries := taskEntries(cluster, b.service, b.loose)
		if len(entries) == 0 && !b.loose && !slices.ContainsFunc(cluster.Services, func(s aws.Service) bool { return s.Name == b.service }) {
			b.lost("service " + b.service)
			return
		}
		b.tables[atTasks].set(entries)
	case atContainers:
		at := slices.IndexFunc(cluster.Tasks, func(t aws.Task) bool { return t.ID == b.task })
		if at < 0 {
			b.lost("task " + b.task)
			return
		}
		b.tables[atContainers].set(containerEntries(cluster, &cluster.Tasks[at]))
	case atClusters, deepest:
	}
}

// lost says that what the user looks at is no more. The look that is still under way may yet find it.
func (b *browse) lost(what string) {
	b.tables[b.depth].set(nil)
	if b.app.here.whole {
		b.gone = what
	}
}

func (b *browse) table() *table[entry] { return b.tables[b.depth] }

// path are the names that were gone into.
func (b *browse) path() []string {
	service := b.service
	if b.loose {
		service = "no service"
	}
	return []string{b.cluster, service, b.task}[:b.depth]
}

func (b *browse) title() string {
	t := b.app.theme
	var s strings.Builder
	for _, name := range b.path() {
		s.WriteString(t.text.paint(t.cutMiddle(printable(name), 24)) + t.muted.paint(" "+t.glyph.into+" "))
	}
	s.WriteString(t.strong.paint(b.depth.String()))
	if b.app.here.catalog != nil {
		s.WriteString(t.muted.paint(" " + b.table().tally()))
	}
	if finding := b.table().finding(); finding != "" {
		s.WriteString("  " + finding)
	}
	return s.String()
}

// foot says how old what is shown is.
func (b *browse) foot() string {
	t, p := b.app.theme, b.app.here
	switch {
	case p.looking && !p.whole:
		return t.busy.paint(b.app.spinner() + " looking")
	case p.catalog == nil:
		return ""
	case p.trouble != nil:
		return t.bad.paint("as of " + p.catalog.Taken.Format("15:04:05"))
	}
	return t.muted.paint("as of " + p.catalog.Taken.Format("15:04:05"))
}

func (b *browse) help() []binding {
	k := b.app.keys
	if b.table().typing {
		return []binding{k.in.as("keep filter"), k.back.as("no filter")}
	}
	var keys []binding
	switch b.depth {
	case atClusters:
		keys = []binding{k.in.as("open")}
	case atServices, atTasks:
		keys = []binding{k.forward, k.in.as("open"), k.back}
	case atContainers:
		keys = []binding{k.forward, k.back}
	case deepest:
	}
	return append(keys, k.filter, k.sort.as("sort"))
}

func (b *browse) update(msg tea.Msg) (tea.Cmd, bool) {
	if _, clicked := msg.(tea.MouseClickMsg); clicked {
		before := b.table().at
		taken := b.table().update(msg)
		if taken && b.table().at == before {
			return b.in(), true // a second click on a row opens it
		}
		return nil, taken
	}
	if b.table().update(msg) {
		return nil, true
	}
	k, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return nil, false
	}
	keys := b.app.keys
	switch {
	case is(k, keys.in):
		return b.in(), true
	case is(k, keys.back) && b.depth > atClusters:
		b.out()
	case is(k, keys.forward):
		return b.forward(), true
	case is(k, keys.copy):
		return b.copy(), true
	default:
		return nil, false
	}
	return nil, true
}

// in opens the row under the cursor; a container opens the dialog, there is nothing further in.
func (b *browse) in() tea.Cmd {
	e, ok := b.table().row()
	if !ok {
		return nil
	}
	switch b.depth {
	case atClusters:
		b.cluster = e.cluster.Name
	case atServices:
		b.service, b.loose = "", e.loose
		if e.service != nil {
			b.service = e.service.Name
		}
	case atTasks:
		b.task = e.task.ID
	case atContainers, deepest:
		return b.forward()
	}
	b.depth++
	b.tables[b.depth] = newTable(b.app.theme, b.app.keys, entry.id, b.columns(b.depth)...)
	b.fresh()
	return nil
}

// out goes back to where the row was opened; the cursor is still on it.
func (b *browse) out() {
	b.depth--
	b.fresh()
}

// forward opens the dialog for the row under the cursor.
func (b *browse) forward() tea.Cmd {
	e, ok := b.table().row()
	if !ok {
		return nil
	}
	if b.app.o.ReadOnly {
		b.app.fail(&ReadOnlyError{})
		return nil
	}
	if _, single := e.target(); !single {
		b.app.say("open it with enter and choose a service or a task: a forward leads to one of them")
		return nil
	}
	d := newConnect(b.app, b.app.here, e)
	b.app.ask(d)
	return d.askFree()
}

// copy takes the name of the row as --target and culvert list take it.
func (b *browse) copy() tea.Cmd {
	e, ok := b.table().row()
	if !ok {
		return nil
	}
	target, single := e.target()
	if !single {
		return b.app.copy("name", e.cluster.Name)
	}
	return b.app.copy("target", target.String())
}

func (b *browse) draw(w, h int) []string {
	t, p := b.app.theme, b.app.here
	if p.catalog == nil {
		return b.waiting(w, h)
	}
	var below []string
	if p.trouble != nil {
		below = append(below, t.problem(fmt.Errorf("not refreshed: %w", p.trouble), remedy(p.trouble), w)...)
	}
	for _, gap := range b.gaps() {
		below = append(below, t.problem(gap, remedy(gap), w)...)
	}
	if len(b.table().shown) > 0 {
		below = append(below, b.about(w)...)
	}
	below = first(below, max(h/2, 2))
	room := h - len(below)
	var lines []string
	switch {
	case b.gone != "":
		lines = []string{"", "  " + printable(b.gone) + " is no more.", "", "  " + t.hint(b.app.keys.back)}
	case len(b.table().rows) == 0:
		lines = b.empty(w)
	case len(b.table().shown) == 0:
		lines = []string{"", "  Nothing matches " + t.busy.paint("/"+t.cut(b.table().filter, w-24)) + ".", "", "  " + t.hint(b.app.keys.back.as("no filter"))}
	default:
		lines = b.table().draw(w, room, !b.app.below && b.app.dialog == nil)
	}
	return append(t.fill(lines, w, max(room, 0)), below...)
}

// waiting is what stands where the catalog will be: what is being done, or why it could not be.
func (b *browse) waiting(w, _ int) []string {
	t, p := b.app.theme, b.app.here
	if p.trouble == nil {
		doing := "looking at the clusters of " + p.regionName()
		if p.client == nil {
			doing = "signing in"
		}
		return []string{"", "  " + t.busy.paint(b.app.spinner()) + " " + doing}
	}
	lines := []string{""}
	for _, line := range wrap(printable(p.trouble.Error()), w-4) {
		lines = append(lines, "  "+t.bad.paint(line))
	}
	if advice := remedy(p.trouble); advice != "" {
		lines = append(lines, "")
		for _, line := range wrap(printable(advice), w-4) {
			lines = append(lines, "  "+t.busy.paint(line))
		}
	}
	again := "It is tried again every " + ageText(b.app.o.Refresh) + "."
	if p.looking {
		again = b.app.spinner() + " trying again"
	}
	return append(lines, "", "  "+t.muted.paint(again), "  "+t.hint(b.app.keys.refresh.as("try now"))+t.hint(b.app.keys.profile)+t.hint(b.app.keys.region))
}

// empty says that there is nothing, and where else to look.
func (b *browse) empty(w int) []string {
	t, p := b.app.theme, b.app.here
	if p.looking && !p.whole {
		return []string{"", "  " + t.busy.paint(b.app.spinner()) + " looking"}
	}
	var text string
	switch b.depth {
	case atClusters:
		text = "There are no clusters in " + p.regionName() + ". Is it another region, or another profile?"
	case atServices:
		text = "Nothing runs in this cluster: it has no services and no tasks."
	case atTasks:
		text = "No task is running."
		if s := b.serviceHere(); s != nil {
			text = "The service wants " + thousands(s.Desired) + " tasks and runs none."
			if s.Desired == 0 {
				text = "The service is scaled to zero: it wants no tasks."
			}
			if len(s.Events) > 0 {
				text += " ECS says: " + printable(s.Events[0])
			}
		}
	case atContainers:
		text = "ECS tells of no containers in this task."
	case deepest:
	}
	lines := []string{""}
	for _, line := range wrap(text, w-4) {
		lines = append(lines, "  "+line)
	}
	if b.depth == atClusters {
		return append(lines, "", "  "+t.hint(b.app.keys.region)+t.hint(b.app.keys.profile)+t.hint(b.app.keys.refresh))
	}
	return append(lines, "", "  "+t.hint(b.app.keys.back)+t.hint(b.app.keys.refresh))
}

// serviceHere is the service whose tasks are shown; nil when there is none.
func (b *browse) serviceHere() *aws.Service {
	for i := range b.app.here.catalog.Clusters {
		k := &b.app.here.catalog.Clusters[i]
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

// gaps are what could not be looked at and concerns what is shown.
func (b *browse) gaps() []error {
	var here []error
	for _, err := range b.app.here.catalog.Gaps {
		gap, ok := errors.AsType[*aws.GapError](err)
		if b.depth == atClusters || !ok || len(gap.Clusters) == 0 || slices.Contains(gap.Clusters, b.cluster) {
			here = append(here, err)
		}
	}
	return here
}

// why is what keeps a row from carrying a tunnel, without the name that stands in the row.
func why(e *aws.NotReadyError) string {
	text := e.Error()
	if _, reason, ok := strings.Cut(text, " is not ready: "); ok {
		return reason
	}
	return text
}

// problem is an error and what to do about it, each in at most two lines.
func (t *theme) problem(err error, advice string, w int) []string {
	var lines []string
	add := func(colour ink, mark, text string) {
		all := wrap(printable(text), w-5)
		if len(all) > 2 {
			all = []string{all[0], t.cut(strings.Join(all[1:], " "), w-5)}
		}
		for _, line := range all {
			lines = append(lines, " "+colour.paint(mark+" "+line))
			mark = " "
		}
	}
	add(t.bad, "!", err.Error())
	add(t.busy, t.glyph.into, advice)
	return lines
}

// about says more of the row under the cursor than its columns can: why it cannot carry a tunnel and what to do about
// that, else what there is no column for.
func (b *browse) about(w int) []string {
	t := b.app.theme
	e, ok := b.table().row()
	if !ok {
		return nil
	}
	rule := t.border.paint(strings.Repeat(t.glyph.thin.across, w))
	if e.cause != nil && (e.known || e.service != nil && e.task == nil && e.ready == 0) {
		return append([]string{rule}, t.problem(errors.New(why(e.cause)), remedy(e.cause), w)...)
	}
	var facts []string
	switch {
	case e.container != nil:
		facts = []string{e.name(), "runtime " + orNone(printable(e.container.RuntimeID), t), printable(e.container.Reason)}
	case e.task != nil:
		facts = []string{printable(e.task.ID), revision(e.task.TaskDefinition), launch(e.task.LaunchType, e.task.CapacityProvider), printable(e.task.PlatformVersion), printable(e.task.Platform)}
		if !e.task.StartedAt.IsZero() {
			facts = append(facts, "since "+e.task.StartedAt.In(b.app.now.Location()).Format("2006-01-02 15:04:05"))
		}
	case e.service != nil:
		facts = []string{e.name(), revision(e.service.TaskDefinition)}
		if len(e.service.Events) > 0 {
			facts = append(facts, printable(e.service.Events[0]))
		}
	case e.loose:
		facts = []string{"started by run-task, or by a schedule"}
	default:
		facts = []string{e.name(), printable(e.cluster.ARN)}
	}
	facts = slices.DeleteFunc(facts, func(s string) bool { return s == "" })
	return []string{rule, " " + t.muted.paint(t.cut(strings.Join(facts, " "+t.glyph.dot+" "), w-2))}
}
