package screen

import (
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// connect is the dialog that opens a tunnel: every field is checked while it is typed.
type connect struct {
	*look
	proposals

	tunnels *tunnels
	place   *place
	entry   entry
	to      aws.Target // where the tunnel leads; without a container when the user has a choice

	containers []aws.Container // the containers to choose from
	task       *aws.Task       // the task of these containers; nil where there is none
	survey     *survey         // knows the ways to a private destination; nil: the user has chosen the target
	ways       []aws.Way       // the ways to choose from
	named      bool            // the user has chosen a container; else any that serves the port will do

	container, port, host, local, probe, keepAlive *draw.Field
	via, deny, most                                *draw.Field       // the fields of a tunnel to any host
	through                                        *draw.Field       // the field for one of the ways
	any                                            bool              // the dialog is for a tunnel to any host
	warm                                           []tunnel.Endpoint // the warm destinations of that tunnel, for which there is no field

	starting startFields // the fields about what is started for the tunnel

	at      int    // index of the field that has the keyboard
	above   int    // lines above the fields when last drawn
	chosen  bool   // the user has changed the local side, so that nothing is proposed for it any more
	asked   int    // number of the last question whether the local side is free
	taken   string // why the local side that the user chose is not free; empty when it is, or that is not known yet
	opening bool
	failure error  // why the tunnel could not be opened; nil before a try
	user    string // the user for the proxy at the far end, see wanted
	of      *row   // the tunnel that is changed; nil: a new one is opened
}

// proposals are what the dialog begins with and what it allows.
type proposals struct {
	family     string        // the task definition's family that is run where the user names none; empty: nothing can be started
	span       time.Duration // how often keep-alive sends, as proposed
	anyHost    *tunnel.Dynamic
	linkLocal  bool   // remote hosts may be link-local addresses
	demo       bool   // the account is the embedded one
	action     string // the action that the workflow step uses
	checkProbe func(probe string) error
}

func newConnect(l *look, ts *tunnels, p *place, e entry, o proposals) *connect {
	d := &connect{look: l, proposals: o, tunnels: ts, place: p}
	d.container = draw.NewField("container", "")
	d.container.Free = false
	d.port = draw.NewField("remote port", "a port, as 5432")
	d.host = draw.NewField("remote host", "the container itself", "", anyHost)
	d.host.About = "or a host behind it, or any host"
	d.local = draw.NewField("local port", "any free port")
	d.probe = draw.NewField("probe", "chosen by the port", "", "none", "tcp", "http")
	d.probe.About = "none, tcp, http, or a URL to fetch through the proxy"
	d.keepAlive = draw.NewField("keep-alive", "off")
	d.keepAlive.About = "a span such as 30s; it overrides the account's idle timeout"
	if o.span > 0 {
		d.keepAlive.Set(o.span.String())
	}
	d.starting = newStartFields(o.family)
	d.via, d.deny, d.most = anyFields()
	if o.anyHost != nil {
		d.setAny(o.anyHost)
	}
	d.named = e.container != nil
	d.aim(e)
	d.offer()
	d.serve()
	return d
}

// aim has the form lead to a row of the browser, as far as that is known.
func (d *connect) aim(e entry) {
	d.entry = e
	d.to, _ = e.target()
	d.task = specimen(e)
	d.containers = choices(e, d.task)
	d.container.Choice = nil
	for _, c := range d.containers {
		d.container.Choice = append(d.container.Choice, c.Name)
	}
	if len(d.containers) > 0 {
		d.container.Set(preferred(d.containers).Name)
	}
}

// tasks is the sight that the form needs: the tasks and ports of its service.
func (d *connect) tasks() aws.Sight {
	return aws.Sight{Cluster: d.entry.cluster.Name, Service: d.entry.service.Name, Parts: inside}
}

// reading reports whether the tasks of the form's service are still being read.
func (d *connect) reading() bool {
	p, s := d.place, d.tasks()
	return !p.knows(s) && (p.looking && covers(p.asking, s) || p.trouble == nil && covers(p.sight, s))
}

// renew takes what has been read since: how many tasks are ready and, where no task was known, the containers and ports of one.
// The ports may come later. What the user has typed stays.
func (d *connect) renew(p *place) wish {
	if p != d.place || d.survey != nil || d.opening || d.entry.container != nil {
		return nil
	}
	e, ok := d.entry.again(p.catalog)
	switch {
	case !ok:
		return nil
	case len(d.port.Choice) > 0:
		d.entry = e
		return nil
	}
	field, to, before, container := d.fields()[d.at], d.to, d.containers, d.container.Value()
	d.aim(e)
	d.to = to
	if len(d.containers) == 0 {
		return nil
	}
	if slices.ContainsFunc(before, func(c aws.Container) bool { return c.Name == container }) {
		d.container.Set(container)
	}
	port := d.port.Value()
	d.offer()
	if len(before) > 0 && len(d.port.Choice) == 0 {
		return nil // the ports have not been read yet, or there are none
	}
	if port != "" || d.host.Value() != "" {
		d.port.Set(port)
		d.propose()
	}
	d.serve()
	d.check()
	d.at = slices.Index(d.fields(), field)
	return d.askFree()
}

// change fills the form with a tunnel that is over, to be changed and opened anew.
func (d *connect) change(r *row) {
	w := r.again()
	d.of, d.to, d.user = r, w.spec.Target, w.user
	d.named = d.to.Container != "" && !d.to.AnyContainer
	if slices.ContainsFunc(d.containers, func(c aws.Container) bool { return c.Name == d.to.Container }) {
		d.container.Set(d.to.Container)
		d.offer()
	}
	if of := w.spec.Dynamic; of != nil {
		d.leadAnywhere()
		d.setAny(of)
	} else {
		d.port.Set(strconv.Itoa(int(w.spec.Remote.Port)))
		d.host.Set(w.spec.Remote.Host)
	}
	d.chosen = true
	switch local := w.spec.Local; {
	case w.spec.Socket != "":
		d.local.Set(w.spec.Socket)
	case local.Addr().IsValid():
		d.local.Set(local.String())
	case local.Port() != 0:
		d.local.Set(strconv.Itoa(int(local.Port())))
	default:
		d.chosen = false
		d.propose()
	}
	d.probe.Set(w.probe)
	d.keepAlive.Set("")
	if w.spec.KeepAlive > 0 {
		d.keepAlive.Set(w.spec.KeepAlive.String())
	}
	d.setStart(w.order)
	d.check()
}

// fields are the lines of the form, from the top.
func (d *connect) fields() []*draw.Field {
	all := []*draw.Field{d.port, d.host, d.local, d.probe, d.keepAlive}
	if d.any {
		all = []*draw.Field{d.host, d.local, d.via, d.deny, d.most, d.probe, d.keepAlive}
	}
	if len(d.containers) > 1 {
		all = append([]*draw.Field{d.container}, all...)
	}
	if len(d.ways) > 1 {
		all = append([]*draw.Field{d.through}, all...)
	}
	return append(all, d.startLines()...)
}

// propose proposes a local port, unless the user has chosen one: the remote port's number, or for a tunnel to any host the usual
// one.
func (d *connect) propose() {
	if d.chosen {
		return
	}
	d.local.Set("")
	if d.any {
		d.local.Set(proxyLocal)
		return
	}
	if port, err := parsePort(d.port.Value()); err == nil {
		d.local.Set(strconv.Itoa(unprivileged(int(port))))
	}
}

// target is where the form leads.
func (d *connect) target() aws.Target {
	t := d.to
	t.AnyContainer, t.Port = !d.named, 0
	if t.AnyContainer {
		t.Container, t.RuntimeID, t.Port = "", "", d.wanted().Port
	} else if len(d.containers) > 1 {
		t.Container = d.container.Value()
	}
	if t.Task != "" {
		for _, c := range d.containers {
			if c.Name == d.container.Value() || len(d.containers) == 1 {
				t.Container, t.RuntimeID = c.Name, c.RuntimeID
			}
		}
	}
	return t
}

// recipe says how to open the same tunnel without the screen.
func (d *connect) recipe(f tunnel.Forward) recipe {
	keep, _ := parseSpan(d.keepAlive.Value())
	r := recipe{action: d.action, demo: d.demo, profile: d.place.profile, region: d.place.region, target: d.target(), forward: f, probe: d.probe.Value(), user: d.user, keepAlive: keep}
	if d.place.client != nil && !r.demo {
		shell := d.place.client.Shell()
		r.endpoint, r.role, r.document, r.stream = shell.Endpoint, shell.Role, shell.Document, shell.Stream
	}
	r.target.Container = ""
	if d.telling() {
		r.target.Container = d.container.Value()
	}
	if o := d.order(); o != nil {
		r.order, r.target.Container = &o.Order, o.container
	}
	return r
}

func (d *connect) update(msg tea.Msg) (wish, bool) {
	fields := d.fields()
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		if d.opening {
			return nil, true
		}
		switch msg.String() {
		case "esc":
			return dismiss(d), true
		case "enter":
			return d.open(), true
		case "up", "shift+tab":
			d.at = (d.at + len(fields) - 1) % len(fields)
			return nil, true
		case "down", "tab":
			d.at = (d.at + 1) % len(fields)
			return nil, true
		case "ctrl+y":
			return d.copy("the command", recipe.command), true
		case "ctrl+g":
			return d.copy("the workflow step", recipe.step), true
		}
	case tea.PasteMsg:
		msg.Content = strings.Join(strings.Fields(say.Line(msg.Content)), " ")
		return d.changed(fields[d.at], msg), true
	case tea.MouseClickMsg:
		d.click(msg.Y)
		return nil, true
	}
	return d.changed(fields[d.at], msg), true
}

// changed edits a field and draws the conclusions.
func (d *connect) changed(f *draw.Field, msg tea.Msg) wish {
	if !f.Update(msg) {
		return nil
	}
	d.failure = nil
	free := f == d.port || f == d.local
	switch f {
	case d.through:
		d.reroute()
	case d.container:
		d.named = true
		d.offer()
		return d.askFree()
	case d.port:
		d.propose()
		d.serve()
	case d.host:
		before := d.any
		d.retyped(msg)
		d.turned()
		d.at = slices.Index(d.fields(), f) // the fields are others now, and the field may stand elsewhere among them
		d.serve()
		free = before != d.any
	case d.local:
		d.chosen = true
	case d.starting.start:
		d.turnedStart()
	}
	var asked wish
	if free {
		asked = d.askFree()
	}
	d.check()
	return asked
}

// click puts the keyboard on the field in a line.
func (d *connect) click(line int) {
	for i := range d.fields() {
		if line == d.above+i {
			d.at = i
		}
	}
}

func (d *connect) copy(what string, form func(recipe) string) wish {
	f, ok := d.valid()
	if !ok {
		return nil
	}
	return copied("the "+what, form(d.recipe(f)))
}

// open opens the tunnel. When that fails, the dialog stays and shows why.
func (d *connect) open() wish {
	f, ok := d.valid()
	if !ok {
		for i, field := range d.fields() {
			if field.Wrong != "" {
				d.at = i
				break
			}
		}
		return nil
	}
	spec := f.Spec(d.target())
	spec.Pinned = pinned(d.to)
	spec.KeepAlive, _ = parseSpan(d.keepAlive.Value())
	probe, user := d.probe.Value(), d.tunnels.proxyUser
	if d.of != nil {
		user = d.user
	}
	if d.tunnels.readOnly {
		d.failure = &ReadOnlyError{}
		return nil
	}
	if order := d.order(); order != nil {
		return d.openStarted(wanted{place: d.place, spec: spec, probe: probe, user: user, in: d.of, order: order})
	}
	d.opening, d.failure = true, nil
	other := d.otherPort(f)
	return beside(func() tea.Msg {
		t, err := d.place.openNow(spec)
		var propose func()
		if err != nil {
			propose = other()
		}
		return then(func() wish {
			d.opening = false
			if err != nil { // the failure and the port that is free instead are shown at once: a second enter takes that port
				d.failure = err
				propose()
				return nil
			}
			return all(
				dismiss(d), goBelow(), tell("listening on "+localName(t)+"; "+d.keys.copy.Shortest()+" copies how to use it"),
				d.tunnels.opened(wanted{place: d.place, probe: probe, user: user, in: d.of}, t),
			)
		})
	})
}
