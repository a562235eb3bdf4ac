package screen

import (
	"net/netip"
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// several is the dialog that opens tunnels to all marked rows of the browser: it lists the ports of each row,
// and opens tunnels to those that the user marks.
type several struct {
	*look
	proposals

	tunnels *tunnels
	place   *place
	forks   []*fork
	table   *draw.Table[*fork]
	opened  func() // is called when all tunnels are open
	waiting int    // how many tunnels are being opened
	count   int    // how many tunnels were opened
}

// fork is one tunnel that the dialog could open.
type fork struct {
	number int
	to     aws.Target
	pinned bool
	port   uint16 // the remote port; 0 when the task definition maps none
	local  uint16 // the local port; 0 when it is not known yet, or none is free
	word   string // a word about the local port
	open   bool
	err    error // why the tunnel could not be opened
	row    int   // the number of its row among the tunnels; 0 before the tunnel is being opened
}

// mostForks is how many tunnels the dialog offers at the most.
const mostForks = 200

func newSeveral(l *look, ts *tunnels, p *place, entries []entry, o proposals, opened func()) *several {
	d := &several{look: l, proposals: o, tunnels: ts, place: p, opened: opened}
	t := l.theme
	d.table = draw.NewTable(t, l.keys.table(), func(f *fork) string { return strconv.Itoa(f.number) },
		draw.Column[*fork]{Title: "TARGET", Least: 12, Grow: true, Text: func(f *fork) string { return say.Line(f.to.String()) }},
		draw.Column[*fork]{Title: "PORT", Least: 5, Most: 5, Right: true, Text: func(f *fork) string {
			if f.port == 0 {
				return t.Glyph.None
			}
			return strconv.Itoa(int(f.port))
		}},
		draw.Column[*fork]{Title: "LOCAL", Least: 5, Most: 5, Right: true, Ink: func(*fork) draw.Ink { return t.Accent }, Text: func(f *fork) string {
			if f.local == 0 {
				return t.Glyph.None
			}
			return strconv.Itoa(int(f.local))
		}},
		draw.Column[*fork]{Title: "", Most: 40, Rest: true, Drop: 1, Ink: func(f *fork) draw.Ink {
			if f.err != nil {
				return t.Bad
			}
			return t.Muted
		}, Text: func(f *fork) string {
			switch {
			case f.err != nil:
				return say.Line(f.err.Error())
			case f.open:
				return "open"
			case f.port == 0:
				return "maps no port; " + l.keys.forward.Shortest() + " on it alone asks for one"
			}
			return f.word
		}},
	)
	d.table.Markable(func(f *fork) bool { return f.port != 0 && !f.open })
	var forks []*fork
	for _, e := range entries {
		forks = append(forks, forksOf(e)...)
	}
	forks = forks[:min(len(forks), mostForks)]
	d.forks = forks
	seen := map[aws.Target]bool{}
	for i, f := range forks {
		f.number = i
	}
	d.table.Set(forks)
	for _, f := range forks { // at first the first port of each row is marked, which is most likely meant
		of := f.to
		of.Container, of.RuntimeID, of.Port = "", "", 0
		if !seen[of] {
			d.table.Mark(f)
		}
		seen[of] = true
	}
	return d
}

// forksOf returns the tunnels that can be opened to a row, those to the container that is most likely meant first.
func forksOf(e entry) []*fork {
	to, _ := e.target()
	task := specimen(e)
	containers := slices.Clone(choices(e, task))
	if len(containers) > 0 {
		first := preferred(containers).Name
		slices.SortStableFunc(containers, func(a, b aws.Container) int {
			switch first {
			case b.Name:
				return 1
			case a.Name:
				return -1
			}
			return 0
		})
	}
	var forks []*fork
	for _, c := range containers {
		for _, p := range c.Ports {
			if !isTCP(p) {
				continue
			}
			f := &fork{to: to, pinned: pinned(to), port: p.Container}
			serving := c
			if f.to.AnyContainer = e.container == nil; f.to.AnyContainer {
				f.to.Port = f.port
				if found, err := task.Candidates(aws.Query{Port: f.port}); err == nil {
					serving = found[0]
				}
			}
			if len(containers) > 1 || to.Task != "" {
				f.to.Container = serving.Name
			}
			if to.Task != "" {
				f.to.RuntimeID = serving.RuntimeID
			}
			forks = append(forks, f)
		}
	}
	if len(forks) == 0 {
		return []*fork{{to: to}}
	}
	return forks
}

// askFree finds a free local port for each of some tunnels.
func (d *several) askFree(forks []*fork) wish {
	ports := make([]uint16, 0, len(forks))
	for _, f := range forks {
		ports = append(ports, f.port)
	}
	return beside(func() tea.Msg {
		locals, words := freePorts(ports)
		return then(func() wish {
			for i, f := range forks {
				f.local, f.word = locals[i], words[i]
			}
			return nil
		})
	})
}

// freePorts returns a local port for each remote one, no two alike, and a word about each; 0 where none is free, or wanted.
func freePorts(remote []uint16) (locals []uint16, words []string) {
	given := map[uint16]bool{}
	for _, port := range remote {
		local, word := uint16(0), ""
		for n := range tries {
			at, err := parsePort(strconv.Itoa(unprivileged(int(port)) + n))
			if port == 0 || err != nil {
				break
			}
			if given[at] || (tunnel.Spec{Local: netip.AddrPortFrom(netip.Addr{}, at)}).Listenable() != nil {
				word = strconv.Itoa(unprivileged(int(port))) + " is in use"
				continue
			}
			local, given[at] = at, true
			break
		}
		if local == 0 && port != 0 {
			word = "no free port found"
		}
		locals, words = append(locals, local), append(words, word)
	}
	return locals, words
}

func (d *several) title() string {
	return d.theme.Strong.Paint("forward ") + d.theme.Accent.Paint(plural(len(d.table.Marked()), "tunnel"))
}

func (d *several) foot() string { return d.table.Counted("port") }

func (d *several) help() []draw.Binding {
	k := d.keys
	return []draw.Binding{k.in.As("open"), k.mark.As("take or leave"), k.back.As("cancel")}
}

func (d *several) draw(w, h int, _ bool) []string {
	t := d.theme
	var below []string
	if d.waiting > 0 {
		below = []string{"", " " + t.Busy.Paint(d.spinner()+" opening")}
	}
	if f, ok := d.table.Row(); ok && f.err != nil {
		below = append(below, d.problem(f.err, w, shortAdvice)...)
	}
	room := max(h-len(below), 2)
	return append(d.table.Draw(w, min(room, d.table.Len()+1), true), below...)
}

func (d *several) update(msg tea.Msg) (wish, bool) {
	k, ok := msg.(tea.KeyPressMsg)
	switch {
	case d.waiting > 0:
	case !ok:
		d.table.Update(msg)
	case k.String() == "enter" && !d.table.Typing():
		return d.open(), true
	case k.String() == "esc" && !d.table.Typing():
		return dismiss(d), true
	default:
		d.table.Update(msg)
	}
	return nil, true
}

// open opens the marked tunnels; those that cannot be opened stay in sight, with the reason.
func (d *several) open() wish {
	var wishes []wish
	for _, f := range d.table.Marked() {
		spec := tunnel.Forward{Remote: tunnel.Endpoint{Port: f.port}}.Spec(f.to)
		spec.Pinned, spec.KeepAlive = f.pinned, d.span
		spec.Local = netip.AddrPortFrom(netip.Addr{}, f.local)
		f.err = nil
		if f.row == 0 {
			f.row = d.tunnels.next()
		}
		d.waiting++
		wishes = append(wishes, beside(func() tea.Msg {
			t, err := d.place.openNow(spec)
			return then(func() wish { return d.ended(f, t, err) })
		}))
	}
	if len(wishes) == 0 {
		return tell("nothing is marked: " + d.keys.mark.Shortest() + " marks a port")
	}
	return all(wishes...)
}

// ended takes the outcome of opening one of the tunnels.
func (d *several) ended(f *fork, t *tunnel.Tunnel, err error) wish {
	d.waiting--
	var w wish
	if f.err = err; err == nil {
		f.open = true
		d.count++
		d.table.Mark(f) // the tunnel was marked, so this takes the mark away
		w = d.tunnels.opened(wanted{place: d.place, spec: t.Spec(), count: f.row, user: d.tunnels.proxyUser}, t)
	}
	switch {
	case d.waiting > 0:
		return w
	case len(d.table.Marked()) > 0: // the tunnels that are still marked could not be opened
		return all(w, d.askFree(d.table.Marked())) // another process may have taken a port meanwhile
	}
	d.opened()
	return all(w, dismiss(d), goBelow(), tell(plural(d.count, "tunnel")+" opened; "+d.keys.copy.Shortest()+" copies how to use one"))
}
