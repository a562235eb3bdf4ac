package screen

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/draw"
)

// detail is the page about one tunnel: what carries it, its traffic, and below that one of several tables.
type detail struct {
	*look

	tunnels *tunnels
	row     *row
	side    sheet // the table in sight

	destinations *draw.Table[destinationRow]
	connections  *draw.Table[connectionRow]
	hosts        *draw.Table[hostTotal]
	history      *draw.Table[step]
	paces        connectionRates
	rates        destinationRates
	told         told // what the holder has told, for a tunnel of another process
	above        int  // lines above the table when last drawn
}

// sheet is one of the tables about a tunnel.
type sheet int

const (
	connectionSheet sheet = iota
	hostSheet
	historySheet
	destinationSheet // only for a tunnel to any host
	sheets           // how many there are
)

// views returns the tables that there are for the tunnel, in their order.
func (d *detail) views() []sheet {
	if d.row.Spec.Dynamic != nil {
		return []sheet{destinationSheet, connectionSheet, hostSheet, historySheet}
	}
	return []sheet{connectionSheet, hostSheet, historySheet}
}

// turn shows the table that is so many further than the present one.
func (d *detail) turn(by int) {
	views := d.views()
	d.side = views[(max(slices.Index(views, d.side), 0)+by+len(views))%len(views)]
}

func newDetail(l *look, ts *tunnels, r *row) *detail {
	d := &detail{look: l, tunnels: ts, row: r, paces: connectionRates{}, rates: destinationRates{}}
	d.side = d.views()[0]
	d.destinations = draw.NewTable(l.theme, l.keys.table(), destinationRow.id, l.destinationColumns()...)
	d.connections = draw.NewTable(l.theme, l.keys.table(), connectionRow.id, d.connectionColumns()...)
	d.hosts = draw.NewTable(l.theme, l.keys.table(), func(h hostTotal) string { return h.Host }, d.hostColumns()...)
	d.history = draw.NewTable(l.theme, l.keys.table(), step.id, d.historyColumns()...)
	d.tick()
	return d
}

// toHost puts the cursor on a host.
func (d *detail) toHost(host string) {
	d.side = hostSheet
	d.hosts.MoveTo(host)
}

// toDestination puts the cursor on a destination.
func (d *detail) toDestination(name string) {
	d.side = destinationSheet
	d.destinations.MoveTo(name)
}

// subject is the tunnel that the page is about.
func (d *detail) subject() *row { return d.row }

// tick reads the tunnel's connections and history anew; for a tunnel of another process, what its holder has told of them.
func (d *detail) tick() {
	if d.row.Spec.Dynamic != nil {
		d.leads(d.row.Destinations)
	}
	switch {
	case d.row.tunnel != nil:
		d.fill(d.row.tunnel.Connections(), d.row.tunnel.History())
	case d.told.any:
		d.hosts.Set(d.told.hosts)
		d.history.Set(steps(d.told.history, d.now))
	default:
		d.fill(nil, nil)
	}
}

func (d *detail) fill(connections []tunnel.Connection, history []tunnel.Event) {
	d.connections.Set(d.paced(connections))
	d.hosts.Set(d.row.hosts.totals(connections))
	d.history.Set(steps(history, d.now))
}

func (d *detail) title() string {
	t := d.theme
	text, colour := d.tunnels.standing(d.row)
	title := t.Strong.Paint("Tunnel "+d.row.local()) + "  " + colour.Paint(text) + "  " + t.Accent.Paint(d.row.towards())
	if finding := d.sheet().Finding(); finding != "" {
		title += "  " + finding
	}
	return title
}

func (d *detail) foot() string {
	var facts []string
	for _, f := range d.tunnels.facts(d.row) {
		facts = append(facts, f.text)
	}
	return strings.Join(facts, " "+d.theme.Glyph.Dot+" ")
}

func (d *detail) help() []draw.Binding {
	k := d.keys
	if d.tunnels.ailment(d.row) != nil {
		return []draw.Binding{k.doctor.As("doctor: why?"), k.view, k.back, k.stop, k.reconnect, k.copy}
	}
	if d.asked() != nil {
		return []draw.Binding{k.doctor.As("examine host"), k.view, k.back, k.filter, k.sort.As("sort"), k.reverse.As("reverse"), k.stop, k.reconnect, k.copy}
	}
	if d.side == destinationSheet && d.destinations.Len() > 0 {
		return []draw.Binding{k.in.As("connections"), k.stop.As("end"), k.view, k.back, k.copy, k.doctor, k.filter, k.sort.As("sort"), k.reverse.As("reverse")}
	}
	return []draw.Binding{k.view, k.back, k.filter, k.sort.As("sort"), k.reverse.As("reverse"), k.stop, k.reconnect, k.copy}
}

// anyTable is what all tables can do, whatever their rows are.
type anyTable interface {
	Update(msg tea.Msg) bool
	Draw(w, h int, focused bool) []string
	Finding() string
	Tally() string
	Len() int
	Typing() bool
}

func (d *detail) sheet() anyTable { return d.tables()[d.side] }

func (d *detail) tables() [sheets]anyTable {
	return [sheets]anyTable{d.connections, d.hosts, d.history, d.destinations}
}

func (d *detail) update(msg tea.Msg) (wish, bool) {
	switch m := msg.(type) {
	case twice:
		m.Y -= d.above
		if to, ok := d.destinations.Row(); ok && d.side == destinationSheet && picked(d.destinations, m) {
			return aboutDestination(d.row, to.Endpoint), true
		}
		msg = m.MouseClickMsg
	case tea.MouseClickMsg:
		m.Y -= d.above
		msg = m
	case tea.KeyPressMsg:
		if d.sheet().Typing() {
			break
		}
		switch {
		case d.keys.view.Pressed(m), d.keys.right.Pressed(m):
			d.turn(1)
			return nil, true
		case d.keys.left.Pressed(m):
			d.turn(-1)
			return nil, true
		case d.numbered(m):
			return nil, true
		case d.keys.back.Pressed(m) && d.sheet().Finding() == "":
			return nil, false
		}
	}
	if d.sheet().Update(msg) {
		return nil, true
	}
	if k, ok := msg.(tea.KeyPressMsg); ok {
		if w, taken := d.keyed(k); taken {
			return w, true
		}
		if host := d.asked(); d.keys.doctor.Pressed(k) && host != nil {
			return d.tunnels.consultOn(d.row, host), true
		}
		return d.tunnels.act(k, d.row)
	}
	return nil, false
}

// How many lines of the page the table has at least, for titles and three rows, and how many a graph has at least, its
// time axis included.
const (
	leastTable = 4
	leastGraph = 3
)

// numbered shows the table whose number was pressed; false for other keys.
func (d *detail) numbered(k tea.KeyPressMsg) bool {
	s := slices.Index(d.keys.number.Keys(), k.String())
	if s < 0 || s >= len(d.views()) {
		return false
	}
	d.side = d.views()[s]
	return true
}

func (d *detail) draw(w, h int, focused bool) []string {
	// What there is no room for is left out: first what carries the tunnel, then the graph.
	room := h - leastTable - 1
	lines := d.numbers(w)
	room -= len(lines)
	most := shortAdvice
	if d.row.State.Final() { // there are no connections to see any more
		most = max(h/2, shortAdvice)
	}
	if ill := d.problem(d.tunnels.ailment(d.row), w, most); len(ill) <= room {
		room -= len(ill)
		lines = append(ill, lines...)
	}
	if told := d.waiting(d.row, w, mostNews); len(told) > 0 {
		told = told[max(len(told)-max(room, 0), 0):]
		room -= len(told)
		lines = append(told, lines...)
	}
	graph := room >= leastGraph
	if about := d.about(); len(about) <= room-leastGraph {
		room -= len(about)
		for i := range about {
			about[i] = d.theme.Cut(about[i], w)
		}
		lines = append(about, lines...)
	}
	if graph {
		lines = append(lines, d.graphs(w, min(max(h/5, leastGraph-1), room-1, 8))...)
	}
	lines = append(lines, d.tabs(w))
	d.above = len(lines)
	tail := d.tail(w)
	if room = h - len(lines); room < leastTable+len(tail) {
		tail = nil
	}
	room -= len(tail)
	if d.sheet().Len() == 0 {
		lines = append(lines, " "+d.theme.Muted.Paint(d.nothing()))
		return append(lines, tail...)
	}
	lines = append(lines, d.theme.Fill(d.sheet().Draw(w, room, focused), w, room)...)
	return append(lines, tail...)
}

// about says what carries the tunnel.
func (d *detail) about() []string {
	t, r := d.theme, d.row
	link := r.Link
	fact := func(name, value string) string {
		if value == "" {
			value = t.Glyph.None
		}
		return t.Muted.Paint(name+" ") + t.CutMiddle(say.Line(value), 44)
	}
	dot := " " + t.Muted.Paint(t.Glyph.Dot) + " "
	since := t.Muted.Paint("for ") + say.Age(d.now.Sub(r.Since))
	if !r.State.Final() && r.State != tunnel.Open {
		since = t.Muted.Paint("since ") + r.Since.Local().Format(time.TimeOnly)
	}
	if r.Spec.Dynamic != nil {
		return d.rules(since)
	}
	lines := []string{
		" " + fact("task", link.Target.Task) + dot + fact("container", link.Target.Container),
		" " + fact("session", link.Session) + dot + fact("agent", link.Agent) + dot + t.Muted.Paint(r.State.String()+" ") + since,
	}
	switch word, more := r.bonding(); {
	case more != "":
		lines = append(lines, " "+fact("relay", word)+dot+more)
	case word != "":
		lines[0] += dot + fact("relay", word)
	}
	return lines
}

// tabs names the tables and how many rows they have, with the one in sight marked by more than colour. Where there is little room
// only that one has its number of rows.
func (d *detail) tabs(w int) string {
	if line := d.tabbed(true); draw.Width(line) <= w || len(d.views()) < int(sheets) {
		return d.theme.Cut(line, w)
	}
	return d.theme.Cut(d.tabbed(false), w)
}

func (d *detail) tabbed(counted bool) string {
	t := d.theme
	names := [sheets]string{"connections", "hosts", "history", "destinations"}
	var b strings.Builder
	b.WriteByte(' ')
	tables := d.tables()
	for i, s := range d.views() {
		b.WriteString(t.Link.Paint(d.keys.number.Keys()[i]) + " ")
		name := names[s]
		if counted || s == d.side {
			name += " " + tables[s].Tally()
		}
		if n := d.told.omitted; n > 0 && s == connectionSheet {
			name += " +" + draw.Thousands(n) + " older"
		}
		if s == d.side {
			b.WriteString(t.Strong.Paint("[" + name + "]"))
		} else {
			b.WriteString(t.Muted.Paint(" " + name + " "))
		}
		b.WriteByte(' ')
	}
	b.WriteString(" " + t.Link.Paint(d.keys.view.Shortest()) + t.Muted.Paint(" "+d.keys.view.Help().Desc))
	return b.String()
}

func (d *detail) nothing() string {
	if d.row.holder != nil && !d.told.any {
		return d.untold()
	}
	switch d.side { //nolint:exhaustive // the other tables are empty as long as there was no connection
	case historySheet:
		return "nothing has happened yet"
	case destinationSheet:
		if d.row.Stats.Received+d.row.Stats.Sent > 0 { // those that there were have ended
			return "no destination is open now; who asks for one opens it"
		}
		return "no client has asked for a host through " + d.row.local() + " yet; " + d.keys.copy.Shortest() + " copies how to"
	}
	return "no connection has come to " + d.row.local() + " yet"
}

// tail returns the lines below the table: the whole of an error for which its column has no room, or what carries the destination
// under the cursor.
func (d *detail) tail(w int) []string {
	lines := d.problem(d.under(), w, shortAdvice)
	if to, ok := d.destinations.Row(); ok && d.side == destinationSheet && len(lines) == 0 {
		lines = []string{d.line(d.carriers(to.Destination), w)} // facts for which there are no columns
	}
	return lines
}

// under is why the row under the cursor failed; nil when it did not.
func (d *detail) under() error {
	switch d.side {
	case connectionSheet:
		if c, ok := d.connections.Row(); ok {
			return c.Err
		}
	case historySheet:
		if s, ok := d.history.Row(); ok {
			return s.Err
		}
	case hostSheet:
		if h, ok := d.hosts.Row(); ok {
			return h.Why
		}
	case destinationSheet:
		if to, ok := d.destinations.Row(); ok {
			return to.Err
		}
	case sheets:
	}
	return nil
}

// asked is the URL of the host under the cursor, for the doctor to reach; nil where the row is no host behind a proxy.
func (d *detail) asked() *url.URL {
	switch d.side {
	case connectionSheet:
		if c, ok := d.connections.Row(); ok {
			return d.urlOf(c.Host, c.Protocol)
		}
	case hostSheet:
		if h, ok := d.hosts.Row(); ok {
			return d.urlOf(h.Host, h.Protocol)
		}
	case historySheet, destinationSheet, sheets:
	}
	return nil
}

// urlOf returns the URL of a host that clients have named to a proxy; nil when what they named is no host behind the tunnel.
func (d *detail) urlOf(host string, protocol tunnel.Protocol) *url.URL {
	u := &url.URL{Scheme: "http", Host: host, Path: "/"}
	switch protocol { //nolint:exhaustive // in the other protocols no host is named to a proxy
	case tunnel.ProtocolHTTPConnect:
		if _, port, err := net.SplitHostPort(host); err != nil || port != "80" {
			u.Scheme = "https"
		}
	case tunnel.ProtocolHTTP:
		if d.row.Spec.Remote.Host != "" {
			return nil
		}
	default:
		return nil
	}
	probe, err := doctor.ParseProbe(u.String())
	if err != nil {
		return nil
	}
	name := probe.Hostname()
	if at, err := netip.ParseAddr(name); name == "localhost" || err == nil && at.IsLoopback() {
		return nil
	}
	return probe
}

// failing returns the errors of the tunnel and of the row under the cursor.
func (d *detail) failing() []error {
	return slices.DeleteFunc([]error{d.tunnels.ailment(d.row), d.under()}, func(err error) bool { return err == nil })
}
