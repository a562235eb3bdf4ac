package screen

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// description is the page about a row of the browser: what ECS tells about the row, and its task definition.
type description struct {
	*look

	place  *place
	entry  entry
	open   func(url string) error // opens a web browser; nil where there is none
	scroll *draw.Scroll
	raw    bool // the task definition is in sight
	asking bool
}

// described is what ECS has answered about a row, and when.
type described struct {
	details aws.Details
	at      time.Time
}

// maxDescribed is of how many rows a place remembers the description.
const maxDescribed = 32

func newDescription(l *look, p *place, e entry, open func(string) error) *description {
	return &description{look: l, place: p, entry: e, open: open, scroll: draw.NewScroll(l.theme, l.keys.table())}
}

// target is what ECS is asked about for the page; false for rows of which the catalog knows everything.
func (d *description) target() (aws.Target, bool) {
	at, single := d.entry.target()
	at.Container, at.RuntimeID = "", ""
	return at, single
}

// details returns what ECS answered last; nil before it has.
func (d *description) details() *aws.Details {
	at, _ := d.target()
	known, ok := d.place.described[at]
	if !ok {
		return nil
	}
	return &known.details
}

// ask asks ECS about the row, again and again while the page is in sight.
func (d *description) ask() wish {
	at, single := d.target()
	p := d.place
	if known, ok := p.described[at]; !single || d.asking || p.client == nil || ok && p.of.look.now.Sub(known.at) < p.of.pause() {
		return nil
	}
	d.asking = true
	client := p.client
	return beside(func() tea.Msg {
		details := client.Describe(p.of.ctx, at)
		return then(func() wish {
			d.asking = false
			if p.described == nil || len(p.described) >= maxDescribed {
				p.described = map[aws.Target]described{}
			}
			p.described[at] = described{details, p.of.look.now}
			return nil
		})
	})
}

// renew asks again when the page's place was looked at anew.
func (d *description) renew(p *place) wish {
	at, _ := d.target()
	if p != d.place || !p.seen() {
		return nil
	}
	if known, ok := p.described[at]; ok && known.at.Before(p.began) {
		p.described[at] = described{details: known.details}
	}
	return d.ask()
}

// busy has the spinner turn.
func (d *description) busy() bool { return d.asking }

func (d *description) title() string {
	t := d.theme
	name := d.entry.name()
	if at, single := d.entry.target(); single {
		name = say.Line(at.String())
	}
	text := t.Strong.Paint("details") + " " + t.Accent.Paint(t.CutMiddle(name, 40)) + "  "
	views := " [facts] definition"
	if d.raw {
		views = " facts [definition]"
	}
	text += t.Muted.Paint(views)
	if finding := d.scroll.Finding(); finding != "" {
		text += "  " + finding
	}
	return text
}

func (d *description) foot() string {
	if d.asking {
		return d.theme.Busy.Paint(d.spinner() + " asking ECS")
	}
	return d.theme.Muted.Paint(d.scroll.Position())
}

func (d *description) help() []draw.Binding {
	k := d.keys
	if d.scroll.Typing() {
		return []draw.Binding{k.in.As("keep"), k.back.As("stop looking")}
	}
	keys := []draw.Binding{k.view.As("definition"), k.back, k.copy, k.console, k.filter.As("find"), k.down.As("scroll")}
	if d.raw {
		keys[0] = k.view.As("facts")
	}
	if d.entry.task != nil {
		keys = slices.Insert(keys, 4, k.save.As("shell"))
	}
	if _, single := d.target(); single {
		keys = append(keys, k.forward, k.doctor)
	}
	return keys
}

func (d *description) draw(w, h int, _ bool) []string {
	t := d.theme
	details := d.details()
	var above []string
	if details != nil {
		for _, gap := range details.Gaps {
			above = append(above, d.problem(gap, w, shortAdvice)...)
		}
		at, _ := d.target()
		switch {
		case len(details.Gaps) > 0:
		case at.Task != "" && details.Task.ID == "":
			above = append(above, " "+t.Busy.Paint("ECS knows this task no more."))
		case at.Task == "" && details.Service.Name == "":
			above = append(above, " "+t.Busy.Paint("ECS knows this service no more."))
		}
	}
	above = draw.First(above, max(h/2, 1))
	return append(above, d.scroll.Draw(d.lines(details, w), h-len(above))...)
}

// lines are the text of the view in sight.
func (d *description) lines(details *aws.Details, w int) []draw.Line {
	if !d.raw {
		return newPortrait(d.look, d.entry, details).lines(w)
	}
	switch _, single := d.target(); {
	case !single:
		return []draw.Line{{Text: " Services and tasks have a task definition; this is neither."}}
	case details == nil && d.asking:
		return []draw.Line{{Text: " " + d.spinner() + " asking for the task definition"}}
	case details == nil:
		return []draw.Line{{Text: " The task definition was not asked for yet."}}
	case details.Definition.ARN != "" && details.Definition.JSON == "":
		return []draw.Line{{Text: " The task definition is too large to be shown."}}
	case details.Definition.JSON == "":
		return []draw.Line{{Text: " The task definition is not known."}}
	}
	var lines []draw.Line
	for line := range strings.Lines(details.Definition.JSON) {
		for _, part := range draw.Hard(strings.TrimRight(line, "\n"), w-2) {
			part.Text = " " + part.Text
			lines = append(lines, part)
		}
	}
	return lines
}

func (d *description) update(msg tea.Msg) (wish, bool) {
	if d.scroll.Update(msg) {
		return nil, true
	}
	k, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return nil, false
	}
	at, single := d.target()
	switch keys := d.keys; {
	case keys.view.Pressed(k):
		d.raw = !d.raw
		d.scroll.Reset()
	case keys.details.Pressed(k): // the key for details: they are in sight already
	case keys.copy.Pressed(k):
		return d.copy(), true
	case keys.console.Pressed(k):
		return console(d.place, d.entry, d.open), true
	case keys.save.Pressed(k) && d.entry.task != nil:
		return shellFor(d.place, d.entry), true
	case keys.forward.Pressed(k) && single:
		return forwardTo(d.place, d.entry), true
	case keys.doctor.Pressed(k) && single:
		return askProbe(d.place, at.Query(), tunnel.Spec{Remote: tunnel.Endpoint{Port: d.entry.likelyPort()}}, ""), true
	default:
		return nil, false
	}
	return nil, true
}

// copy offers the texts of the page to be copied; only the task definition where that is in sight.
func (d *description) copy() wish {
	details := d.details()
	definition := ""
	if details != nil {
		definition = details.Definition.JSON
	}
	if d.raw {
		if definition == "" {
			return tell("there is no task definition to copy")
		}
		return copied("the task definition", definition)
	}
	p := newPortrait(d.look, d.entry, details)
	var texts []string
	var choices []choice
	offer := func(name, text, about string) {
		if text != "" {
			texts = append(texts, text)
			choices = append(choices, choice{name, say.Line(about)})
		}
	}
	switch {
	case p.task != nil:
		offer("ARN", p.task.ARN, p.task.ARN)
		offer("private address", p.task.Address, p.task.Address)
	case p.service != nil && !d.entry.loose:
		offer("ARN", p.service.ARN, p.service.ARN)
	default:
		offer("ARN", d.entry.cluster.ARN, d.entry.cluster.ARN)
	}
	if d.entry.container != nil {
		offer("runtime id", d.entry.container.RuntimeID, d.entry.container.RuntimeID)
		offer("image", d.entry.container.Image, d.entry.container.Image)
	}
	offer("task definition", definition, "as JSON, secrets masked")
	if len(choices) == 0 {
		return tell("there is nothing to copy yet")
	}
	return chooseNumbered("copy", choices, func(i int) wish { return copied("the "+choices[i].name, texts[i]) })
}

// console opens the page that AWS's console has for a row. Without a browser on this machine the page's address is copied and
// shown.
func console(p *place, e entry, open func(string) error) wish {
	if p.client == nil {
		return tell("not signed in yet")
	}
	at, _ := e.target()
	if at.Cluster == "" {
		at.Cluster = e.cluster.Name
	}
	address, err := p.client.Console(at)
	if err != nil {
		return fail(err)
	}
	if open == nil {
		return copied("the console's address", address)
	}
	return beside(func() tea.Msg {
		err := open(address)
		return then(func() wish {
			if err != nil {
				return copied("the console's address", address)
			}
			text := "the browser opens " + address
			if p.identity.Account != "" {
				text = "the browser opens the page, of account " + p.identity.Account + " if it is signed in there: " + address
			}
			return tell(text)
		})
	})
}
