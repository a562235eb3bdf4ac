package screen

import (
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
	shelf   *shelf        // the saved tunnels
	memory  *memory       // the tunnels that were used before
	way     func() string // says what a newcomer should do next to get to the first tunnel; empty where nothing is proposed
	above   *row          // the tunnel that the page above is about; nil when it is about none
	read    bool          // the pane has the keyboard
	w       int           // width in cells when last drawn
}

func newTunnelsPane(l *look, ts *tunnels, s *shelf, m *memory, way func() string) *tunnelsPane {
	p := &tunnelsPane{look: l, tunnels: ts, shelf: s, memory: m, way: way}
	p.table = draw.NewTable(l.theme, l.keys.table(), (*row).id, p.columns()...)
	p.table.Markable(func(*row) bool { return true })
	return p
}

// arrange fills the table with the tunnels as they are now.
func (p *tunnelsPane) arrange() { p.table.Set(p.tunnels.rows) }

// pointAt puts the cursor on a row.
func (p *tunnelsPane) pointAt(r *row) {
	p.arrange()
	p.table.Reveal(r.id())
}

// wanted is how many lines the pane would like to have, its frame included. While any tunnel has trouble there is room to tell
// it, wherever the cursor is, as a pane that grows and shrinks with the cursor would be restless.
func (p *tunnelsPane) wanted(w int) int {
	if len(p.tunnels.rows) == 0 {
		return 3
	}
	lines := 0
	for _, r := range p.tunnels.rows {
		lines = max(lines, len(p.whyOf(r, w, wholeRemedy)))
	}
	return len(p.tunnels.rows) + 3 + lines
}

// wholeRemedy is how many lines the remedy of a tunnel gets at the most.
const wholeRemedy = 12

func (p *tunnelsPane) title() string {
	t := p.theme
	text := t.Strong.Paint("Tunnels")
	if n := len(p.tunnels.rows); n > 0 {
		text += " " + t.Muted.Paint(p.table.Sight())
	}
	var sent, received float64
	measured := false
	for _, r := range p.tunnels.rows {
		measured = measured || r.meter.measured() && !r.State.Final()
		s, d := r.meter.rate()
		sent, received = sent+s, received+d
	}
	if len(p.tunnels.rows) > 1 && measured {
		text += " " + t.Muted.Paint(t.Glyph.Dot) + " " + t.Received.Paint(t.Glyph.Down+" "+say.Rate(received)) + " " + t.Sent.Paint(t.Glyph.Up+" "+say.Rate(sent))
	}
	if finding := p.table.Finding(); finding != "" {
		text += " " + finding
	}
	return text
}

// foot tells the facts about the tunnel under the cursor for which there is no column in this window.
func (p *tunnelsPane) foot() string {
	r, ok := p.table.Row()
	if !ok {
		return ""
	}
	if r == p.above {
		return "" // the page above tells all of it
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
	why := p.why(w, max(h-4, shortAdvice))
	if h < 2+len(why) {
		why = draw.First(p.short(), max(h-2, 0))
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

// why returns the lines about the trouble of the tunnel under the cursor: with the remedy while the pane has the keyboard, else
// in a word, as the user looks elsewhere. What the page above or the header tells is not said again.
func (p *tunnelsPane) why(w, most int) []string {
	r, ok := p.table.Row()
	if !ok || r == p.above {
		return nil
	}
	return p.whyOf(r, w, most)
}

func (p *tunnelsPane) whyOf(r *row, w, most int) []string {
	if lines := p.waiting(r, w, 1); len(lines) > 0 {
		return lines
	}
	if err := p.tunnels.ailment(r); p.read && !isExpired(err) {
		return p.problem(err, w, most)
	}
	return p.shortOf(r)
}

// short says in a word what the trouble of the tunnel under the cursor is, and names the keys that lead to more.
func (p *tunnelsPane) short() []string {
	r, ok := p.table.Row()
	if !ok {
		return nil
	}
	if lines := p.waiting(r, p.w, 1); len(lines) > 0 {
		return lines
	}
	return p.shortOf(r)
}

func (p *tunnelsPane) shortOf(r *row) []string {
	if p.tunnels.ailment(r) == nil {
		return nil
	}
	t, err := p.theme, p.tunnels.ailment(r)
	state, _ := p.tunnels.standing(r)
	keys := p.keys.doctor.Shortest()
	if !p.read {
		keys = p.keys.tunnels.Shortest() + " " + keys
	}
	return []string{" " + t.Bad.Paint(state+": "+word(err)) + " " + t.Muted.Paint("("+keys+")")}
}

// failing returns the error of the tunnel under the cursor.
func (p *tunnelsPane) failing() []error {
	if r, ok := p.table.Row(); ok && p.tunnels.ailment(r) != nil {
		return []error{p.tunnels.ailment(r)}
	}
	return nil
}

func (p *tunnelsPane) help() []draw.Binding {
	k := p.keys
	if len(p.tunnels.rows) == 0 {
		return []draw.Binding{k.saved, k.back}
	}
	if n := len(p.table.Marked()); n > 0 {
		return []draw.Binding{k.stop.As("stop " + draw.Thousands(n)), k.reconnect, k.save.As("save"), k.mark, k.back.As("unmark")}
	}
	if r, ok := p.table.Row(); ok && p.tunnels.ailment(r) != nil {
		keys := []draw.Binding{k.doctor.As("doctor: why?"), k.in.As("details"), k.stop, k.reconnect}
		if r.State.Final() {
			keys = append(keys, k.edit.As("edit"))
		}
		return append(keys, k.why.As("all of it"), k.copy)
	}
	return []draw.Binding{k.in.As("details"), k.stop, k.reconnect, k.copy, k.save.As("save"), k.saved, k.filter, k.sort.As("sort")}
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
