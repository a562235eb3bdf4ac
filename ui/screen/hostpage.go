package screen

import (
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

// hostPage is the page about one private destination: by what it is named, its address, and every way to it with the rules that
// admit the way or are missing for that.
type hostPage struct {
	*look

	readOnly bool
	survey   *survey
	row      hostRow
	shown    *aws.Routes // the routes from which the table was filled
	judged   bool
	gone     bool // the last look has not found the destination
	table    *draw.Table[hostFact]
}

// hostFact is one line about a private destination.
type hostFact struct {
	id   string
	name string
	text string // printable
	ink  draw.Ink
	what string // what the copied text is called; empty: the name of the fact
	copy string // the text to be copied; empty: text
	way  int    // index of the way that the fact is about; -1 for none
}

func newHost(l *look, s *survey, row hostRow, readOnly bool) *hostPage {
	p := &hostPage{look: l, survey: s, row: row, readOnly: readOnly}
	t := l.theme
	p.table = draw.NewTable(t, l.keys.table(), func(f hostFact) string { return f.id },
		draw.Column[hostFact]{Title: "WHAT", Least: 11, Most: 11, Ink: func(hostFact) draw.Ink { return t.Muted }, Text: func(f hostFact) string { return f.name }, Sought: draw.AsText},
		draw.Column[hostFact]{Title: "", Least: 13, Rest: true, Sought: draw.AsText, Ink: func(f hostFact) draw.Ink { return f.ink }, Text: func(f hostFact) string { return f.text }},
	)
	p.fill()
	return p
}

// tick shows what has come since.
func (p *hostPage) tick() {
	p.survey.take()
	p.fill()
}

func (p *hostPage) busy() bool { return p.survey.looking }

// ask looks anew when the last look is too long ago.
func (p *hostPage) ask() wish {
	if p.survey.due() {
		return p.survey.look()
	}
	return nil
}

func (p *hostPage) fill() {
	s := p.survey
	if p.shown == s.routes && p.judged == s.judged && p.table.Len() > 0 {
		return
	}
	p.shown, p.judged = s.routes, s.judged
	rows := s.rows()
	at := slices.IndexFunc(rows, func(l hostRow) bool { return l.id() == p.row.id() })
	if p.gone = at < 0; !p.gone {
		p.row = rows[at]
	}
	p.table.Set(p.facts())
}

// facts returns all lines about the destination, in the order in which people would ask.
func (p *hostPage) facts() []hostFact {
	l := p.row
	var facts []hostFact
	add := func(name, text string) {
		if text != "" {
			facts = append(facts, hostFact{id: name + " " + text, name: name, text: say.Line(text), way: -1})
		}
	}
	if l.secret != "" {
		add("variable", l.Name)
		add("set by", "secret "+l.secret)
		facts[len(facts)-1].what, facts[len(facts)-1].copy = "secret's name", l.secret
		add("of", l.user())
		return facts
	}
	port := ""
	if l.Port == 0 {
		port = " (its port is unknown)"
	}
	add("address", l.Address()+port)
	facts[0].copy = l.Address()
	add("kind", l.kind())
	add("role", l.Role)
	add("source", l.Source)
	add("ARN", l.ARN)
	if l.IAM {
		add("IAM", "takes tokens signed with AWS credentials for passwords")
	}
	add("VPC", l.VPC)
	add("subnets", strings.Join(l.Subnets, " "))
	add("groups", strings.Join(l.Groups, " "))
	for _, by := range l.Mentions {
		add("named by", namer(by))
	}
	return append(facts, p.wayFacts()...)
}

// wayFacts returns the lines about the ways, the best first; below a way that lacks a rule stands the command that makes the
// rule.
func (p *hostPage) wayFacts() []hostFact {
	s, t := p.survey, p.theme
	face := s.face(p.look, p.row)
	if len(p.row.ways) == 0 {
		return []hostFact{{id: "way", name: "way", text: face.text, ink: face.ink, way: -1}}
	}
	var facts []hostFact
	known := map[aws.MissingRule]int{} // rules that were shown already, and below which way
	for i, w := range p.row.ways {
		face := p.faceOf(w)
		text := face.text + "  " + w.Cluster + "/" + w.Service + "  " + plural(w.Ready, "ready task")
		if w.Named {
			text += " " + t.Glyph.Dot + " its definition names the host"
		}
		if w.Why != "" {
			text += " " + t.Glyph.Dot + " " + w.Why
		}
		id := "way " + w.Cluster + "/" + w.Service
		facts = append(facts, hostFact{id: id, name: "way " + strconv.Itoa(i+1), text: say.Line(text), ink: face.ink, what: "target", copy: w.Cluster + "/" + w.Service, way: i})
		if w.Missing == nil {
			continue
		}
		command := w.Missing.Command(s.routes.Catalog.Shell)
		if same, told := known[*w.Missing]; told {
			facts = append(facts, hostFact{id: id + " rule", name: "  rule", text: "the same as of way " + strconv.Itoa(same), ink: t.Muted, what: "command", copy: command, way: i})
			continue
		}
		known[*w.Missing] = i + 1
		facts = append(facts, hostFact{id: id + " command", name: "  command", text: say.Line(command), what: "command", copy: command, way: i})
		terraform, name := w.Missing.Terraform(), "  terraform"
		for n, line := range strings.Split(strings.TrimRight(terraform, "\n"), "\n") {
			facts = append(facts, hostFact{id: id + " terraform " + strconv.Itoa(n), name: name, text: say.Line(line), what: "Terraform resource", copy: terraform, way: i})
			name = ""
		}
	}
	return facts
}

func (p *hostPage) title() string {
	t := p.theme
	name := p.row.Name
	if p.row.Role != "" {
		name += " " + p.row.Role
	}
	title := t.Strong.Paint("private host") + " " + t.Accent.Paint(t.CutMiddle(say.Line(name), 40))
	if p.gone {
		title += "  " + t.Busy.Paint("not found any more")
	}
	if finding := p.table.Finding(); finding != "" {
		title += "  " + finding
	}
	return title
}

func (p *hostPage) foot() string {
	t, s := p.theme, p.survey
	switch {
	case s.looking:
		return t.Busy.Paint(p.spinner() + " looking")
	case s.trouble != nil:
		return t.Bad.Paint("as of " + s.ended.Format("15:04:05"))
	}
	return t.Muted.Paint(p.table.Sight())
}

func (p *hostPage) help() []draw.Binding {
	k := p.keys
	if p.table.Typing() {
		return []draw.Binding{k.in.As("keep filter"), k.back.As("no filter")}
	}
	return []draw.Binding{k.forward, k.save.As("its program"), k.copy, k.back, k.refresh, k.filter}
}

func (p *hostPage) draw(w, h int, focused bool) []string {
	t := p.theme
	if p.table.Shown() == 0 {
		return []string{"", "  Nothing matches " + t.Busy.Paint("/"+t.Cut(p.table.Filter(), w-24)) + ".", "", "  " + hint(t, p.keys.back.As("no filter"))}
	}
	var below []string
	if f, ok := p.table.Row(); ok && draw.Width(f.text) > w-11-4-2 { // the text is cut in its row
		below = append(below, t.Border.Paint(strings.Repeat(t.Glyph.Thin.Across, max(w, 0))))
		for _, line := range draw.Wrap(f.text, w-3) {
			below = append(below, " "+f.ink.Paint(line))
		}
		below = draw.First(below, max(h/2, 2))
	}
	room := h - len(below)
	return append(t.Fill(p.table.Draw(w, room, focused), w, max(room, 0)), below...)
}

// failing returns why the destination cannot be reached.
func (p *hostPage) failing() []error {
	if err := p.survey.noWay(p.row); err != nil {
		return []error{err}
	}
	return nil
}

func (p *hostPage) update(msg tea.Msg) (wish, bool) {
	if p.table.Update(msg) {
		return nil, true
	}
	k, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return nil, false
	}
	f, under := p.table.Row()
	switch keys := p.keys; {
	case keys.details.Pressed(k): // the key for details: they are in sight already
		return nil, true
	case keys.refresh.Pressed(k) && p.survey.place.client != nil:
		return p.survey.look(), true
	case keys.forward.Pressed(k), keys.in.Pressed(k) && under && f.way >= 0:
		at := 0
		if under {
			at = max(f.way, 0)
		}
		return forwardRow(p.survey, p.row, at, p.readOnly), true
	case keys.save.Pressed(k):
		return enterHost(p.survey, p.row), true
	case keys.copy.Pressed(k) && under:
		what, text := f.what, f.copy
		if what == "" {
			what = f.name
		}
		if text == "" {
			text = f.text
		}
		return copied("the "+what, text), true
	}
	return nil, false
}
