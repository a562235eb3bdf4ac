package screen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// lingerClosed is how long a tunnel that was stopped stays in sight.
const lingerClosed = 10 * time.Second

// tunnelsPane shows the tunnels of every place, whatever else is on the screen.
type tunnelsPane struct {
	app   *app
	table *draw.Table[*row]
	rows  []*row         // those in sight, oldest first
	known map[*place]int // tunnels of an engine that were seen
	count int            // rows so far

	asking  bool // the holders of tunnels in the background
	askNext time.Time
}

// row is a tunnel with what the screen remembers of it.
type row struct {
	reading

	number int // counts every tunnel of every place
	place  *place
	tunnel *tunnel.Tunnel // nil for one that another process holds
	holder *holder        // of that one
	meter  meter
	hosts  tally
}

func newTunnels(a *app) *tunnelsPane {
	p := &tunnelsPane{app: a, known: map[*place]int{}}
	p.table = draw.NewTable(a.theme, a.keys.table(), (*row).id, p.columns()...)
	return p
}

// follow takes the events of a place's engine. Every message draws the whole screen, so that the ends of connections come
// in batches, no more often than the screen is drawn by itself; a change of state ends the batch at once.
func (p *tunnelsPane) follow(at *place) tea.Cmd {
	events := at.engine.Watch(p.app.ctx)
	var next tea.Cmd
	next = func() tea.Msg {
		batch := gather(events)
		if batch == nil {
			return nil
		}
		return then(func() tea.Cmd {
			for _, e := range batch {
				p.event(at, e)
			}
			return next
		})
	}
	return next
}

// gather waits for an event and, where that is the end of a connection, collects more for a moment; nil when there are no
// more.
func gather(events <-chan tunnel.Event) []tunnel.Event {
	var batch []tunnel.Event
	var over <-chan time.Time
	for {
		select {
		case e, more := <-events:
			if !more {
				return batch
			}
			if batch = append(batch, e); e.Ended == nil {
				return batch
			}
			if over == nil {
				over = time.After(lively)
			}
		case <-over:
			return batch
		}
	}
}

// event takes a step in the life of a tunnel.
func (p *tunnelsPane) event(at *place, e tunnel.Event) {
	p.discover(at)
	i := slices.IndexFunc(p.rows, func(r *row) bool { return r.place == at && r.ID == e.Tunnel })
	if i < 0 {
		return
	}
	r := p.rows[i]
	if e.Ended != nil {
		r.hosts.end(*e.Ended)
		r.hosts.miss(e.Missed)
		return
	}
	if e.State != r.State || r.Since.IsZero() {
		r.Since = e.At
	}
	r.State, r.Err, r.Link = e.State, e.Err, e.Link
	if e.State == tunnel.Failed {
		p.app.fail(&lostError{local: r.local(), err: e.Err})
	}
	p.table.Set(p.rows)
}

// lostError is a tunnel that ended without being told to.
type lostError struct {
	local string
	err   error
}

func (e *lostError) Error() string {
	if e.err == nil {
		return "tunnel " + e.local + " was lost"
	}
	return "tunnel " + e.local + " was lost: " + e.err.Error()
}

func (e *lostError) Unwrap() error { return e.err }

// discover adds the tunnels that an engine has opened since.
func (p *tunnelsPane) discover(at *place) {
	if at.engine == nil {
		return
	}
	all := at.engine.Tunnels()
	for _, t := range all[p.known[at]:] {
		now := p.app.o.Now()
		r := &row{reading: read(t), place: at, tunnel: t}
		r.Opened, r.Since = now, now
		p.add(r)
	}
	p.known[at] = len(all)
}

func (p *tunnelsPane) add(r *row) {
	p.count++
	r.number = p.count
	p.rows = append(p.rows, r)
}

// tick pulls the numbers of every tunnel.
func (p *tunnelsPane) tick() tea.Cmd {
	for _, at := range p.app.places {
		p.discover(at)
	}
	now := p.app.now
	for _, r := range p.rows {
		r.look(now)
		r.meter.observe(now, r.Stats.Sent, r.Stats.Received)
	}
	p.rows = slices.DeleteFunc(p.rows, func(r *row) bool {
		return r.State == tunnel.Closed && now.Sub(r.Since) > lingerClosed
	})
	p.arrange()
	return p.askHeld()
}

// arrange shows the rows as they are now. Who holds a tunnel has a column only while that is not always us.
func (p *tunnelsPane) arrange() {
	held := slices.ContainsFunc(p.rows, func(r *row) bool { return r.holder != nil })
	columns := p.columns()
	if held {
		columns = append(columns, p.heldColumn())
	}
	p.table.SetColumns(columns)
	p.table.Set(p.rows)
}

// look reads the tunnel anew.
func (r *row) look(now time.Time) {
	if r.tunnel == nil {
		return
	}
	opened, since, before := r.Opened, r.Since, r.State
	r.reading = read(r.tunnel)
	r.Opened, r.Since = opened, since
	if r.State != before {
		r.Since = now // its event is still on the way
	}
}

// open is the number of tunnels of this process that are not over.
func (p *tunnelsPane) open() int {
	n := 0
	for _, r := range p.rows {
		if r.holder == nil && !r.State.Final() {
			n++
		}
	}
	return n
}

// wanted is how many lines the pane would like to have, its frame included.
func (p *tunnelsPane) wanted() int {
	if len(p.rows) == 0 {
		return 3
	}
	return len(p.rows) + 3 + len(p.why(draw.MinWidth))
}

func (p *tunnelsPane) title() string {
	t := p.app.theme
	text := t.Strong.Paint("Tunnels")
	if n := len(p.rows); n > 0 {
		text += " " + t.Muted.Paint(p.table.Tally())
	}
	var sent, received float64
	for _, r := range p.rows {
		s, d := r.meter.rate()
		sent, received = sent+s, received+d
	}
	if len(p.rows) > 1 {
		text += " " + t.Muted.Paint(t.Glyph.Dot) + " " + t.Received.Paint(t.Glyph.Down+" "+draw.Rate(received)) + " " + t.Sent.Paint(t.Glyph.Up+" "+draw.Rate(sent))
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
	if page, ok := p.app.page().(*detail); ok && page.row == r {
		return "" // it is all up there
	}
	w := p.app.layout().Below.Inner().W
	var facts []string
	for _, f := range r.facts(p.app) {
		if !p.table.Has(f.column, w) {
			facts = append(facts, f.text)
		}
	}
	return strings.Join(facts, " "+p.app.theme.Glyph.Dot+" ")
}

// fact is a figure of a tunnel in words, with the column that has it as well.
type fact struct{ text, column string }

func (r *row) facts(a *app) []fact {
	if r.State.Final() {
		return []fact{{text: r.State.String() + " " + draw.Age(a.now.Sub(r.Since)) + " ago"}}
	}
	facts := []fact{{"up " + draw.Age(a.now.Sub(r.Opened)), "AGE"}, {plural(r.Stats.Connections, "connection"), "CONNS"}}
	if trip := draw.Trip(r.Stats.RoundTrip); trip != "" {
		facts = append(facts, fact{"round trip " + trip, "TRIP"})
	}
	facts = append(facts, fact{draw.Count(r.Stats.Resent) + " resent", "RESENT"}, fact{retries(r.Stats.Retries), "RETRIES"})
	if in := r.elsewhere(a); in != "" {
		facts = append(facts, fact{in, ""})
	}
	if by := r.heldBy(); by != "" {
		facts = append(facts, fact{"held by culvert " + by, "HELD BY"})
	}
	return facts
}

// account is the profile and region of a tunnel; of one that another process holds only what its entry names.
func (r *row) account() (profile, region string) {
	if r.holder != nil {
		return r.holder.profile, r.holder.region
	}
	return r.place.profileName(), r.place.regionName()
}

// elsewhere names the account of a tunnel that is in another one than the user looks at.
func (r *row) elsewhere(a *app) string {
	profile, region := r.account()
	if r.holder == nil && r.place == a.here {
		return ""
	}
	return SavedTunnel{Profile: profile, Region: region}.account()
}

func retries(n uint64) string {
	if n == 1 {
		return "1 retry"
	}
	return draw.Count(n) + " retries"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (p *tunnelsPane) draw(w, h int) []string {
	t := p.app.theme
	if len(p.rows) == 0 {
		if where := p.begin(); where != "" {
			return []string{" " + t.Muted.Paint("none open "+t.Glyph.Dot) + " " + t.Strong.Paint(where)}
		}
		return []string{" " + t.Muted.Paint(p.nothing())}
	}
	why := p.why(w)
	if h < 2+len(why) {
		why = nil
	}
	lines := p.table.Draw(w, h-len(why), p.app.below)
	return append(lines, why...)
}

// begin leads a newcomer from where the screen is to the first tunnel; empty where nothing is proposed.
func (p *tunnelsPane) begin() string {
	to, at, keys := p.app.o.Begin, p.app.browse, p.app.keys
	if to.Service == "" || p.app.here.catalog == nil {
		return ""
	}
	way := keys.forward.Shortest() + " on " + to.Service + ", then " + keys.in.Shortest()
	switch {
	case at.depth == atClusters:
		way = keys.in.Shortest() + " on " + to.Cluster + ", then " + way
	case at.cluster != to.Cluster || at.depth > atServices && at.service != to.Service:
		way = keys.back.Shortest() + ", then look for " + to.Cluster + "/" + to.Service
	case at.depth > atServices:
		way = keys.forward.Shortest() + ", then " + keys.in.Shortest()
	}
	return "begin here: " + way
}

func (p *tunnelsPane) nothing() string {
	keys := p.app.keys
	text := "none open " + p.app.theme.Glyph.Dot + " " + keys.forward.Shortest() + " on a service or task opens one"
	if len(p.app.o.Saved.Tunnels) > 0 {
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
	return trouble(p.app.theme, p.app.ailment(r), w)
}

// trouble shows an error and its remedy, each on a line; nothing for none.
func trouble(t *draw.Theme, err error, w int) []string {
	if err == nil {
		return nil
	}
	lines := []string{" " + t.Bad.Paint(t.Cut("! "+say.Line(err.Error()), w-2))}
	if cure := say.Remedy(err); cure != "" {
		lines = append(lines, " "+t.Busy.Paint(t.Cut(t.Glyph.Into+" "+say.Line(cure), w-2)))
	}
	return lines
}

func (p *tunnelsPane) help() []draw.Binding {
	k := p.app.keys
	if r, ok := p.table.Row(); ok && p.app.ailment(r) != nil {
		return []draw.Binding{k.doctor.As("doctor: why?"), k.in.As("details"), k.stop, k.reconnect, k.copy}
	}
	return []draw.Binding{k.in.As("details"), k.stop, k.reconnect, k.copy, k.save, k.saved, k.filter, k.sort.As("sort")}
}

func (p *tunnelsPane) update(msg tea.Msg) (tea.Cmd, bool) {
	if p.table.Update(msg) {
		return nil, true
	}
	k, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return nil, false
	}
	r, under := p.table.Row()
	if !under {
		return nil, false
	}
	keys := p.app.keys
	switch {
	case keys.in.Pressed(k):
		p.app.show(newDetail(p.app, r))
	default:
		return p.act(k, r)
	}
	return nil, true
}

// act does what a key does to a tunnel, in the pane and on the page about it alike.
func (p *tunnelsPane) act(k tea.KeyPressMsg, r *row) (tea.Cmd, bool) {
	keys := p.app.keys
	switch {
	case keys.stop.Pressed(k):
		return p.stop(r), true
	case keys.reconnect.Pressed(k):
		return p.reconnect(r), true
	case keys.copy.Pressed(k):
		p.app.ask(newCopies(p.app, r.reading))
		return nil, true
	case keys.doctor.Pressed(k):
		p.app.below = false
		return p.consult(r), true
	}
	return nil, false
}

func (r *row) id() string { return strconv.Itoa(r.number) }
