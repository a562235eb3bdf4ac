package ui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
)

// detail is the page about one tunnel: what carries it, its traffic, and one of three tables below.
type detail struct {
	app  *app
	row  *row
	side sheet // the table in sight

	connections *table[connectionLine]
	hosts       *table[hostTotal]
	history     *table[step]
	paces       map[uint64]pace // of the connections
}

// sheet is one of the tables about a tunnel.
type sheet int

const (
	connectionSheet sheet = iota
	hostSheet
	historySheet
	sheets // how many there are
)

func newDetail(a *app, r *row) *detail {
	d := &detail{app: a, row: r, paces: map[uint64]pace{}}
	d.connections = newTable(a.theme, a.keys, connectionLine.id, d.connectionColumns()...)
	d.hosts = newTable(a.theme, a.keys, func(h hostTotal) string { return h.Host }, d.hostColumns()...)
	d.history = newTable(a.theme, a.keys, step.id, d.historyColumns()...)
	d.tick()
	return d
}

// tick reads the tunnel's connections and history anew.
func (d *detail) tick() {
	var connections []tunnel.Connection
	var history []tunnel.Event
	if d.row.tunnel != nil {
		connections, history = d.row.tunnel.Connections(), d.row.tunnel.History()
	}
	d.fill(connections, history)
}

func (d *detail) fill(connections []tunnel.Connection, history []tunnel.Event) {
	d.connections.set(d.paced(connections))
	d.hosts.set(d.row.hosts.totals(connections))
	d.history.set(steps(history, d.app.now))
}

func (d *detail) title() string {
	t := d.app.theme
	text, colour := d.app.standing(d.row)
	title := t.strong.paint("Tunnel "+d.row.local()) + "  " + colour.paint(text) + "  " + t.accent.paint(d.row.towards())
	if finding := d.sheet().finding(); finding != "" {
		title += "  " + finding
	}
	return title
}

func (d *detail) foot() string {
	var facts []string
	for _, f := range d.row.facts(d.app) {
		facts = append(facts, f.text)
	}
	return strings.Join(facts, " "+d.app.theme.glyph.dot+" ")
}

func (d *detail) help() []binding {
	k := d.app.keys
	if d.app.ailment(d.row) != nil {
		return []binding{k.doctor.as("doctor: why?"), k.view, k.back, k.stop, k.reconnect, k.copy}
	}
	return []binding{k.view, k.back, k.filter, k.sort.as("sort"), k.reverse.as("reverse"), k.stop, k.reconnect, k.copy}
}

// anyTable is what the three tables can do whatever they show.
type anyTable interface {
	update(msg tea.Msg) bool
	draw(w, h int, focused bool) []string
	finding() string
	tally() string
}

func (d *detail) sheet() anyTable { return d.tables()[d.side] }

func (d *detail) tables() [sheets]anyTable {
	return [sheets]anyTable{d.connections, d.hosts, d.history}
}

func (d *detail) update(msg tea.Msg) (tea.Cmd, bool) {
	switch m := msg.(type) {
	case tea.MouseClickMsg:
		m.Y -= d.head(d.app.layout().body.inner())
		msg = m
	case tea.KeyPressMsg:
		if d.typing() {
			break
		}
		switch {
		case is(m, d.app.keys.view):
			d.side = (d.side + 1) % sheets
			return nil, true
		case is(m, d.app.keys.back) && d.sheet().finding() == "":
			return nil, false
		}
	}
	if d.sheet().update(msg) {
		return nil, true
	}
	if k, ok := msg.(tea.KeyPressMsg); ok {
		return d.app.tunnels.act(k, d.row)
	}
	return nil, false
}

// typing reports whether a filter is being written, which takes every key.
func (d *detail) typing() bool {
	return d.connections.typing || d.hosts.typing || d.history.typing
}

func (d *detail) draw(w, h int) []string {
	graph := graphLines(h)
	lines := d.about(w)
	lines = append(lines, d.graphs(w, graph)...)
	lines = append(lines, d.tabs(w))
	tail := d.tail(w)
	room := h - len(lines) - len(tail)
	if room < 3 {
		tail = nil
		room = h - len(lines)
	}
	if d.empty() {
		lines = append(lines, " "+d.app.theme.muted.paint(d.nothing()))
		return append(lines, tail...)
	}
	lines = append(lines, d.app.theme.fill(d.sheet().draw(w, room, !d.app.below), w, room)...)
	return append(lines, tail...)
}

// head is how many lines stand above the table.
func (d *detail) head(in rect) int { return len(d.about(in.w)) + graphLines(in.h) + 2 }

// graphLines is how tall the graph is on a page of h lines.
func graphLines(h int) int { return min(max(h/5, 2), 8) }

// about says what carries the tunnel, and what ails it.
func (d *detail) about(w int) []string {
	t, r := d.app.theme, d.row
	link := r.Link
	fact := func(name, value string) string {
		if value == "" {
			value = t.glyph.none
		}
		return t.muted.paint(name+" ") + t.cutMiddle(say.Line(value), 44)
	}
	dot := " " + t.muted.paint(t.glyph.dot) + " "
	since := t.muted.paint("for ") + ageText(d.app.now.Sub(r.Since))
	if !r.State.Final() && r.State != tunnel.Open {
		since = t.muted.paint("since ") + r.Since.Local().Format(time.TimeOnly)
	}
	lines := []string{
		" " + fact("task", link.Target.Task) + dot + fact("container", link.Target.Container),
		" " + fact("session", link.Session) + dot + fact("agent", link.Agent) + dot + t.muted.paint(r.State.String()+" ") + since,
	}
	return append(lines, trouble(t, d.app.ailment(r), w)...)
}

// graphs draw the traffic of the last minutes, received on the left and sent on the right, to one scale each.
func (d *detail) graphs(w, h int) []string {
	t := d.app.theme
	half := (w - 4) / 2
	between := t.border.paint(t.glyph.thin.along) + " "
	seconds := min(half, keepSeconds)
	var sent, received []float64
	for _, second := range d.row.meter.history(seconds) {
		sent, received = append(sent, second.sent), append(received, second.received)
	}
	up, down := d.row.meter.rate()
	caption := func(word string, now float64, total uint64, top float64) string {
		text := word + " " + rateText(now) + ", " + bytesText(total) + " in all"
		if half >= longCaption {
			text += ", at most " + rateText(top) + " in " + ageText(time.Duration(seconds)*time.Second)
		}
		return t.fit(text, half)
	}
	lines := []string{" " + t.received.paint(caption("received", down, d.row.Stats.Received, peakOf(received))) + between +
		t.sent.paint(caption("sent", up, d.row.Stats.Sent, peakOf(sent)))}
	left := t.bars().graph(received, half, h, peak(received))
	right := t.bars().graph(sent, half, h, peak(sent))
	for i := range h {
		lines = append(lines, " "+t.received.paint(left[i])+between+t.sent.paint(right[i]))
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
	t := d.app.theme
	names := [sheets]string{"connections", "hosts", "history"}
	var b strings.Builder
	b.WriteByte(' ')
	for i, table := range d.tables() {
		name := names[i] + " " + table.tally()
		if sheet(i) == d.side {
			b.WriteString(t.strong.paint("[" + name + "]"))
		} else {
			b.WriteString(t.muted.paint(" " + name + " "))
		}
		b.WriteByte(' ')
	}
	b.WriteString(t.muted.paint(" " + d.app.keys.view.shortest() + " " + d.app.keys.view.Help().Desc))
	return t.cut(b.String(), w)
}

func (d *detail) empty() bool {
	return [sheets]bool{len(d.connections.rows) == 0, len(d.hosts.rows) == 0, len(d.history.rows) == 0}[d.side]
}

func (d *detail) nothing() string {
	if d.row.holder != nil {
		return "culvert " + d.row.heldBy() + " holds this tunnel and tells its totals alone"
	}
	if d.side == historySheet {
		return "nothing has happened yet"
	}
	return "no connection has come to " + d.row.local() + " yet"
}

// tail is the whole of an error that its column has no room for.
func (d *detail) tail(w int) []string {
	switch d.side {
	case connectionSheet:
		if c, ok := d.connections.row(); ok {
			return trouble(d.app.theme, c.Err, w)
		}
	case historySheet:
		if s, ok := d.history.row(); ok {
			return trouble(d.app.theme, s.Err, w)
		}
	case hostSheet, sheets:
	}
	return nil
}
