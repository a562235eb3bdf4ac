package screen

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

// savedPage lists the saved groups and tunnels, and shows which of them are open.
type savedPage struct {
	*look

	accounts  *accounts
	tunnels   *tunnels
	shelf     *shelf
	keepAlive time.Duration
	readOnly  bool
	table     *draw.Table[savedRow]
	tries     map[string]try // the last try of each tunnel, by its name
}

// savedRow is a group or, where group is nil, a tunnel.
type savedRow struct {
	group   *SavedGroup
	tunnels []SavedTunnel // the tunnels of the group; else the tunnel itself
	name    string
	running []*row // the rows of the tunnels in tunnels; nil for those that are not open
}

// try is the last attempt to start a saved tunnel.
type try struct {
	looking bool // a task is being looked up
	err     error
}

func newSaved(l *look, at *accounts, ts *tunnels, s *shelf, o Options) *savedPage {
	t := l.theme
	p := &savedPage{look: l, accounts: at, tunnels: ts, shelf: s, keepAlive: o.KeepAlive, readOnly: o.ReadOnly, tries: map[string]try{}}
	p.table = draw.NewTable(t, l.keys.table(), savedRow.id,
		draw.Column[savedRow]{Title: "NAME", Least: 8, Most: 28, Sought: draw.AsName, Text: func(l savedRow) string { return say.Line(l.name) }, Ink: func(savedRow) draw.Ink { return t.Accent }},
		draw.Column[savedRow]{Title: "", Least: 6, Most: 6, Text: savedRow.kind, Ink: func(savedRow) draw.Ink { return t.Muted }, Drop: 2},
		draw.Column[savedRow]{Title: "TARGET", Sought: draw.AsText, Least: 16, Grow: true, Middle: true, Text: savedRow.towards},
		draw.Column[savedRow]{Title: "FORWARD", Sought: draw.AsText, Least: 8, Most: 36, Text: savedRow.forward, Drop: 1},
		draw.Column[savedRow]{Title: "STATE", Least: 18, Most: 18, Text: func(l savedRow) string { text, _ := p.standing(l); return text },
			Ink:   func(l savedRow) draw.Ink { _, colour := p.standing(l); return colour },
			Order: func(a, b savedRow) int { return cmp.Compare(a.count(), b.count()) }},
		draw.Column[savedRow]{Title: "LOCAL", Least: 15, Most: 21, Text: savedRow.local, Drop: 1},
	)
	p.tick()
	return p
}

// tick looks again which tunnels are open.
func (p *savedPage) tick() {
	saved := p.shelf
	var lines []savedRow
	for i := range saved.Groups {
		line := savedRow{group: &saved.Groups[i], name: saved.Groups[i].Name}
		for _, name := range line.group.Tunnels {
			if t, ok := saved.named(name); ok {
				line.tunnels = append(line.tunnels, t)
			}
		}
		lines = append(lines, line)
	}
	for _, t := range saved.Tunnels {
		lines = append(lines, savedRow{name: t.Name, tunnels: []SavedTunnel{t}})
	}
	for i := range lines {
		for _, t := range lines[i].tunnels {
			lines[i].running = append(lines[i].running, p.tunnels.running(t))
		}
	}
	p.table.Set(lines)
}

func (l savedRow) id() string { return l.kind() + " " + l.name }

func (l savedRow) kind() string {
	if l.group != nil {
		return "group"
	}
	return "tunnel"
}

func (l savedRow) towards() string {
	if l.group != nil {
		return say.Line(strings.Join(l.group.Tunnels, ", "))
	}
	target := l.tunnels[0].Target
	text := target.String()
	if target.Home != (aws.Home{}) {
		text += " in " + target.Home.String()
	}
	if in := l.tunnels[0].account(); in != "" {
		text += " (" + in + ")"
	}
	return say.Line(text)
}

func (l savedRow) forward() string {
	if l.group != nil {
		return ""
	}
	return say.Line(forwardWords(l.tunnels[0].Forward))
}

func (l savedRow) local() string {
	if l.group != nil || l.running[0] == nil {
		return ""
	}
	return l.running[0].local()
}

// count is how many of the tunnels are open.
func (l savedRow) count() int {
	n := 0
	for _, r := range l.running {
		if r != nil {
			n++
		}
	}
	return n
}

// standing says how a line stands, by a sign with a word, and returns the colour for that.
func (p *savedPage) standing(l savedRow) (text string, colour draw.Ink) {
	t := p.theme
	n := l.count()
	looking, failed := 0, 0
	for i, s := range l.tunnels {
		switch attempt := p.tries[s.Name]; {
		case l.running[i] != nil:
		case attempt.looking:
			looking++
		case attempt.err != nil:
			failed++
		}
	}
	switch {
	case l.group == nil && n > 0:
		return p.tunnels.standing(l.running[0])
	case looking > 0:
		return t.Glyph.Half + " starting", t.Busy
	case failed > 0 && l.group != nil:
		return t.Glyph.Off + " " + strconv.Itoa(failed) + " not started", t.Bad
	case failed > 0:
		return t.Glyph.Off + " not started", t.Bad
	case n == 0:
		return t.Glyph.None + " stopped", t.Muted
	case n < len(l.tunnels):
		return t.Glyph.Half + " " + strconv.Itoa(n) + " of " + strconv.Itoa(len(l.tunnels)) + " running", t.Busy
	}
	return t.Glyph.On + " running", t.Good
}

func (p *savedPage) title() string {
	return p.theme.Strong.Paint("Saved tunnels") + " " + p.table.Finding()
}

func (p *savedPage) foot() string { return p.table.Counted("row") }

func (p *savedPage) help() []draw.Binding {
	k := p.keys
	if p.table.Len() == 0 {
		return []draw.Binding{k.save.As("save what is open"), k.back}
	}
	return []draw.Binding{k.in.As("start"), k.stop, k.edit.As("edit"), k.remove.As("delete"), k.save.As("save what is open"), k.copy, k.filter, k.back}
}

func (p *savedPage) draw(w, h int, focused bool) []string {
	t := p.theme
	if p.table.Len() == 0 {
		lines := []string{" " + t.Muted.Paint("The config file has no tunnels yet. "+p.keys.save.Shortest()+" saves those that are open.")}
		return append(lines, "", " "+t.Muted.Paint("tunnels:"), " "+t.Muted.Paint(`  squid: {target: automation/squid, forward: "3128"}`))
	}
	var why []string
	if l, ok := p.table.Row(); ok {
		why = p.problem(p.ailment(l), w, max(h/3, shortAdvice))
		if file := l.project(); file != "" && len(why) == 0 {
			why = []string{" " + t.Muted.Paint(t.CutMiddle("of the project file "+say.Line(file)+"; "+p.keys.edit.Shortest()+" makes one of your own, which wins", w-2))}
		}
	}
	room := h - len(why)
	return append(t.Fill(p.table.Draw(w, room, focused), w, room), why...)
}

// failing returns the error of the line under the cursor.
func (p *savedPage) failing() []error {
	if l, ok := p.table.Row(); ok && p.ailment(l) != nil {
		return []error{p.ailment(l)}
	}
	return nil
}

// ailment returns the first error of a line's tunnels; nil when there is none.
func (p *savedPage) ailment(l savedRow) error {
	for i, s := range l.tunnels {
		if r := l.running[i]; r != nil {
			if err := p.tunnels.ailment(r); err != nil {
				return err
			}
			continue
		}
		if err := p.tries[s.Name].err; err != nil {
			return err
		}
	}
	return nil
}

func (p *savedPage) update(msg tea.Msg) (wish, bool) {
	if l, under := p.table.Row(); under && picked(p.table, msg) {
		return p.start(l), true
	}
	if p.table.Update(msg) {
		return nil, true
	}
	k, ok := msg.(tea.KeyPressMsg)
	if ok && p.keys.saved.Pressed(k) {
		return nil, true // the key for this page: it is in sight already
	}
	if ok && p.keys.undo.Pressed(k) && p.shelf.undo != nil {
		return p.shelf.takeBack(), true
	}
	l, under := p.table.Row()
	if !ok || !under {
		return nil, false
	}
	switch keys := p.keys; {
	case keys.in.Pressed(k):
		return p.start(l), true
	case keys.stop.Pressed(k):
		return p.stop(l), true
	case keys.edit.Pressed(k):
		return p.edit(l), true
	case keys.remove.Pressed(k):
		return p.remove(l), true
	case keys.copy.Pressed(k):
		if l.group == nil && l.running[0] != nil {
			return p.tunnels.copy(l.running[0]), true
		}
		return tell("only what runs has an address to copy"), true
	}
	return nil, false
}

// startLine puts the cursor on a line and opens its tunnels.
func (p *savedPage) startLine(id string) wish {
	p.table.MoveTo(id)
	if l, ok := p.table.Row(); ok && l.id() == id {
		return p.start(l)
	}
	return nil
}

// project is the project file that has the tunnel or group of a line; empty for the user's own file.
func (l savedRow) project() string {
	if l.group != nil {
		return l.group.Project
	}
	return l.tunnels[0].Project
}

// edit opens the dialog about a line. A tunnel of a project file becomes one of the user's own file by that.
func (p *savedPage) edit(l savedRow) wish {
	switch {
	case p.shelf.write == nil:
		return fail(&NowhereError{})
	case l.group == nil:
		is := l.tunnels[0]
		return fillIn(Change{Was: is, Is: is})
	case l.group.Project != "":
		return tell(say.Line(l.name) + " is of the project file " + l.group.Project + ", which culvert does not change")
	}
	return fillIn(Change{WasGroup: *l.group, IsGroup: *l.group})
}

// remove deletes a tunnel or group from the config file, after a question. Open tunnels go on.
func (p *savedPage) remove(l savedRow) wish {
	switch file := l.project(); {
	case p.shelf.write == nil:
		return fail(&NowhereError{})
	case file != "":
		return tell(say.Line(l.name) + " is of the project file " + file + ", which culvert does not change")
	}
	var c Change
	var text []string
	if l.group != nil {
		c.WasGroup = *l.group
		text = []string{"delete the group " + say.Line(l.name) + "?", "Its tunnels stay: " + say.Line(strings.Join(l.group.Tunnels, ", ")) + "."}
	} else {
		c.Was = l.tunnels[0]
		text = []string{"delete the saved tunnel " + say.Line(l.name) + "?", say.Line(c.Was.Target.String() + " " + forwardWords(c.Was.Forward))}
		if groups := p.shelf.groupsOf(l.name); len(groups) > 0 {
			text = append(text, "It leaves the groups "+say.Line(strings.Join(groups, ", "))+".")
		}
	}
	if l.count() > 0 {
		text = append(text, "What runs goes on.")
	}
	return confirm("delete", "delete", func() wish { return p.shelf.keep([]Change{c}, "deleted "+say.Line(l.name), nil) }, text...)
}

// start opens the tunnels of a line that are not open yet; those that other machines could use only after a question.
func (p *savedPage) start(l savedRow) wish {
	if p.readOnly {
		return fail(&ReadOnlyError{})
	}
	var idle []SavedTunnel
	var open []string
	for i, s := range l.tunnels {
		if l.running[i] != nil || p.tries[s.Name].looking {
			continue
		}
		idle = append(idle, s)
		if s.exposed() {
			open = append(open, say.Line(s.Name)+" listens on "+s.Forward.Local.Addr().String())
		}
	}
	switch {
	case len(idle) == 0:
		return tell(say.Line(l.name) + " runs already")
	case len(open) > 0:
		open = append(open, "Everybody who reaches this machine there could use what is behind it.")
		return confirm("start "+say.Line(l.name), "start", func() wish { return p.startNow(idle) }, open...)
	}
	return p.startNow(idle)
}

func (p *savedPage) startNow(idle []SavedTunnel) wish {
	var wishes []wish
	var places []*place
	in := map[*place][]SavedTunnel{}
	for _, s := range idle {
		at := p.accounts.placeOf(s)
		if at.client == nil && (at == p.accounts.here || at.looking) {
			wishes = append(wishes, tell("not signed in yet: nothing can be started"))
			continue
		}
		if len(in[at]) == 0 {
			places = append(places, at)
		}
		in[at] = append(in[at], s)
		if s.Project != "" && !slices.Contains(p.shelf.told, s.Project) {
			p.shelf.told = append(p.shelf.told, s.Project)
			wishes = append(wishes, tell("using the project file "+s.Project))
		}
		p.tries[s.Name] = try{looking: true}
	}
	for _, at := range places {
		wishes = append(wishes, at.reach(func(err error) wish {
			var each []wish
			for _, s := range in[at] {
				each = append(each, p.startIn(at, s, err))
			}
			return all(each...)
		}))
	}
	p.tick()
	return all(wishes...)
}

// startIn opens a saved tunnel in a place; unreached is why the account could not be opened, or nil.
func (p *savedPage) startIn(at *place, s SavedTunnel, unreached error) wish {
	return beside(func() tea.Msg {
		spec, err := s.opens().Spec(aws.Target{}), unreached
		var unchecked error
		if err == nil {
			spec, unchecked, err = at.aimed(spec, s.query())
		}
		return then(func() wish {
			p.tries[s.Name] = try{err: err}
			if err != nil {
				return failBeside(p, err)
			}
			spec.Pinned = s.Target.Task != ""
			spec.KeepAlive = p.keepAlive
			spec.Lanes, spec.OneTask = s.Lanes, s.OneTask
			begun := p.tunnels.begun(wanted{place: at, spec: spec, probe: s.Probe, user: s.ProxyUser})
			if unchecked != nil {
				return all(begun, tell(say.Line(unchecked.Error())))
			}
			return begun
		})
	})
}

// stop ends the open tunnels of a line.
func (p *savedPage) stop(l savedRow) wish {
	var running []*row
	connections := 0
	for _, r := range l.running {
		switch {
		case r == nil:
		case r.holder != nil:
			return p.tunnels.stopHeld(r) // which ends all tunnels of that holder
		default:
			running = append(running, r)
			connections += r.Stats.Connections
		}
	}
	switch {
	case p.readOnly:
		return fail(&ReadOnlyError{})
	case len(running) == 0:
		return tell(say.Line(l.name) + " does not run")
	}
	stop := func() wish { return p.tunnels.stopNow(running...) }
	if connections == 0 {
		return stop()
	}
	return confirm("stop", "stop", stop, "stop "+say.Line(l.name)+"?", plural(connections, "open connection")+" will be cut.")
}
