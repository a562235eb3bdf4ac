package screen

import (
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

// The ways through the browser that do not lead from row to row: to the services of all clusters, and straight to something.

// allServices returns the rows for the services of every cluster.
func allServices(c *aws.Catalog) []entry {
	var entries []entry
	for i := range c.Clusters {
		for _, e := range serviceEntries(&c.Clusters[i]) {
			if !e.loose {
				e.flat = true
				entries = append(entries, e)
			}
		}
	}
	return entries
}

// showAll shows the services of all clusters, with the cursor and the filter as the user left them.
func (b *browse) showAll() wish {
	b.flat, b.depth, b.sought, b.early = true, atServices, aws.Target{}, nil
	if b.all == nil {
		b.all = b.newTable(atServices)
		b.all.SetColumns(slices.Insert(b.columns(atServices), 1, draw.Column[entry]{
			Title: "CLUSTER", Least: 8, Most: 20, Sought: draw.AsText, Ink: b.muted,
			Text:  func(e entry) string { return say.Line(e.cluster.Name) },
			Words: entry.id,
		}))
	}
	b.fresh()
	return b.focus()
}

// focus has what is in sight be read again and again.
func (b *browse) focus() wish { return b.accounts.here.focus(b.sight()) }

// seek goes to what a target names: into a cluster, or to the row of a service, a task or a container. When that is not known
// yet, seek goes there as soon as it is.
func (b *browse) seek(to aws.Target) wish {
	b.aim(to)
	return all(b.focus(), b.arrived())
}

// aim notes what is sought, without going there.
func (b *browse) aim(to aws.Target) {
	b.flat, b.sought, b.early = false, to, nil
	b.depth, b.cluster, b.service, b.task, b.loose = atServices, to.Cluster, "", "", false
	b.tables[atServices] = b.newTable(atServices)
	b.fresh()
}

// arrived goes to what is sought, if that is known by now. When a finished look has not found it, it is sought no longer.
func (b *browse) arrived() wish {
	p := b.accounts.here
	to := b.sought
	switch {
	case to.Cluster == "" || p.catalog == nil:
		return nil
	case (SavedTunnel{Target: to}).elsewhere(p): // the target was written as an ARN of another account
		b.sought = aws.Target{}
		return all(fail(&aws.ElsewhereError{
			ARN: to.Home.ARN, Partition: to.Home.Partition, Account: to.Home.Account, Region: to.Home.Region,
			HerePartition: to.Home.Partition, HereAccount: p.identity.Account, HereRegion: p.regionName(),
		}), b.out())
	}
	if to.Service == "" && to.Task == "" && to.Family == "" {
		to.Service = "*" // no service has this name: so far only the cluster is sought
	}
	found, err := p.catalog.Find(to.String())
	missing := slices.IndexFunc(p.catalog.Clusters, func(k aws.Cluster) bool { return k.Name == to.Cluster }) < 0
	switch {
	case err == nil:
		b.sought = aws.Target{}
		return b.stand(to, found)
	case !missing && to.Service == "*":
		if p.seen() { // before that the cluster may be one that the catalog does not have yet
			b.sought = aws.Target{}
		}
	case !missing && p.seen(), p.knows(clusters):
		b.sought = aws.Target{}
		if missing {
			return all(fail(err), b.out())
		}
		return fail(err)
	case missing && p.seen(): // the cluster has others, one of which may have been meant
		return p.focus(clusters)
	}
	return nil
}

// stand puts the cursor on the row of what was found; to is what was asked for.
func (b *browse) stand(to, found aws.Target) wish {
	b.depth, b.cluster, b.service, b.loose = atServices, found.Cluster, found.Service, found.Service == ""
	if found.Family != "" && found.Task == "" {
		found.Task = newestOf(b.accounts.here.catalog, found)
		to.Task = found.Task
	}
	at := found.Service
	if to.Task != "" || to.Container != "" {
		b.fresh()
		b.tables[atServices].MoveTo(found.Service)
		b.depth, at = atTasks, found.Task
		b.tables[atTasks] = b.newTable(atTasks)
	}
	if to.Task != "" && to.Container != "" {
		b.fresh()
		b.tables[atTasks].MoveTo(found.Task)
		b.depth, b.task, at = atContainers, found.Task, found.Container
		b.tables[atContainers] = b.newTable(atContainers)
	}
	b.fresh()
	b.table().MoveTo(at)
	return b.focus()
}

// newestOf returns the id of the task of a family that started last.
func newestOf(c *aws.Catalog, of aws.Target) string {
	var newest aws.Task
	for _, k := range c.Clusters {
		for _, t := range k.Tasks {
			if k.Name == of.Cluster && t.Service == "" && t.IsOf(of.Family) && (newest.ID == "" || t.StartedAt.After(newest.StartedAt)) {
				newest = t
			}
		}
	}
	return newest.ID
}

// tunnelsTo returns the tunnels that lead to a row, or to something in it, and are not over.
func (b *browse) tunnelsTo(e entry) []*row {
	var rows []*row
	for _, r := range b.tunnels.rows {
		if !r.State.Final() && r.in(b.accounts.here) && e.has(r) {
			rows = append(rows, r)
		}
	}
	return rows
}

// in reports whether a tunnel is in the account of a place.
func (r *row) in(p *place) bool {
	if r.holder == nil {
		return r.place == p
	}
	profile, region := r.account()
	return (profile == "" || profile == p.profileName()) && (region == "" || region == p.regionName())
}

// has reports whether a tunnel leads to a row: by the target for which it was opened, or by the one to which it leads now.
func (e entry) has(r *row) bool {
	to, now := r.Spec.Target, r.Link.Target
	switch {
	case to.Cluster != e.cluster.Name:
		return false
	case e.task != nil && e.container == nil:
		return to.Task == e.task.ID || now.Task == e.task.ID
	case e.container != nil:
		return (to.Task == e.task.ID && to.Container == e.container.Name) || (now.Task == e.task.ID && now.Container == e.container.Name)
	case e.service != nil:
		return to.Service == e.service.Name
	case e.loose:
		return to.Service == ""
	}
	return true
}

// open is the column of the tunnels that lead to a row.
func (b *browse) open() draw.Column[entry] {
	const wide = 8
	return draw.Column[entry]{
		Title: "OPEN", Least: wide, Most: wide,
		Ink: func(entry) draw.Ink { return b.theme.Accent },
		Text: func(e entry) string {
			rows := b.tunnelsTo(e)
			sign := b.theme.Glyph.Tunnel + " "
			switch {
			case len(rows) == 0:
				return ""
			case len(rows) > 1:
				return sign + draw.Thousands(len(rows))
			case rows[0].Spec.Socket != "":
				return sign + "socket"
			}
			return sign + ":" + strconv.Itoa(int(rows[0].Local.Port()))
		},
		Order: func(x, y entry) int { return len(b.tunnelsTo(x)) - len(b.tunnelsTo(y)) },
	}
}

// tunnel returns the tunnel to the row under the cursor, the oldest of several; nil when there is none.
func (b *browse) tunnel() *row {
	if e, ok := b.table().Row(); ok {
		if rows := b.tunnelsTo(e); len(rows) > 0 {
			return rows[0]
		}
	}
	return nil
}

// toTunnels does what a key does to tunnels to all tunnels of the marked rows.
func (b *browse) toTunnels(k tea.KeyPressMsg) wish {
	var rows []*row
	for _, e := range b.table().Marked() {
		for _, r := range b.tunnelsTo(e) {
			if !slices.Contains(rows, r) {
				rows = append(rows, r)
			}
		}
	}
	if len(rows) == 0 {
		return tell("none of the marked rows has a tunnel")
	}
	w, _ := b.tunnels.actOn(k, rows, b.table().Unmark)
	return w
}
