package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

// trait is one fact: its name, and its text.
type trait struct{ name, text string }

// chapter is a group of traits that belong together.
type chapter struct {
	name   string
	traits []trait
}

// portrait is everything that is known of a row of the browser. What ECS has answered about the row comes before what the
// catalog holds; details are nil when ECS was not asked.
type portrait struct {
	*look

	entry   entry
	service *aws.Service // the row's service, or that of its task; nil when there is none
	task    *aws.Task
	details *aws.Details
}

func newPortrait(l *look, e entry, d *aws.Details) *portrait {
	p := &portrait{look: l, entry: e, service: e.service, task: e.task, details: d}
	if p.service == nil && p.task != nil && p.task.Service != "" {
		if i := slices.IndexFunc(e.cluster.Services, func(s aws.Service) bool { return s.Name == p.task.Service }); i >= 0 {
			p.service = &e.cluster.Services[i]
		}
	}
	if d != nil && d.Service.Name != "" {
		p.service = &d.Service
	}
	if d != nil && d.Task.ID != "" {
		p.task = &d.Task
	}
	return p
}

// dots joins the parts that are not empty, with dots between them.
func (p *portrait) dots(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return strings.Join(parts, " "+p.theme.Glyph.Dot+" ")
}

// moment writes a time of the past in the user's zone, with the day unless that is today.
func (p *portrait) moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	at = at.In(p.now.Location())
	if at.Format(time.DateOnly) == p.now.Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	if at.Year() != p.now.Year() {
		return at.Format("2 Jan 2006")
	}
	return at.Format("2 Jan 15:04")
}

// chapters returns all that is known, for a page of its own.
func (p *portrait) chapters() []chapter {
	all := []chapter{p.about(), p.containers(), p.network(), p.deployments(), p.events()}
	return slices.DeleteFunc(all, func(c chapter) bool { return len(c.traits) == 0 })
}

// about returns the chapter about the row itself.
func (p *portrait) about() chapter {
	e := p.entry
	var c chapter
	add := func(name, text string) {
		if text != "" {
			c.traits = append(c.traits, trait{name, text})
		}
	}
	switch {
	case e.loose, p.task == nil && p.service == nil:
		c.name = "cluster"
		add("status", say.Line(strings.ToLower(e.cluster.Status)))
		if e.cluster.Status != "" {
			n := e.cluster.Counts
			add("holds", p.dots(plural(n.Services, "service"), plural(n.Running, "running task"), some(n.Pending, "pending")))
		}
		add("ARN", say.Line(e.cluster.ARN))
	case p.task == nil:
		s := p.service
		c.name = "service"
		add("status", p.dots(say.Line(strings.ToLower(s.Status)), fmt.Sprintf("%d of %d running", s.Running, s.Desired), some(s.Pending, "pending")))
		add("launch", p.dots(launch(s.LaunchType, ""), say.Line(strings.ToLower(s.Scheduling)), by(s.Controller)))
		add("exec", onOff(s.ExecEnabled, true, p.theme))
		add("ARN", say.Line(s.ARN))
	default:
		t := p.task
		c.name = "task"
		add("status", p.dots(say.Line(strings.ToLower(t.Status)), desired(t), say.Line(strings.ToLower(t.Health)), say.Line(t.StoppedReason)))
		add("started", p.dots(p.moment(t.StartedAt), startedBy(t)))
		add("launch", p.dots(launch(t.LaunchType, t.CapacityProvider), say.Line(t.PlatformVersion), say.Line(t.Platform), revision(t.Instance)))
		add("exec", onOff(t.ExecEnabled, t.Status != "", p.theme))
		add("ARN", say.Line(t.ARN))
	}
	if p.details != nil {
		d := p.details.Definition
		add("definition", p.dots(revision(d.ARN), size("cpu", d.CPU), size("memory", d.Memory)))
		add("task role", say.Line(d.TaskRole))
		add("execution", say.Line(d.ExecutionRole))
	}
	return c
}

func some(n int, what string) string {
	if n == 0 {
		return ""
	}
	return draw.Thousands(n) + " " + what
}

func by(controller string) string {
	if controller == "" {
		return ""
	}
	return "deployed by " + say.Line(controller)
}

func size(what, n string) string {
	if n == "" {
		return ""
	}
	return what + " " + say.Line(n)
}

// desired is the status that ECS wants a task to have, where that is another than it has; else empty.
func desired(t *aws.Task) string {
	if t.DesiredStatus == "" || t.DesiredStatus == t.Status {
		return ""
	}
	return "to be " + say.Line(strings.ToLower(t.DesiredStatus))
}

func startedBy(t *aws.Task) string {
	if t.Origin.StartedBy == "" {
		return ""
	}
	return "by " + say.Line(t.Origin.StartedBy)
}

// likeness is a container in a portrait, with all texts printable.
type likeness struct{ name, image, ports, state, env, secrets, runtime string }

// likenesses returns the containers of the task, or of one of the service's tasks; for a container's row only that one.
func (p *portrait) likenesses() []likeness {
	e := p.entry
	var running []aws.Container
	switch {
	case p.task != nil:
		running = p.task.Containers
	case e.service != nil:
		if t := specimen(e); t != nil {
			running = t.Containers
		}
	}
	defined := map[string]aws.ContainerDetails{}
	if p.details != nil {
		for _, d := range p.details.Definition.Containers {
			defined[d.Name] = d
			if !slices.ContainsFunc(running, func(r aws.Container) bool { return r.Name == d.Name }) {
				running = append(slices.Clip(running), aws.Container{Name: d.Name, Image: d.Image, Ports: d.Ports})
			}
		}
	}
	var all []likeness
	for _, k := range running {
		if e.container != nil && k.Name != e.container.Name {
			continue
		}
		d := defined[k.Name]
		one := likeness{
			name: say.Line(k.Name), image: say.Line(k.Image), ports: portList(k.Ports),
			env: say.Line(strings.Join(d.Environment, " ")), secrets: say.Line(strings.Join(d.Secrets, " ")),
		}
		if len(d.Ports) > 0 {
			one.ports = portList(d.Ports)
		}
		if p.task != nil {
			one.state = p.dots(strings.ToLower(say.Line(k.Status)), say.Line(k.Reason))
		}
		if e.container != nil {
			one.runtime = say.Line(k.RuntimeID)
		}
		all = append(all, one)
	}
	return all
}

// containers returns the chapter about containers. Of variables it tells only the names, as values may be secrets.
func (p *portrait) containers() chapter {
	c := chapter{name: "containers"}
	for _, one := range p.likenesses() {
		c.traits = append(c.traits, trait{one.name, orNone(one.image, p.theme)})
		for _, more := range []trait{{"ports", one.ports}, {"state", one.state}, {"env", one.env}, {"secrets", one.secrets}, {"runtime", one.runtime}} {
			if more.text != "" {
				c.traits = append(c.traits, trait{"  " + more.name, more.text})
			}
		}
	}
	return c
}

func (p *portrait) network() chapter {
	c := chapter{name: "network"}
	add := func(name string, words ...string) {
		words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
		if len(words) > 0 {
			c.traits = append(c.traits, trait{name, say.Line(strings.Join(words, " "))})
		}
	}
	if p.task != nil {
		add("address", p.task.Address)
		add("subnet", p.task.Subnet)
	}
	if p.service != nil {
		n := p.service.Network
		if p.task == nil || p.task.Subnet == "" {
			add("subnets", n.Subnets...)
		}
		add("groups", n.Groups...)
		if n.PublicAddress {
			add("public", "each task has a public address")
		}
	}
	if p.details != nil && p.details.Definition.NetworkMode != "" {
		add("mode", p.details.Definition.NetworkMode)
	}
	return c
}

func (p *portrait) deployments() chapter {
	c := chapter{name: "deployments"}
	if p.service == nil || p.entry.container != nil {
		return c
	}
	for _, d := range p.service.Deployments {
		age := ""
		if !d.CreatedAt.IsZero() {
			age = say.Age(p.now.Sub(d.CreatedAt)) + " ago"
		}
		reason := ""
		if d.Rollout == "FAILED" {
			reason = say.Line(d.Reason)
		}
		c.traits = append(c.traits, trait{
			strings.ToLower(say.Line(d.Status)),
			p.dots(revision(d.TaskDefinition), fmt.Sprintf("%d of %d running", d.Running, d.Desired), some(d.Pending, "pending"), some(d.Failed, "failed"),
				strings.ToLower(say.Line(strings.ReplaceAll(d.Rollout, "_", " "))), age, reason),
		})
	}
	return c
}

func (p *portrait) events() chapter {
	c := chapter{name: "events"}
	if p.service == nil || p.entry.container != nil {
		return c
	}
	for _, e := range p.service.Events {
		c.traits = append(c.traits, trait{p.moment(e.At), say.Line(e.Text)})
	}
	return c
}

// How wide the names of traits are, and how wide the indent below a chapter's name, in cells.
const (
	traitName   = 17
	traitIndent = 2
)

// brief returns the chapters for below the rows, each trait on one line, without what the rows and the line above them tell
// already.
func (p *portrait) brief(w int) []string {
	t := p.theme
	var lines []string
	add := func(chapter string, texts ...string) {
		for _, text := range texts {
			lines = append(lines, " "+t.Muted.Paint(t.Fit(chapter, 12))+t.Text.Paint(t.Cut(text, w-14)))
			chapter = ""
		}
	}
	var containers []string
	for _, one := range p.likenesses() {
		if one.ports != "" {
			one.ports = "ports " + one.ports
		}
		containers = append(containers, one.name+"  "+p.dots(one.ports, one.state, one.image))
	}
	add("containers", containers...)
	var network []string
	for _, one := range p.network().traits {
		network = append(network, one.text)
	}
	if len(network) > 0 {
		add("network", p.dots(network...))
	}
	for _, c := range []chapter{p.deployments(), p.events()} {
		var texts []string
		for _, one := range c.traits {
			texts = append(texts, one.name+"  "+one.text)
		}
		add(c.name, texts...)
	}
	return lines
}

// lines returns the chapters as the lines of a page.
func (p *portrait) lines(w int) []draw.Line {
	t := p.theme
	var lines []draw.Line
	for _, c := range p.chapters() {
		if len(lines) > 0 {
			lines = append(lines, draw.Line{})
		}
		lines = append(lines, draw.Line{Text: " " + c.name, Drawn: " " + t.Strong.Paint(c.name)})
		for _, one := range c.traits {
			name := t.Fit(strings.Repeat(" ", traitIndent)+one.name, traitName)
			for _, text := range draw.Wrap(one.text, max(w-traitName-3, 1)) {
				lines = append(lines, draw.Line{Text: " " + name + " " + text, Drawn: " " + t.Muted.Paint(name) + " " + text})
				name = t.Fit("", traitName)
			}
		}
	}
	return lines
}
