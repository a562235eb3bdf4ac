package screen

import (
	"cmp"
	"strings"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

// The columns of the page of private hosts. The one that says whether a host can be reached is the last to be left out.
func (p *hostsPage) columns() []draw.Column[hostRow] {
	t := p.theme
	muted := func(hostRow) draw.Ink { return t.Muted }
	return []draw.Column[hostRow]{
		{Title: "KIND", Least: 10, Most: 10, Sought: draw.AsText, Ink: muted, Text: hostRow.kind},
		{Title: "NAME", Least: 14, Most: 30, Grow: true, Middle: true, Sought: draw.AsName, Text: func(l hostRow) string { return say.Line(l.Name) }, Ink: func(hostRow) draw.Ink { return t.Accent }},
		{Title: "ROLE", Least: 9, Most: 13, Drop: 3, Sought: draw.AsText, Ink: muted, Text: func(l hostRow) string { return orNone(say.Line(l.Role), t) }},
		{Title: "ADDRESS", Least: 16, Most: 72, Grow: true, Middle: true, Sought: draw.AsText, Text: hostRow.where},
		{Title: "WAY", Least: 13, Most: 13, Sought: draw.AsText, Text: func(l hostRow) string { return p.survey.face(p.look, l).text }, Ink: func(l hostRow) draw.Ink { return p.survey.face(p.look, l).ink },
			Order: func(a, b hostRow) int {
				return cmp.Compare(p.survey.face(p.look, a).rank, p.survey.face(p.look, b).rank)
			}},
		{Title: "THROUGH", Least: 12, Most: 40, Middle: true, Drop: 1, Sought: draw.AsText, Text: func(l hostRow) string { return orNone(l.through(), t) }},
		{Title: "SOURCE", Least: 11, Most: 20, Drop: 2, Sought: draw.AsText, Ink: muted, Text: func(l hostRow) string { return orNone(say.Line(l.Source), t) }},
		{Title: "WHY", Least: 24, Rest: true, Drop: 4, Sought: draw.AsText, Ink: muted, Text: hostRow.why},
	}
}

// kind says what kind of server a destination is, as far as that is known.
func (l hostRow) kind() string {
	if l.Kind == aws.KindUnknown {
		return "unknown"
	}
	return say.Line(string(l.Kind))
}

// where is the address of a destination; a question mark stands for a port that is not known.
func (l hostRow) where() string {
	switch {
	case l.secret != "":
		return say.Line("set by secret " + l.secret)
	case l.Port == 0:
		return l.Address() + ":?"
	}
	return l.Address()
}

// through names the service of the best way, and says how many other ways there may be.
func (l hostRow) through() string {
	if len(l.ways) == 0 {
		return ""
	}
	text := say.Line(l.ways[0].Cluster + "/" + l.ways[0].Service)
	others := 0
	for _, w := range l.ways[1:] {
		if w.Verdict != aws.NoRule {
			others++
		}
	}
	if others > 0 {
		text += " +" + draw.Thousands(others)
	}
	return text
}

// why says what keeps the best way from working for certain.
func (l hostRow) why() string {
	switch {
	case l.secret != "":
		return say.Line("named by " + l.user())
	case len(l.ways) == 0:
		return ""
	}
	return say.Line(l.ways[0].Why)
}

// user names the first task definition or the like that names the destination.
func (l hostRow) user() string {
	if len(l.Mentions) == 0 {
		return ""
	}
	return strings.TrimPrefix(namer(l.Mentions[0]), l.Mentions[0].Variable+" of ")
}

// namer names a variable, and what it belongs to.
func namer(by aws.NamedBy) string {
	return by.Variable + " of " + by.Cluster + "/" + by.Service + by.Family + " (" + by.Container + ")"
}

// wayFace is how a way stands: a sign with a word, its colour, and its rank among other ways, the best first.
type wayFace struct {
	text string
	ink  draw.Ink
	rank int
}

// face returns how the best way to a destination stands.
func (s *survey) face(l *look, of hostRow) wayFace {
	t := l.theme
	switch {
	case of.secret != "", !s.judged && !s.looking:
		return wayFace{t.Glyph.None + " not known", t.Muted, 5}
	case !of.judged:
		return wayFace{t.Glyph.More + " looking", t.Busy, 4}
	case len(of.ways) == 0:
		return wayFace{t.Glyph.Off + " no task", t.Bad, 3}
	}
	return l.faceOf(of.ways[0])
}

// faceOf returns how a way stands.
func (l *look) faceOf(w aws.Way) wayFace {
	t := l.theme
	face := wayFace{rank: int(w.Verdict)}
	switch w.Verdict {
	case aws.Admitted:
		face.text, face.ink = t.Glyph.On, t.Good
	case aws.Unchecked:
		face.text, face.ink = t.Glyph.Half, t.Busy
	case aws.NoRule:
		face.text, face.ink = t.Glyph.Off, t.Bad
	}
	face.text += " " + w.Verdict.String()
	return face
}
