package screen

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

// jump is a dialog that leads to anything by its name: tunnels that are open, were used or are saved, what is known of the
// account, the hosts behind the tunnels, and what the keys do.
type jump struct {
	*look

	place *place
	table *draw.Table[goal]
	fixed []goal          // the goals that are no part of the account
	shown [2]*aws.Catalog // the catalogs from which the table was filled
	to    func(aws.Target) wish
}

// goal is something to which the user can jump.
type goal struct {
	kind  string
	name  string
	id    string // for goals without a name; a filter finds it only by its beginning
	where string // printable
	words string // what a filter searches instead of where
	reach func() wish
}

// The kinds of goals, as a filter takes them: kind:service.
const (
	kindTunnel  = "tunnel"
	kindRecent  = "recent"
	kindSaved   = "saved"
	kindGroup   = "group"
	kindCluster = "cluster"
	kindService = "service"
	kindTask    = "task"
	kindHost    = "host"
	kindKey     = "key"
)

func (g goal) identity() string { return g.kind + " " + g.name + g.id + " " + g.where }

// newJump offers the fixed goals and those of a place's account; to leads to a target of that account.
func newJump(l *look, p *place, fixed []goal, to func(aws.Target) wish) *jump {
	t := l.theme
	j := &jump{look: l, place: p, fixed: fixed, to: to}
	j.table = draw.NewTable(t, l.keys.table(), goal.identity,
		draw.Column[goal]{Title: "NAME", Least: jumpName, Most: jumpName, Sought: draw.AsName, // there may be thousands of names, so their width is not measured
			Text: func(g goal) string { return say.Line(g.name + g.id) }, Words: func(g goal) string { return g.name }},
		draw.Column[goal]{Title: "KIND", Least: 7, Most: 7, Text: func(g goal) string { return g.kind }, Ink: func(goal) draw.Ink { return t.Muted }},
		draw.Column[goal]{Title: "WHERE", Least: 12, Rest: true, Sought: draw.AsText, Ink: func(goal) draw.Ink { return t.Muted },
			Text: func(g goal) string { return g.where }, Words: func(g goal) string { return g.words }},
		draw.Column[goal]{Title: "ID", Hidden: true, Sought: draw.AsID, Text: func(g goal) string { return g.id }},
	)
	j.table.Type()
	j.fill()
	return j
}

// fill fills the table anew when more of the account is known than before.
func (j *jump) fill() {
	known := [2]*aws.Catalog{j.place.catalog, j.place.names}
	if j.table.Len() > 0 && known == j.shown {
		return
	}
	j.shown = known
	after := slices.IndexFunc(j.fixed, func(g goal) bool { return g.kind == kindHost || g.kind == kindKey })
	if after < 0 {
		after = len(j.fixed)
	}
	var services []goal
	clusters := j.clusters(known)
	count := 0
	for _, k := range clusters {
		services = append(services, goal{kind: kindCluster, name: k.Name, where: plural(max(len(k.Services), k.Counts.Services), "service"), reach: j.leads(aws.Target{Cluster: k.Name})})
		count += len(k.Tasks)
	}
	tasks := make([]goal, 0, count)
	for _, k := range clusters {
		where := say.Line(k.Name)
		for _, s := range k.Services {
			services = append(services, goal{kind: kindService, name: s.Name, where: where, words: k.Name + "/" + s.Name, reach: j.leads(aws.Target{Cluster: k.Name, Service: s.Name})})
		}
		var of, at, words string // the same for all tasks of one service, which follow each other
		for i, t := range k.Tasks {
			if i == 0 || t.Service != of {
				of = t.Service
				words = strings.TrimSuffix(k.Name+"/"+of, "/")
				at = say.Line(words)
			}
			tasks = append(tasks, goal{kind: kindTask, id: t.ID, where: at, words: words, reach: j.leads(aws.Target{Cluster: k.Name, Service: t.Service, Task: t.ID})})
		}
	}
	untouched := j.table.Filter() == "" && j.table.Cursor() == 0
	j.table.Set(slices.Concat(j.fixed[:after], services, j.fixed[after:], tasks))
	if untouched {
		j.table.Move(0) // once the user has typed or moved, the cursor stays on its row, as enter may follow at once
	}
}

// clusters returns the clusters that were looked at, and those of which only the names are known.
func (j *jump) clusters(known [2]*aws.Catalog) []aws.Cluster {
	var all []aws.Cluster
	if known[0] != nil {
		all = slices.Clone(known[0].Clusters)
	}
	if known[1] == nil {
		return all
	}
	at := make(map[string]int, len(all))
	for i := range all {
		at[all[i].Name] = i
	}
	for _, k := range known[1].Clusters {
		i, have := at[k.Name]
		switch {
		case !have:
			all = append(all, k)
		case !j.place.knows(aws.Sight{Cluster: k.Name, Parts: aws.Services}):
			all[i].Services = k.Services
		}
	}
	slices.SortFunc(all, func(a, b aws.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (j *jump) leads(to aws.Target) func() wish { return func() wish { return j.to(to) } }

func (j *jump) title() string { return j.theme.Strong.Paint("jump to") + "  " + j.table.Finding() }

// foot says how many goals there are, and whether more may come.
func (j *jump) foot() string {
	t, p := j.theme, j.place
	text := t.Muted.Paint(j.table.Tally())
	switch {
	case p.naming || p.looking && !p.seen():
		n := len(j.clusters(j.shown))
		text = t.Busy.Paint(j.spinner()+" reading names, "+plural(n, "cluster")+" so far ") + text
	case p.nameless != nil:
		text = t.Bad.Paint(t.Cut("! not all names: "+say.Line(p.nameless.Error()), 50)) + " " + text
	}
	return text
}

func (j *jump) help() []draw.Binding {
	return []draw.Binding{j.keys.in.As("go"), j.keys.back, draw.Bind("", "of a kind", "kind:service")}
}

// The size of the dialog at the most.
const (
	jumpWidth = 76
	jumpName  = 30 // cells of that for names
	jumpLines = 18
)

func (j *jump) draw(w, h int, _ bool) []string {
	j.fill()
	w, h = min(w, jumpWidth), min(h, jumpLines)
	if j.table.Shown() == 0 {
		return j.theme.Fill([]string{"", "  Nothing is called so. The beginning of an id finds a task; kind:host lists hosts."}, w, h)
	}
	return j.theme.Fill(j.table.Draw(w, h, true), w, h)
}

func (j *jump) update(msg tea.Msg) (wish, bool) {
	if k, ok := msg.(tea.KeyPressMsg); ok {
		switch k.String() {
		case "enter":
			g, ok := j.table.Row()
			if !ok {
				return nil, true
			}
			return all(dismiss(j), later(g.reach)), true
		case "esc", "ctrl+p":
			return dismiss(j), true
		}
	}
	j.table.Update(msg)
	return nil, true
}
