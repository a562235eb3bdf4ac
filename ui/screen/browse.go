package screen

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// browse is the way from clusters to containers.
type browse struct {
	*look

	accounts *accounts
	tunnels  *tunnels
	readOnly bool
	lead     aws.Target // the cluster and service to which a newcomer is led; zero: to none

	depth  depth
	tables [deepest]*draw.Table[entry]
	flat   bool               // at depth services, those of all clusters are shown
	all    *draw.Table[entry] // the table of the services of all clusters; made when it is first opened
	sought aws.Target         // what the user wants to see and is still to be found; zero for nothing

	cluster, service, task string            // the names that the user has gone into; empty below where the user is
	loose                  bool              // the user has gone into the tasks without a service
	gone                   string            // what the user has gone into and is no more; empty while it is there
	early                  []tea.KeyPressMsg // keys that were pressed before the rows were there, see tooEarly
}

func newBrowse(l *look, at *accounts, ts *tunnels, o Options) *browse {
	b := &browse{look: l, accounts: at, tunnels: ts, readOnly: o.ReadOnly, lead: o.Begin}
	b.arrive()
	if o.At.Cluster != "" {
		b.aim(o.At)
		at.here.sight = b.sight() // so that the first look is only at what is in sight
	}
	return b
}

// arrive begins anew when the user looks at another place.
func (b *browse) arrive() {
	b.depth, b.cluster, b.service, b.task, b.loose, b.flat, b.sought, b.early = atClusters, "", "", "", false, false, aws.Target{}, nil
	for l := range deepest {
		b.tables[l] = b.newTable(l)
	}
	b.all = nil
	b.accounts.here.sight = b.sight()
	b.fresh()
}

// newTable returns an empty table for a depth. Rows to which a forward can lead can be marked.
func (b *browse) newTable(l depth) *draw.Table[entry] {
	table := draw.NewTable(b.theme, b.keys.table(), entry.id, b.columns(l)...)
	if l == atServices || l == atTasks {
		table.Markable(func(e entry) bool { _, single := e.target(); return single })
	}
	return table
}

// fresh fills the table in sight from the catalog.
func (b *browse) fresh() {
	catalog := b.accounts.here.catalog
	if catalog == nil {
		return
	}
	b.gone = ""
	switch {
	case b.depth == atClusters:
		b.tables[atClusters].Set(clusterEntries(catalog))
		return
	case b.flat && b.depth == atServices:
		b.all.Set(allServices(catalog))
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
		b.tables[atServices].Set(serviceEntries(cluster))
	case atTasks:
		entries := taskEntries(cluster, b.service, b.loose)
		if len(entries) == 0 && !b.loose && !slices.ContainsFunc(cluster.Services, func(s aws.Service) bool { return s.Name == b.service }) {
			b.lost("service " + b.service)
			return
		}
		b.tables[atTasks].Set(entries)
	case atContainers:
		at := slices.IndexFunc(cluster.Tasks, func(t aws.Task) bool { return t.ID == b.task })
		if at < 0 {
			b.lost("task " + b.task)
			return
		}
		b.tables[atContainers].Set(containerEntries(cluster, &cluster.Tasks[at]))
	case atClusters, deepest:
	}
}

// lost empties the table, as what the user has gone into is not in the catalog. Only after a finished look it is said to be no
// more.
func (b *browse) lost(what string) {
	b.tables[b.depth].Set(nil)
	if b.accounts.here.seen() {
		b.gone = what
	}
}

func (b *browse) table() *draw.Table[entry] {
	if b.flat && b.depth == atServices {
		return b.all
	}
	return b.tables[b.depth]
}

// path returns the names of what the user has gone into, from the cluster on.
func (b *browse) path() []string {
	if b.flat && b.depth == atServices {
		return nil
	}
	service := b.service
	if b.loose {
		service = "no service"
	}
	return []string{b.cluster, service, b.task}[:b.depth]
}

func (b *browse) title() string {
	t := b.theme
	var s strings.Builder
	for _, name := range b.path() {
		s.WriteString(t.Text.Paint(t.CutMiddle(say.Line(name), 24)) + t.Muted.Paint(" "+t.Glyph.Into+" "))
	}
	name := b.depth.String()
	if b.flat && b.depth == atServices {
		name = "all " + name
	}
	s.WriteString(t.Strong.Paint(name))
	switch p := b.accounts.here; {
	case p.catalog == nil:
	case !p.seen() && b.table().Len() == 0:
		s.WriteString(t.Muted.Paint(" " + t.Glyph.More))
	default:
		s.WriteString(t.Muted.Paint(" " + b.table().Sight()))
	}
	if finding := b.table().Finding(); finding != "" {
		s.WriteString("  " + finding)
	}
	return s.String()
}

// foot says how old the shown data is.
func (b *browse) foot() string {
	t, p := b.theme, b.accounts.here
	switch {
	case p.looking && !p.seen():
		return t.Busy.Paint(b.spinner() + " looking")
	case p.catalog == nil:
		return ""
	case p.trouble != nil:
		return t.Bad.Paint("as of " + p.taken().Format("15:04:05"))
	}
	return t.Muted.Paint("as of " + p.taken().Format("15:04:05"))
}

func (b *browse) help() []draw.Binding {
	k := b.keys
	if b.table().Typing() {
		return []draw.Binding{k.in.As("keep filter"), k.back.As("no filter")}
	}
	if n := len(b.table().Marked()); n > 0 {
		return []draw.Binding{k.forward.As("forward " + draw.Thousands(n)), k.mark, k.back.As("unmark"), k.stop.As("stop their tunnels"), k.reconnect}
	}
	var keys []draw.Binding
	switch b.depth {
	case atClusters:
		keys = []draw.Binding{k.in.As("open"), k.details, k.jump.As("jump"), k.all.As("all"), k.hosts.As("hosts")}
	case atServices, atTasks:
		keys = []draw.Binding{k.forward, k.any.As("any host"), k.in.As("open"), k.back, k.doctor, k.details}
	case atContainers:
		keys = []draw.Binding{k.forward, k.any.As("any host"), k.in.As("details"), k.save.As("shell"), k.back, k.doctor}
	case deepest:
	}
	return append(keys, k.filter, k.sort.As("sort"))
}

func (b *browse) update(msg tea.Msg) (wish, bool) {
	k, ok := msg.(tea.KeyPressMsg)
	if ok && b.tooEarly(k) {
		return nil, true
	}
	if picked(b.table(), msg) {
		return b.in(), true
	}
	if b.table().Update(msg) {
		return nil, true
	}
	if !ok {
		return nil, false
	}
	keys := b.keys
	switch {
	case keys.in.Pressed(k):
		return b.in(), true
	case keys.right.Pressed(k) && b.depth < atContainers:
		return b.in(), true
	case (keys.back.Pressed(k) || keys.left.Pressed(k)) && b.depth > atClusters:
		return b.out(), true
	case len(b.table().Marked()) > 0 && (keys.stop.Pressed(k) || keys.reconnect.Pressed(k)):
		return b.toTunnels(k), true
	case keys.forward.Pressed(k):
		return b.forward(), true
	case keys.any.Pressed(k):
		return b.anyHost(), true
	case keys.copy.Pressed(k):
		return b.copy(), true
	case keys.doctor.Pressed(k):
		return b.consult(), true
	case keys.save.Pressed(k) && b.depth >= atTasks:
		return b.row(shellFor), true
	case keys.details.Pressed(k):
		return b.row(describe), true
	case keys.console.Pressed(k):
		return b.row(onConsole), true
	}
	return nil, false
}

// row does something with the row under the cursor, if there is one.
func (b *browse) row(do func(*place, entry) wish) wish {
	e, ok := b.table().Row()
	if !ok {
		return nil
	}
	return do(b.accounts.here, e)
}

// in goes into the row under the cursor; for a container, which holds nothing, it shows the details.
func (b *browse) in() wish {
	e, ok := b.table().Row()
	if !ok {
		return nil
	}
	b.sought = aws.Target{}
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
		return describe(b.accounts.here, e)
	}
	if b.flat && b.depth == atServices {
		b.cluster = e.cluster.Name
	}
	b.depth++
	b.tables[b.depth] = b.newTable(b.depth)
	b.fresh()
	return b.focus()
}

// out goes back one depth; the cursor is on the row that the user had gone into.
func (b *browse) out() wish {
	b.sought = aws.Target{}
	b.depth--
	b.flat = b.flat && b.depth > atClusters
	b.fresh()
	return b.focus()
}

// forward opens the dialog for the row under the cursor.
func (b *browse) forward() wish {
	e, ok := b.table().Row()
	if !ok {
		return nil
	}
	if b.readOnly {
		return fail(&ReadOnlyError{})
	}
	if marked := b.table().Marked(); len(marked) > 0 {
		return forwardToAll(b.accounts.here, marked, b.table().Unmark)
	}
	if _, single := e.target(); !single {
		return tell("open it with enter and choose a service or a task: a forward leads to one of them")
	}
	return forwardTo(b.accounts.here, e)
}

// anyHost opens the dialog for a tunnel to any host through the row under the cursor. For a cluster the user chooses one of its
// services that have a ready task.
func (b *browse) anyHost() wish {
	e, ok := b.table().Row()
	if !ok {
		return nil
	}
	if b.readOnly {
		return fail(&ReadOnlyError{})
	}
	if _, single := e.target(); single {
		return anyHostThrough(b.accounts.here, e)
	}
	var ready []entry
	var choices []choice
	for _, s := range serviceEntries(e.cluster) {
		if s.service != nil && s.ready > 0 && !e.loose {
			ready = append(ready, s)
			choices = append(choices, choice{s.service.Name, plural(s.ready, "ready task")})
		}
	}
	if len(ready) == 0 {
		return tell("open it with enter and choose a service or a task: any host is reached through one of them")
	}
	return chooseNumbered("any host through", choices, func(i int) wish { return anyHostThrough(b.accounts.here, ready[i]) })
}

// copy takes the name of the row as --target and culvert list take it, or a remedy that is in sight.
func (b *browse) copy() wish {
	e, ok := b.table().Row()
	if !ok {
		return nil
	}
	texts := []choice{{"target", say.Line(e.cluster.Name)}}
	if target, single := e.target(); single {
		texts[0].about = say.Line(target.String())
	}
	if e.cause != nil {
		texts = append(texts, choice{"remedy", say.Remedy(e.cause)})
	}
	for _, gap := range b.gaps() {
		texts = append(texts, choice{"remedy: " + say.Line(gap.Error()), say.Remedy(gap)})
	}
	if len(texts) == 1 {
		return copied("the "+texts[0].name, texts[0].about)
	}
	return chooseNumbered("copy", texts, func(i int) wish {
		what, _, _ := strings.Cut(texts[i].name, ":")
		return copied("the "+what, texts[i].about)
	})
}

// consult examines the row under the cursor of the browser.
func (b *browse) consult() wish {
	p := b.accounts.here
	e, ok := b.table().Row()
	switch {
	case !ok && p.client == nil: // without an account the doctor finds out why
		return consult(p, aws.Query{}, tunnel.Endpoint{Port: proxyPort})
	case !ok:
		return nil
	}
	target, single := e.target()
	if !single {
		return tell("open it with enter and choose a service or a task: the doctor looks at one of them")
	}
	remote := tunnel.Endpoint{Port: e.likelyPort()}
	if e.cause != nil && e.ready == 0 && (e.known || e.service != nil) || p.trouble != nil { // the row cannot carry a tunnel: the doctor examines that
		return consult(p, target.Query(), remote)
	}
	return askProbe(p, target.Query(), tunnel.Spec{Remote: remote}, "")
}

// way says what a newcomer should do next to get to the first tunnel; empty where nothing is proposed.
func (b *browse) way() string {
	to := b.lead
	if to.Service == "" || b.accounts.here.catalog == nil {
		return ""
	}
	way := b.keys.forward.Shortest() + " on " + to.Service + ", then " + b.keys.in.Shortest()
	switch {
	case b.flat && b.depth == atServices: // the service is among those shown
	case b.depth == atClusters:
		way = b.keys.in.Shortest() + " on " + to.Cluster + ", then " + way
	case b.cluster != to.Cluster || b.depth > atServices && b.service != to.Service:
		way = b.keys.back.Shortest() + ", then look for " + to.Cluster + "/" + to.Service
	case b.depth > atServices:
		way = b.keys.forward.Shortest() + ", then " + b.keys.in.Shortest()
	}
	return "begin here: " + way
}
