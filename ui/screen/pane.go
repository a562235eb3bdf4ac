package screen

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// tunnelsPane shows the tunnels of every place, whatever else is on the screen.
type tunnelsPane struct {
	*look

	tunnels *tunnels
	table   *draw.Table[*row]
	shelf   *shelf        // of the saved tunnels
	memory  *memory       // of those of before
	way     func() string // from where the screen is to the first tunnel of a newcomer; empty where none is proposed
	above   *row          // the tunnel that the page above tells everything of; nil when it tells of none
	w       int           // cells that were drawn last
}

func newTunnelsPane(l *look, ts *tunnels, s *shelf, m *memory, way func() string) *tunnelsPane {
	p := &tunnelsPane{look: l, tunnels: ts, shelf: s, memory: m, way: way}
	p.table = draw.NewTable(l.theme, l.keys.table(), (*row).id, p.columns()...)
	p.table.Markable(func(*row) bool { return true })
	return p
}

// arrange shows the rows as they are now.
func (p *tunnelsPane) arrange() { p.table.Set(p.tunnels.rows) }

// wanted is how many lines the pane would like to have, its frame included. Where a tunnel ails there is room to say of
// what, wherever the cursor is: a pane that grows and shrinks with the cursor would be restless.
func (p *tunnelsPane) wanted() int {
	rows := p.tunnels.rows
	if len(rows) == 0 {
		return 3
	}
	lines := len(rows) + 3
	if slices.ContainsFunc(rows, func(r *row) bool { return p.tunnels.ailment(r) != nil }) {
		lines += 2
	}
	return lines
}

func (p *tunnelsPane) title() string {
	t := p.theme
	text := t.Strong.Paint("Tunnels")
	if n := len(p.tunnels.rows); n > 0 {
		text += " " + t.Muted.Paint(p.table.Sight())
	}
	var sent, received float64
	for _, r := range p.tunnels.rows {
		s, d := r.meter.rate()
		sent, received = sent+s, received+d
	}
	if len(p.tunnels.rows) > 1 {
		text += " " + t.Muted.Paint(t.Glyph.Dot) + " " + t.Received.Paint(t.Glyph.Down+" "+say.Rate(received)) + " " + t.Sent.Paint(t.Glyph.Up+" "+say.Rate(sent))
	}
	if finding := p.table.Finding(); finding != "" {
		text += " " + finding
	}
	return text
}

// foot tells of the tunnel under the cursor what there is no column for in this window.
func (p *tunnelsPane) foot() string {
	r, ok := p.table.Row()
	if !ok {
		return ""
	}
	if r == p.above {
		return "" // it is all up there
	}
	var facts []string
	for _, f := range p.tunnels.facts(r) {
		if !p.table.Has(f.column, p.w) {
			facts = append(facts, f.text)
		}
	}
	return strings.Join(facts, " "+p.theme.Glyph.Dot+" ")
}

func (p *tunnelsPane) draw(w, h int, focused bool) []string {
	t := p.theme
	p.w = w
	if len(p.tunnels.rows) == 0 {
		if left := p.memory.left(); len(left) > 0 {
			return []string{" " + t.Strong.Paint(t.Cut(p.memory.offer(len(left)), w-2))}
		}
		if where := p.way(); where != "" {
			return []string{" " + t.Muted.Paint("none open "+t.Glyph.Dot) + " " + t.Strong.Paint(where)}
		}
		return []string{" " + t.Muted.Paint(p.nothing())}
	}
	why := p.why(w)
	if h < 2+len(why) {
		why = nil
	}
	lines := p.table.Draw(w, h-len(why), focused)
	return append(lines, why...)
}

func (p *tunnelsPane) nothing() string {
	keys := p.keys
	text := "none open " + p.theme.Glyph.Dot + " " + keys.forward.Shortest() + " on a service or task opens one"
	if p.shelf.any() {
		text += ", " + keys.saved.Shortest() + " shows the saved ones"
	}
	return text
}

// why is what ails the tunnel under the cursor and what to do about it, on two lines.
func (p *tunnelsPane) why(w int) []string {
	r, ok := p.table.Row()
	if !ok {
		return nil
	}
	return trouble(p.theme, p.tunnels.ailment(r), w)
}

func (p *tunnelsPane) help() []draw.Binding {
	k := p.keys
	if n := len(p.table.Marked()); n > 0 {
		return []draw.Binding{k.stop.As("stop " + draw.Thousands(n)), k.reconnect, k.save, k.mark, k.back.As("unmark")}
	}
	if r, ok := p.table.Row(); ok && p.tunnels.ailment(r) != nil {
		return []draw.Binding{k.doctor.As("doctor: why?"), k.in.As("details"), k.stop, k.reconnect, k.copy}
	}
	return []draw.Binding{k.in.As("details"), k.stop, k.reconnect, k.copy, k.save, k.saved, k.filter, k.sort.As("sort")}
}

func (p *tunnelsPane) update(msg tea.Msg) (wish, bool) {
	r, under := p.table.Row()
	if under && picked(p.table, msg) {
		return details(r), true
	}
	if p.table.Update(msg) {
		return nil, true
	}
	k, ok := msg.(tea.KeyPressMsg)
	if !ok || !under {
		return nil, false
	}
	if p.keys.in.Pressed(k) || p.keys.right.Pressed(k) {
		return details(r), true
	}
	if marked := p.table.Marked(); len(marked) > 0 {
		if p.keys.save.Pressed(k) {
			return p.shelf.save(p.tunnels, marked), true
		}
		if w, taken := p.tunnels.actOn(k, marked, p.table.Unmark); taken {
			return w, true
		}
	}
	return p.tunnels.act(k, r)
}
