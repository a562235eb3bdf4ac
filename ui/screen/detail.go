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

// detail is the page about one tunnel: what carries it, its traffic, and one of three tables below.
type detail struct {
	*look

	tunnels *tunnels
	row     *row
	side    sheet // the table in sight

	connections *draw.Table[connectionLine]
	hosts       *draw.Table[hostTotal]
	history     *draw.Table[step]
	paces       map[uint64]pace // of the connections
	told        told            // of a tunnel that another process holds
	above       int             // lines over the table, as drawn last
}

// sheet is one of the tables about a tunnel.
type sheet int

const (
	connectionSheet sheet = iota
	hostSheet
	historySheet
	sheets // how many there are
)

func newDetail(l *look, ts *tunnels, r *row) *detail {
	d := &detail{look: l, tunnels: ts, row: r, paces: map[uint64]pace{}}
	d.connections = draw.NewTable(l.theme, l.keys.table(), connectionLine.id, d.connectionColumns()...)
	d.hosts = draw.NewTable(l.theme, l.keys.table(), func(h hostTotal) string { return h.Host }, d.hostColumns()...)
	d.history = draw.NewTable(l.theme, l.keys.table(), step.id, d.historyColumns()...)
	d.tick()
	return d
}

// subject is the tunnel that the page is about.
func (d *detail) subject() *row { return d.row }

// tick reads the tunnel's connections and history anew, or what its holder has told of them.
func (d *detail) tick() {
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
	return []draw.Binding{k.view, k.back, k.filter, k.sort.As("sort"), k.reverse.As("reverse"), k.stop, k.reconnect, k.copy}
}

// anyTable is what the three tables can do whatever they show.
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
	return [sheets]anyTable{d.connections, d.hosts, d.history}
}

func (d *detail) update(msg tea.Msg) (wish, bool) {
	switch m := msg.(type) {
	case tea.MouseClickMsg:
		m.Y -= d.above
		msg = m
	case tea.KeyPressMsg:
		if d.sheet().Typing() {
			break
		}
		switch {
		case d.keys.view.Pressed(m):
			d.side = (d.side + 1) % sheets
			return nil, true
		case d.keys.back.Pressed(m) && d.sheet().Finding() == "":
			return nil, false
		}
	}
	if d.sheet().Update(msg) {
		return nil, true
	}
	if k, ok := msg.(tea.KeyPressMsg); ok {
		if host := d.asked(); d.keys.doctor.Pressed(k) && host != nil {
			return d.tunnels.consultOn(d.row, host), true
		}
		return d.tunnels.act(k, d.row)
	}
	return nil, false
}

func (d *detail) draw(w, h int, focused bool) []string {
	graph := graphLines(h)
	lines := d.about(w, h)
	lines = append(lines, d.graphs(w, graph)...)
	lines = append(lines, d.tabs(w))
	d.above = len(lines)
	tail := d.tail(w)
	room := h - len(lines) - len(tail)
	if room < 3 {
		tail = nil
		room = h - len(lines)
	}
	if d.sheet().Len() == 0 {
		lines = append(lines, " "+d.theme.Muted.Paint(d.nothing()))
		return append(lines, tail...)
	}
	lines = append(lines, d.theme.Fill(d.sheet().Draw(w, room, focused), w, room)...)
	return append(lines, tail...)
}

// graphLines is how tall the graph is on a page of h lines.
func graphLines(h int) int { return min(max(h/5, 2), 8) }

// about says what carries the tunnel, and what ails it.
func (d *detail) about(w, h int) []string {
	t, r := d.theme, d.row
	link := r.Link
	fact := func(name, value string) string {
		if value == "" {
			value = t.Glyph.None
		}
		return t.Muted.Paint(name+" ") + t.CutMiddle(say.Line(value), 44)
	}
	dot := " " + t.Muted.Paint(t.Glyph.Dot) + " "
	since := t.Muted.Paint("for ") + draw.Age(d.now.Sub(r.Since))
	if !r.State.Final() && r.State != tunnel.Open {
		since = t.Muted.Paint("since ") + r.Since.Local().Format(time.TimeOnly)
	}
	lines := []string{
		" " + fact("task", link.Target.Task) + dot + fact("container", link.Target.Container),
		" " + fact("session", link.Session) + dot + fact("agent", link.Agent) + dot + t.Muted.Paint(r.State.String()+" ") + since,
	}
	most := shortAdvice
	if r.State.Final() { // there is nothing else to see
		most = max(h/2, shortAdvice)
	}
	return append(lines, d.problem(d.tunnels.ailment(r), w, most)...)
}

// graphs draw the traffic of the last minutes, received on the left and sent on the right, to one scale each.
func (d *detail) graphs(w, h int) []string {
	t := d.theme
	half := (w - 4) / 2
	between := t.Border.Paint(t.Glyph.Thin.Along) + " "
	seconds := min(half, keepSeconds)
	var sent, received []float64
	for _, second := range d.row.meter.history(seconds) {
		sent, received = append(sent, second.sent), append(received, second.received)
	}
	up, down := d.row.meter.rate()
	caption := func(word string, now float64, total uint64, top float64) string {
		text := word + " " + d.rate(d.row, now) + ", " + draw.Bytes(total) + " in all"
		if half >= longCaption {
			text += ", at most " + draw.Rate(top) + " in " + draw.Age(time.Duration(seconds)*time.Second)
		}
		return t.Fit(text, half)
	}
	lines := []string{" " + t.Received.Paint(caption("received", down, d.row.Stats.Received, peakOf(received))) + between +
		t.Sent.Paint(caption("sent", up, d.row.Stats.Sent, peakOf(sent)))}
	left := t.Bars().Graph(received, half, h, draw.Peak(received))
	right := t.Bars().Graph(sent, half, h, draw.Peak(sent))
	for i := range h {
		lines = append(lines, " "+t.Received.Paint(left[i])+between+t.Sent.Paint(right[i]))
	}
	return lines
}

// longCaption is the width from which there is room for the scale of a graph.
const longCaption = 62

// peakOf is the highest of values.
func peakOf(values []float64) float64 {
	var top float64
	for _, v := range values {
		top = max(top, v)
	}
	return top
}

// tabs name the three tables, with the one in sight marked by more than colour.
func (d *detail) tabs(w int) string {
	t := d.theme
	names := [sheets]string{"connections", "hosts", "history"}
	var b strings.Builder
	b.WriteByte(' ')
	for i, table := range d.tables() {
		name := names[i] + " " + table.Tally()
		if n := d.told.omitted; n > 0 && sheet(i) == connectionSheet {
			name += " +" + draw.Thousands(n) + " older"
		}
		if sheet(i) == d.side {
			b.WriteString(t.Strong.Paint("[" + name + "]"))
		} else {
			b.WriteString(t.Muted.Paint(" " + name + " "))
		}
		b.WriteByte(' ')
	}
	b.WriteString(t.Muted.Paint(" " + d.keys.view.Shortest() + " " + d.keys.view.Help().Desc))
	return t.Cut(b.String(), w)
}

func (d *detail) nothing() string {
	if d.row.holder != nil && !d.told.any {
		return d.untold()
	}
	if d.side == historySheet {
		return "nothing has happened yet"
	}
	return "no connection has come to " + d.row.local() + " yet"
}

// tail is the whole of an error that its column has no room for.
func (d *detail) tail(w int) []string { return d.problem(d.under(), w, shortAdvice) }

// under is what the row under the cursor failed of.
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
	case sheets:
	}
	return nil
}

// asked is the URL of the host under the cursor, for the doctor to reach; nil where there is none that goes through a proxy.
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
	case historySheet, sheets:
	}
	return nil
}

// urlOf is how a host is asked for that clients name to a proxy. What they name of the tunnel's own end is no host behind it.
func (d *detail) urlOf(host string, protocol tunnel.Protocol) *url.URL {
	u := &url.URL{Scheme: "http", Host: host, Path: "/"}
	switch protocol { //nolint:exhaustive // the others name no host to a proxy
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

// failing is what ails the tunnel, and the row under the cursor.
func (d *detail) failing() []error {
	return slices.DeleteFunc([]error{d.tunnels.ailment(d.row), d.under()}, func(err error) bool { return err == nil })
}
