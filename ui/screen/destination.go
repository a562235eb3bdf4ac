package screen

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// destinationPage is the page about one destination of a tunnel to any host: what carries it, and its connections.
type destinationPage struct {
	*look

	tunnels *tunnels
	row     *row
	name    string
	at      tunnel.Destination // the destination as it was last seen
	gone    time.Time          // since when the destination is not open; zero while it is

	connections *draw.Table[connectionRow]
	paces       connectionRates
	told        told // what the holder has told, for a tunnel of another process
	above       int  // lines above the table when last drawn
}

func newDestination(l *look, ts *tunnels, r *row, to tunnel.Endpoint) *destinationPage {
	p := &destinationPage{look: l, tunnels: ts, row: r, name: say.Line(hostPort(to)), paces: connectionRates{}}
	p.at.Endpoint = to
	p.connections = draw.NewTable(l.theme, l.keys.table(), connectionRow.id, l.connectionColumns(func() string { return p.name })...)
	p.tick()
	return p
}

// subject is the tunnel that the page is about.
func (p *destinationPage) subject() *row { return p.row }

// tick reads the destination and its connections anew.
func (p *destinationPage) tick() {
	i := slices.IndexFunc(p.row.Destinations, func(d tunnel.Destination) bool { return d.Endpoint == p.at.Endpoint })
	switch {
	case i >= 0:
		p.at, p.gone = p.row.Destinations[i], time.Time{}
	case p.gone.IsZero():
		p.gone = p.now
	}
	if p.row.tunnel != nil {
		p.fill(p.row.tunnel.DestinationConnections(p.at.Endpoint))
	}
}

func (p *destinationPage) fill(connections []tunnel.Connection) {
	p.connections.Set(p.paces.rows(connections, p.row.meter.since(), p.now))
}

func (p *destinationPage) title() string {
	t := p.theme
	text, colour := p.standingOf(p.at)
	if !p.gone.IsZero() {
		text, colour = t.Glyph.None+" not open", t.Muted
	}
	title := t.Strong.Paint(t.CutMiddle(p.name, 40)) + "  " + colour.Paint(text) + "  " + t.Accent.Paint(p.row.local()+" "+t.Glyph.Into+" "+p.row.inside())
	if finding := p.connections.Finding(); finding != "" {
		title += "  " + finding
	}
	return title
}

func (p *destinationPage) foot() string {
	if !p.gone.IsZero() {
		return ""
	}
	facts := []string{say.Bytes(p.at.Stats.Received) + " received", say.Bytes(p.at.Stats.Sent) + " sent"}
	if !p.at.Opened.IsZero() {
		facts = append(facts, "open for "+say.Age(p.now.Sub(p.at.Opened)))
	}
	if idle, ok := (destinationRow{Destination: p.at}).idle(p.now); ok {
		facts = append(facts, "idle for "+say.Age(idle))
	}
	if n := p.told.omitted; n > 0 {
		facts = append(facts, draw.Thousands(n)+" older connections are not shown")
	}
	return strings.Join(facts, " "+p.theme.Glyph.Dot+" ")
}

func (p *destinationPage) help() []draw.Binding {
	k := p.keys
	return []draw.Binding{k.back, k.stop.As("end"), k.copy, k.doctor, k.filter, k.sort.As("sort"), k.reverse.As("reverse")}
}

func (p *destinationPage) draw(w, h int, focused bool) []string {
	t := p.theme
	var lines []string
	if p.gone.IsZero() {
		lines = append(lines, p.line(p.carriers(p.at), w))
		lines = append(lines, p.problem(p.at.Err, w, shortAdvice)...)
	} else {
		lines = append(lines, " "+t.Muted.Paint(t.Cut("It is not open: the next client that asks for it opens it.", w-2)))
	}
	tail := p.problem(p.under(), w, shortAdvice)
	if h < len(lines)+len(tail)+leastTable {
		tail = nil
	}
	lines = draw.First(lines, max(h-leastTable, 0))
	p.above = len(lines)
	room := h - len(lines) - len(tail)
	if p.connections.Len() == 0 {
		return append(append(lines, " "+t.Muted.Paint(t.Cut(p.nothing(), w-2))), tail...)
	}
	return append(append(lines, t.Fill(p.connections.Draw(w, room, focused), w, room)...), tail...)
}

// under is why the connection under the cursor failed; nil when it did not.
func (p *destinationPage) under() error {
	if c, ok := p.connections.Row(); ok {
		return c.Err
	}
	return nil
}

// failing returns the errors of the destination and of the connection under the cursor.
func (p *destinationPage) failing() []error {
	return slices.DeleteFunc([]error{p.at.Err, p.under()}, func(err error) bool { return err == nil })
}

func (p *destinationPage) update(msg tea.Msg) (wish, bool) {
	switch m := msg.(type) {
	case twice:
		m.Y -= p.above
		msg = m.MouseClickMsg
	case tea.MouseClickMsg:
		m.Y -= p.above
		msg = m
	}
	if p.connections.Update(msg) {
		return nil, true
	}
	k, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return nil, false
	}
	return p.tunnels.actBehind(k, p.row, p.at)
}
