package screen

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/draw"
)

// doctorPage is the doctor's report on one target, filled as its checks finish.
type doctorPage struct {
	*look
	examination

	about   string // what the report is about, for the title
	options doctor.Options
	table   *draw.Table[doctor.Result]
	all     bool // checks that passed are shown as well

	stop    context.CancelFunc // ends the examination under way
	stopped bool               // the examination was broken off
	arrived *arrivals          // the results of that examination that the page has not taken yet
	order   []string           // ids of the checks, in the order of the path
	results []doctor.Result
	report  *doctor.Report // the finished report; nil while the examination is under way
}

// arrivals holds results on their way from an examination, which has a goroutine of its own, to the event loop.
type arrivals struct {
	mu      sync.Mutex
	results []doctor.Result
}

func (a *arrivals) add(r doctor.Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results = append(a.results, r)
}

func (a *arrivals) take() []doctor.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.results
	a.results = nil
	return taken
}

// examination is what the doctor is to look at, and from where.
type examination struct {
	ctx       context.Context //nolint:containedctx // the context of the run, as bubbletea gives commands none
	under     *sync.WaitGroup // counts examinations under way: the end of the program waits until they have terminated their sessions
	place     *place
	query     aws.Query
	remote    tunnel.Endpoint
	dynamic   *tunnel.Dynamic       // set for a tunnel to any host; nil for one to remote
	probe     *url.URL              // a URL to reach as well; nil for none
	roots     func() *x509.CertPool // the authorities for the probe's certificate; nil: the system's
	linkLocal bool
	relay     tunnel.RelayMode // as for the engine
	build     string           // as for the engine
}

// far is the spec of a tunnel to what is examined.
func (e examination) far() tunnel.Spec { return tunnel.Spec{Remote: e.remote, Dynamic: e.dynamic} }

// same reports whether two examinations examine the same.
func (e examination) same(other examination) bool {
	return e.place == other.place && e.query == other.query && e.remote == other.remote && (e.dynamic == nil) == (other.dynamic == nil) && e.probed() == other.probed()
}

// probed is the probe as text; empty without a probe.
func (e examination) probed() string {
	if e.probe == nil {
		return ""
	}
	return e.probe.String()
}

// subject names what is examined; without a target that is the way into the account.
func (e examination) subject() string {
	q := e.query
	about := strings.TrimPrefix(q.Target().String(), "/")
	if strings.Trim(about, "/") == "" {
		about = "the sign-in of profile " + e.place.profileName()
		if region := e.place.regionName(); region != "" {
			about += " in " + region
		}
		return say.Line(about)
	}
	return say.Line(about) + " → " + say.Line(e.far().FarEnd())
}

func newDoctor(l *look, e examination) *doctorPage {
	client, q := e.place.client, e.query
	d := &doctorPage{look: l, examination: e, about: e.subject()}
	if e.probe != nil {
		d.about += " → " + say.Line(e.probed())
	}
	d.options = doctor.Options{
		Query: q, Spec: e.far(), AllowLinkLocal: e.linkLocal, Relay: e.relay, Build: e.build,
		Connect: func(ctx context.Context) (*aws.Client, error) {
			if client != nil {
				return client, nil
			}
			return e.place.dial(ctx)
		},
	}
	if e.probe != nil {
		d.options.Probes = []*url.URL{e.probe}
	}
	if e.remote.Host == "" && e.dynamic == nil {
		d.options.Query.Port = e.remote.Port
	}
	for _, c := range doctor.Checks(d.options) {
		d.order = append(d.order, c.ID)
	}
	t := l.theme
	d.table = draw.NewTable(t, l.keys.table(), func(r doctor.Result) string { return r.Check },
		draw.Column[doctor.Result]{Title: "VERDICT", Least: 9, Most: 9, Text: d.verdict, Ink: d.ink},
		draw.Column[doctor.Result]{Title: "CHECK", Least: 11, Most: 11, Text: func(r doctor.Result) string { return r.Check }},
		draw.Column[doctor.Result]{Title: "", Least: 20, Grow: true, Text: line, Ink: func(r doctor.Result) draw.Ink {
			if r.Finding.Verdict == doctor.Skipped {
				return t.Muted
			}
			return t.Text
		}},
	)
	return d
}

// examine begins an examination anew: with all checks, or with only some and those that they need.
func (d *doctorPage) examine(only ...string) wish {
	d.cancel()
	options := d.options
	options.Only = only
	if d.roots != nil && d.place.client != nil { // the embedded account has its authorities only when it is connected
		options.Roots = d.roots()
	}
	again := map[string]bool{}
	for _, c := range doctor.Checks(options) {
		again[c.ID] = true
	}
	d.results = slices.DeleteFunc(d.results, func(r doctor.Result) bool { return again[r.Check] })
	d.report = nil
	d.fill()
	ctx, stop := context.WithCancel(d.ctx)
	arrived := &arrivals{}
	d.stop, d.arrived, d.stopped = stop, arrived, false
	d.under.Add(1)
	return all(hurry(), beside(func() tea.Msg {
		defer d.under.Done()
		report := doctor.Run(ctx, options, arrived.add)
		return then(func() wish {
			stop()
			if d.arrived == arrived { // else another examination was begun meanwhile
				d.tick()
				report.Results = slices.Clone(d.results) // with the results of checks that were not run again
				d.done(&report)
			}
			return nil
		})
	}))
}

// done takes the finished report, and puts the cursor on the first failure.
func (d *doctorPage) done(report *doctor.Report) {
	d.report = report
	d.fill()
	if first := report.First(); first != nil {
		d.table.MoveTo(first.Check)
	}
}

// cancel ends an examination under way.
func (d *doctorPage) cancel() {
	if d.stop != nil {
		d.stop()
	}
	d.stopped = d.report == nil
}

// finished reports whether there is a report that was not broken off.
func (d *doctorPage) finished() bool { return d.report != nil && !d.stopped }

func (d *doctorPage) busy() bool { return d.report == nil }

// tick takes the results that have arrived.
func (d *doctorPage) tick() {
	fresh := d.arrived.take()
	if len(fresh) == 0 {
		return
	}
	d.results = append(d.results, fresh...)
	slices.SortFunc(d.results, func(a, b doctor.Result) int {
		return slices.Index(d.order, a.Check) - slices.Index(d.order, b.Check)
	})
	d.fill()
}

// fill fills the table: with all checks while the doctor is examining, then with those that did not pass, unless all are wanted.
func (d *doctorPage) fill() {
	var rows []doctor.Result
	for _, r := range d.results {
		v := r.Finding.Verdict
		if d.all || d.report == nil || v == doctor.Fail || v == doctor.Warn || (v == doctor.Skipped && r.Finding.Err != nil) {
			rows = append(rows, r)
		}
	}
	d.table.Set(rows)
}

func (d *doctorPage) verdict(r doctor.Result) string {
	g := d.theme.Glyph
	mark := map[doctor.Verdict]string{doctor.Pass: g.On, doctor.Warn: g.Half, doctor.Fail: g.Off, doctor.Skipped: g.None}[r.Finding.Verdict]
	return mark + " " + r.Finding.Verdict.String()
}

func (d *doctorPage) ink(r doctor.Result) draw.Ink {
	t := d.theme
	switch r.Finding.Verdict {
	case doctor.Pass:
		return t.Good
	case doctor.Warn:
		return t.Busy
	case doctor.Fail:
		return t.Bad
	case doctor.Skipped:
	}
	return t.Muted
}

// line is the outcome of a check on one line.
func line(r doctor.Result) string {
	switch f := r.Finding; f.Verdict {
	case doctor.Fail, doctor.Warn:
		return say.Line(f.Err.Error())
	case doctor.Skipped:
		return r.Name + ": not checked, " + say.Line(f.Why)
	case doctor.Pass:
	}
	return r.Name
}

// recently is how old a report may be before its age is shown.
const recently = 5 * time.Second

// title begins with the verdict, as what is examined may be too long for the frame.
func (d *doctorPage) title() string {
	t := d.theme
	verdict := t.Good.Paint("nothing fails")
	switch first := d.first(); {
	case d.report == nil:
		verdict = t.Busy.Paint(fmt.Sprintf("%s looking, %d of %d", d.spinner(), len(d.results), len(d.order)))
	case first != nil:
		verdict = t.Bad.Paint(strings.TrimSpace("fails at " + first.Check + " " + first.Cause))
	}
	age := ""
	if d.report != nil {
		if old := d.now.Sub(d.report.At.Add(d.report.Took)); old >= recently {
			age = t.Muted.Paint(" " + say.Age(old) + " ago")
		}
	}
	return t.Strong.Paint("Doctor") + "  " + verdict + age + "  " + t.Accent.Paint(d.about)
}

func (d *doctorPage) first() *doctor.Result {
	if d.report == nil {
		return nil
	}
	return d.report.First()
}

func (d *doctorPage) foot() string { return d.table.Counted("check") }

func (d *doctorPage) help() []draw.Binding {
	k := d.keys
	view := k.view.As("show all")
	if d.all {
		view = k.view.As("show less")
	}
	shown := []draw.Binding{k.copy.As("copy remedy"), k.refresh.As("all again"), k.doctor.As("with a URL")}
	if _, failed := d.failed(); failed {
		shown = append(shown, k.in.As("this again"))
	}
	return append(shown, view, k.filter, k.back)
}

func (d *doctorPage) update(msg tea.Msg) (wish, bool) {
	if d.table.Update(msg) {
		return nil, true
	}
	k, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return nil, false
	}
	keys := d.keys
	switch {
	case keys.refresh.Pressed(k):
		return d.examine(), true
	case keys.doctor.Pressed(k):
		return askProbe(d.place, d.query, d.far(), d.probed()), true
	case keys.in.Pressed(k):
		return d.again(), true
	case keys.view.Pressed(k):
		d.all = !d.all
		d.fill()
	case keys.copy.Pressed(k):
		return d.copy(), true
	case keys.back.Pressed(k):
		d.cancel()
		return nil, false
	default:
		return nil, false
	}
	return nil, true
}

// failed returns the check under the cursor if it can be run again by itself: when the examination is over, and the check has not
// passed.
func (d *doctorPage) failed() (doctor.Result, bool) {
	r, under := d.table.Row()
	return r, under && d.report != nil && r.Finding.Verdict != doctor.Pass
}

// again runs the check under the cursor anew, with those that it needs and those that it hides.
func (d *doctorPage) again() wish {
	r, failed := d.failed()
	if !failed {
		return tell("only a check that has not passed can be run again by itself; " + d.keys.refresh.Shortest() + " runs all of them")
	}
	only := []string{r.Check}
	for _, behind := range d.results {
		if behind.HiddenBy == r.Check {
			only = append(only, behind.Check)
		}
	}
	return d.examine(only...)
}

// failing returns the error of the check under the cursor.
func (d *doctorPage) failing() []error {
	r, under := d.table.Row()
	if !under || r.Finding.Err == nil || r.Finding.Verdict == doctor.Pass {
		return nil
	}
	return []error{r.Finding.Err}
}

// copy copies the remedy of the check under the cursor.
func (d *doctorPage) copy() wish {
	r, under := d.table.Row()
	if !under || r.Remedy() == "" {
		return tell("there is no remedy to copy: nothing is wrong here")
	}
	return copied("the remedy", say.Line(r.Remedy()))
}

func (d *doctorPage) draw(w, h int, focused bool) []string {
	t := d.theme
	below := d.below(w, max(h/2, h-1-d.table.Shown()))
	room := h - len(below)
	if d.table.Len() == 0 {
		text := "looking"
		if d.report != nil {
			text = fmt.Sprintf("all is well: %d checks; %s shows them", len(d.results), d.keys.view.Shortest())
		}
		return append(t.Fill([]string{" " + t.Muted.Paint(text)}, w, room), below...)
	}
	return append(t.Fill(d.table.Draw(w, room, focused), w, room), below...)
}

// below returns the lines about the check under the cursor: what was seen, what is wrong, what to do.
func (d *doctorPage) below(w, most int) []string {
	r, ok := d.table.Row()
	if !ok {
		return nil
	}
	t := d.theme
	lines := []string{t.Border.Paint(strings.Repeat(t.Glyph.Thin.Across, max(w, 0)))}
	add := func(colour draw.Ink, mark, text string) {
		for _, part := range draw.Wrap(say.Line(text), w-5) {
			lines = append(lines, " "+colour.Paint(mark+" "+part))
			mark = " "
		}
	}
	if len(r.Finding.Evidence) > 0 && most > shortAdvice+3 {
		add(t.Muted, t.Glyph.Dot, "seen: "+strings.Join(r.Finding.Evidence, "; "))
	}
	if r.Finding.Err != nil && r.Finding.Verdict != doctor.Pass {
		lines = append(lines, d.problem(&whole{strings.TrimPrefix(r.Cause+" "+r.Finding.Err.Error(), " "), r.Remedy()}, w, max(most-len(lines)-2, 1))...)
	} else if r.Finding.Why != "" {
		add(t.Muted, t.Glyph.None, r.Finding.Why)
	}
	if len(lines) == 1 {
		return nil
	}
	return draw.First(lines, max(most, 2))
}
