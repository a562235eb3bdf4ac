package screen

import (
	"errors"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

// hostsPage lists the private destinations that an account, or a part of it, names and reaches, each with the best way to it.
type hostsPage struct {
	*look

	accounts *accounts
	tunnels  *tunnels
	readOnly bool
	survey   *survey
	shown    *aws.Routes // the routes from which the table was filled
	judged   bool        // shown has the ways
	table    *draw.Table[hostRow]
	moved    bool              // the user has moved the cursor; until then it stays on the first row, whichever that is
	early    []tea.KeyPressMsg // keys that were pressed before there was an answer, see tooEarly
}

func newHosts(l *look, at *accounts, ts *tunnels, s *survey, readOnly bool) *hostsPage {
	p := &hostsPage{look: l, accounts: at, tunnels: ts, readOnly: readOnly}
	p.lead(s)
	return p
}

// lead shows another survey.
func (p *hostsPage) lead(s *survey) {
	p.survey, p.shown, p.moved, p.early = s, nil, false, nil
	p.table = draw.NewTable(p.theme, p.keys.table(), hostRow.id, p.columns()...)
	p.fill()
}

// follow shows another survey when the user looks at another account.
func (p *hostsPage) follow() {
	if p.survey.place != p.accounts.here {
		p.lead(p.accounts.here.survey(aws.Target{}))
	}
}

// tick shows what has come since.
func (p *hostsPage) tick() {
	p.follow()
	p.survey.take()
	p.fill()
}

// fill fills the table anew when more is known than before.
func (p *hostsPage) fill() {
	s := p.survey
	if s.routes == nil || p.shown == s.routes && p.judged == s.judged {
		return
	}
	p.shown, p.judged = s.routes, s.judged
	p.table.Set(s.rows())
	if !p.moved {
		p.table.Move(0)
	}
}

// ask begins a look when one is due, and presses the keys that waited for an answer.
func (p *hostsPage) ask() wish {
	s := p.survey
	if s.due() {
		return s.look()
	}
	if len(p.early) == 0 || !s.answered() {
		return nil
	}
	waiting := p.early
	p.early = nil
	return pressOn(p, waiting)
}

// reveal puts the cursor on a destination.
func (p *hostsPage) reveal(id string) {
	p.table.Reveal(id)
	p.moved = true
}

// busy has the spinner turn.
func (p *hostsPage) busy() bool { return p.survey.looking }

func (p *hostsPage) title() string {
	t := p.theme
	var b strings.Builder
	for _, name := range []string{p.survey.part.Cluster, p.survey.part.Service} {
		if name != "" {
			b.WriteString(t.Text.Paint(t.CutMiddle(say.Line(name), 24)) + t.Muted.Paint(" "+t.Glyph.Into+" "))
		}
	}
	b.WriteString(t.Strong.Paint("private hosts"))
	if p.table.Len() > 0 {
		b.WriteString(t.Muted.Paint(" " + p.table.Sight()))
	}
	if finding := p.table.Finding(); finding != "" {
		b.WriteString("  " + finding)
	}
	return b.String()
}

// foot says how old the shown data is.
func (p *hostsPage) foot() string {
	t, s := p.theme, p.survey
	switch {
	case s.looking:
		return t.Busy.Paint(p.spinner() + " looking")
	case s.ended.IsZero():
		return ""
	case s.trouble != nil:
		return t.Bad.Paint("as of " + s.ended.Format("15:04:05"))
	}
	return t.Muted.Paint("as of " + s.ended.Format("15:04:05"))
}

func (p *hostsPage) help() []draw.Binding {
	k := p.keys
	if p.table.Typing() {
		return []draw.Binding{k.in.As("keep filter"), k.back.As("no filter")}
	}
	keys := []draw.Binding{k.forward, k.save.As("its program"), k.in.As("details"), k.copy, k.back, k.refresh, k.filter, k.sort.As("sort")}
	if p.survey.part.Cluster != "" {
		keys = slices.Insert(keys, 5, k.all.As("whole account"))
	}
	return keys
}

func (p *hostsPage) update(msg tea.Msg) (wish, bool) {
	p.follow()
	k, pressed := msg.(tea.KeyPressMsg)
	if pressed && p.keys.back.Pressed(k) && len(p.early) > 0 {
		p.early = nil
		return tell("forgotten"), true
	}
	if pressed && p.tooEarly(k) {
		if p.table.Len() == 0 {
			return nil, true
		}
		return tell(k.String() + " waits until it is known which ways lead there; " + p.keys.back.Shortest() + " forgets it"), true
	}
	if l, under := p.table.Row(); under && picked(p.table, msg) {
		return aboutHost(p.survey, l), true
	}
	if p.table.Update(msg) {
		p.moved = true
		return nil, true
	}
	if !pressed {
		return nil, false
	}
	keys := p.keys
	switch {
	case keys.hosts.Pressed(k): // the key for this page: it is in sight already
		return nil, true
	case keys.refresh.Pressed(k) && p.survey.place.client != nil:
		return p.survey.look(), true
	case keys.all.Pressed(k) && p.survey.part.Cluster != "":
		p.lead(p.survey.place.survey(aws.Target{}))
		return p.ask(), true
	}
	l, under := p.table.Row()
	switch {
	case !under:
		return nil, false
	case keys.in.Pressed(k), keys.details.Pressed(k), keys.right.Pressed(k):
		return aboutHost(p.survey, l), true
	case keys.forward.Pressed(k):
		return forwardRow(p.survey, l, 0, p.readOnly), true
	case keys.save.Pressed(k):
		return enterHost(p.survey, l), true
	case keys.copy.Pressed(k):
		return p.copy(l), true
	}
	return nil, false
}

// openers returns the keys that need an answer: those about ways need the whole answer, the others a row.
func (p *hostsPage) openers() (aboutWays, aboutRows []draw.Binding) {
	k := p.keys
	return []draw.Binding{k.forward, k.save, k.copy}, []draw.Binding{k.in, k.right, k.details, k.up, k.down, k.top, k.bottom, k.pageUp, k.pageDown}
}

// tooEarly keeps a key that is for something which has not come yet, and keys that are typed after it. They are pressed when the
// look has finished, so that a user who knows the way need not wait for AWS.
func (p *hostsPage) tooEarly(k tea.KeyPressMsg) bool {
	s := p.survey
	if s.answered() || p.table.Typing() {
		return false
	}
	ways, rows := p.openers()
	switch {
	case len(p.early) > 0:
	case p.table.Len() > 0 && !anyPressed(k, ways):
		return false
	case !anyPressed(k, ways) && !anyPressed(k, rows):
		return false
	}
	if len(p.early) < mostEarly {
		p.early = append(p.early, k)
	}
	p.moved = p.moved || p.table.Len() > 0 // the user means the row that is in sight now
	return true
}

// copy copies the command that makes a missing rule; where none is missing, what uses the database or a tunnel to the
// destination, or the address.
func (p *hostsPage) copy(l hostRow) wish {
	if l.secret != "" {
		return copied("the secret's name", l.secret)
	}
	l = p.survey.upToDate(l)
	if err, none := errors.AsType[*aws.NoWayError](p.survey.noWay(l)); none && len(err.Ways) > 0 && err.Ways[0].Missing != nil {
		return copied("the command", err.Ways[0].Missing.Command(err.Shell))
	}
	texts := p.survey.databaseLines(l)
	if r := p.tunnels.towards(p.survey.place, l.Host); r != nil {
		if texts == nil {
			return p.tunnels.copy(r)
		}
		texts = append(texts, copyables(r.reading, p.tunnels.answered(r))...)
	}
	return chooseText(append(texts, copyable{"address of the host", l.Address()}))
}

// towards returns an open tunnel to a private destination; nil when there is none.
func (ts *tunnels) towards(p *place, h aws.Host) *row {
	i := slices.IndexFunc(ts.rows, func(r *row) bool {
		return r.place == p && !r.State.Final() && r.Spec.Dynamic == nil && h.Port != 0 && r.Spec.Remote.Port == h.Port && strings.EqualFold(r.Spec.Remote.Host, h.Host)
	})
	if i < 0 {
		return nil
	}
	return ts.rows[i]
}

func (p *hostsPage) draw(w, h int, focused bool) []string {
	p.follow()
	t, s := p.theme, p.survey
	below := p.below(w, h)
	room := h - len(below)
	var lines []string
	switch {
	case p.table.Shown() > 0:
		lines = p.table.Draw(w, room, focused)
	case p.table.Len() > 0:
		lines = []string{"", "  Nothing matches " + t.Busy.Paint("/"+t.Cut(p.table.Filter(), w-24)) + ".", "", "  " + hint(t, p.keys.back.As("no filter"))}
	case s.looking:
		lines = []string{"", "  " + t.Busy.Paint(p.spinner()) + " looking for what task definitions name, and for what the account has"}
	case s.judged:
		lines = []string{"", "  Nothing private is named or listed here.", "", "  " + hint(t, p.keys.refresh) + hint(t, p.keys.back)}
	case s.place.client == nil && s.place.trouble == nil:
		lines = []string{"", "  " + t.Busy.Paint(p.spinner()) + " signing in"}
	}
	return append(t.Fill(lines, w, max(room, 0)), below...)
}

// below returns the lines below the table: what could not be read, and what the columns do not tell of the row under the cursor.
func (p *hostsPage) below(w, h int) []string {
	t, s := p.theme, p.survey
	var lines []string
	if s.place.client == nil {
		lines = append(lines, p.problem(s.place.trouble, w, shortAdvice)...)
	}
	if !s.looking {
		lines = append(lines, p.problem(s.trouble, w, shortAdvice)...)
	}
	lines = append(lines, p.gaps(w)...)
	if l, ok := p.table.Row(); ok {
		lines = append(lines, t.Border.Paint(strings.Repeat(t.Glyph.Thin.Across, max(w, 0))))
		lines = append(lines, p.about(l, w)...)
	}
	return draw.First(lines, max(h/2, 2, h-1-p.table.Shown()))
}

// gapLines is how many lines several gaps take at the most.
const gapLines = 3

// gaps returns the lines about what could not be read: a single gap with its remedy, several by the names of what is missing.
func (p *hostsPage) gaps(w int) []string {
	t, all := p.theme, p.survey.gaps()
	if len(all) < 2 {
		if len(all) == 1 {
			return p.problem(all[0], w, shortAdvice)
		}
		return nil
	}
	names := make([]string, len(all))
	for i, err := range all {
		names[i] = gapName(err)
	}
	hint := "(" + p.keys.why.Shortest() + " shows all)"
	lines := draw.Wrap("not listed: "+strings.Join(names, ", ")+" "+hint, w-5)
	if len(lines) > gapLines {
		lines = lines[:gapLines]
		last := &lines[gapLines-1]
		*last = strings.TrimRight(t.Cut(*last, w-5-draw.Width(hint)-2), t.Glyph.More+" ") + t.Glyph.More + " " + hint
	}
	return marked(t.Bad, "!", lines)
}

// gapName names what could not be listed, and the permission that is missing for that.
func gapName(err error) string {
	gap, ok := errors.AsType[*aws.GapError](err)
	if !ok {
		return say.Line(word(err))
	}
	if denied, ok := errors.AsType[*aws.DeniedError](err); ok {
		return say.Line(gap.What + " (" + denied.Action + ")")
	}
	return say.Line(gap.What + " (" + word(gap.Err) + ")")
}

// about returns what the columns do not tell of a row: why it cannot be reached, else by what it is named and what was not
// checked.
func (p *hostsPage) about(l hostRow, w int) []string {
	t, s := p.theme, p.survey
	if err := s.noWay(l); err != nil {
		return p.problem(err, w, shortAdvice)
	}
	facts := []string{l.where()}
	switch {
	case l.secret != "":
		facts = append(facts, "culvert reads no secrets: which host it is, is not known")
	case l.Port == 0:
		facts = append(facts, "its port is not known: "+p.keys.forward.Shortest()+" asks for it")
	}
	if len(l.ways) > 0 && l.ways[0].Why != "" {
		facts = append(facts, l.ways[0].Verdict.String()+": "+l.ways[0].Why)
	}
	if n := len(l.Mentions); n > 0 {
		text := "named by " + namer(l.Mentions[0])
		if n > 1 {
			text += " and " + draw.Thousands(n-1) + " more"
		}
		facts = append(facts, text)
	}
	if l.IAM {
		facts = append(facts, "takes IAM tokens")
	}
	if l.VPC != "" {
		facts = append(facts, l.VPC)
	}
	return []string{" " + t.Muted.Paint(t.Cut(say.Line(strings.Join(facts, " "+t.Glyph.Dot+" ")), w-2))}
}

// failing returns the errors that are in sight, but perhaps not their whole text.
func (p *hostsPage) failing() []error {
	s := p.survey
	var all []error
	if s.place.client == nil && s.place.trouble != nil {
		all = append(all, s.place.trouble)
	}
	if s.trouble != nil {
		all = append(all, s.trouble)
	}
	all = append(all, s.gaps()...)
	if l, ok := p.table.Row(); ok {
		if err := s.noWay(l); err != nil {
			all = append(all, err)
		}
	}
	return all
}
