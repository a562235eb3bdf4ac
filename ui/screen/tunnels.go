package screen

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
	"culvert/ui/recent"
)

// lingerClosed is how long a tunnel that was stopped stays in sight.
const lingerClosed = 10 * time.Second

// tunnels are those of every place, with what can be done to them. They know no page that shows them.
type tunnels struct {
	look      *look
	accounts  *accounts
	readOnly  bool
	demo      bool   // the account is the embedded one
	proxyUser string // whom proxies at the far ends are asked as, unless a saved tunnel says it
	saved     *Saved
	clock     func() time.Time
	prove     func(ctx context.Context, t *tunnel.Tunnel, probe, user string) (by string, err error) // nil: an open session is enough
	up        control.Dir                                                                            // where what culvert up holds is found
	start     []Start                                                                                // wanted from the beginning and not opened yet
	changed   func()                                                                                 // called when rows have changed
	errand    func(aws.Order, *aws.Client) Errand                                                    // nil: nothing is started

	rows    []*row         // those in sight, oldest first
	known   map[*place]int // tunnels of an engine that were seen
	count   int            // rows so far
	proofs  map[*tunnel.Tunnel]proof
	undos   []undo    // the last stop comes last
	errands []*errand // that were sent and are not at their end
	last    happening

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

	probe   string         // how it is proved, as --probe takes it
	user    string         // whom the proxy at its far end is asked as; empty is nobody
	query   *aws.Query     // its container is looked up with this before it is opened; nil: Spec names it
	opening bool           // it is over, and being opened anew
	worked  bool           // it has been open
	asked   bool           // it has been told to reconnect, and is not open again yet
	lost    time.Time      // since when it is, without having been told to; zero while it is not
	order   *onDemand      // what is started for it; nil: its target is there
	errand  *errand        // that has started it; nil while none is
	noted   *recent.Tunnel // what stands of it in the memory of tunnels that were used; nil: it has not been there yet
}

func newTunnels(l *look, at *accounts, saved *Saved, o Options) *tunnels {
	return &tunnels{
		look: l, accounts: at, readOnly: o.ReadOnly, demo: o.Demo, proxyUser: o.ProxyUser, saved: saved, clock: o.Now, prove: o.Prove, up: o.Up, start: o.Start, errand: o.Errand, changed: func() {},
		known: map[*place]int{}, proofs: map[*tunnel.Tunnel]proof{},
	}
}

// follow takes the changes of state of a place's engine and the ends of its connections, for as long as the engine lives.
func (ts *tunnels) follow(at *place) tea.Cmd {
	events, endings := at.engine.Watch(ts.accounts.ctx), at.engine.Endings(ts.accounts.ctx)
	var states, ends tea.Cmd
	states = func() tea.Msg {
		e, more := <-events
		if !more {
			return nil
		}
		return then(func() wish { return all(beside(states), ts.event(at, e)) })
	}
	ends = func() tea.Msg {
		batch := gather(endings)
		if batch == nil {
			return nil
		}
		return then(func() wish { ts.ended(at, batch); return beside(ends) })
	}
	return tea.Batch(states, ends)
}

// gather waits for the end of a connection and collects more of them for a moment, as every message draws the whole screen: they
// come no more often than it is drawn by itself. It returns nil when there are no more.
func gather(endings <-chan tunnel.Ending) []tunnel.Ending {
	e, more := <-endings
	if !more {
		return nil
	}
	batch := []tunnel.Ending{e}
	for over := time.After(lively); ; {
		select {
		case e, more := <-endings:
			if !more {
				return batch
			}
			batch = append(batch, e)
		case <-over:
			return batch
		}
	}
}

// row finds the row of a tunnel, nil when there is none.
func (ts *tunnels) row(at *place, id tunnel.ID) *row {
	i := slices.IndexFunc(ts.rows, func(r *row) bool { return r.place == at && r.ID == id })
	if i < 0 {
		return nil
	}
	return ts.rows[i]
}

// ended counts connections that have ended.
func (ts *tunnels) ended(at *place, batch []tunnel.Ending) {
	ts.discover(at)
	for _, e := range batch {
		if r := ts.row(at, e.Tunnel); r != nil {
			r.hosts.end(e.Connection)
			r.hosts.miss(e.Missed)
		}
	}
}

// event takes a step in the life of a tunnel.
func (ts *tunnels) event(at *place, e tunnel.Event) wish {
	if e.Destination != nil {
		return nil // of a part of a dynamic tunnel
	}
	ts.discover(at)
	r := ts.row(at, e.Tunnel)
	if r == nil {
		return nil
	}
	if e.State != r.State || r.Since.IsZero() {
		r.Since = e.At
	}
	r.State, r.Err, r.Link = e.State, e.Err, e.Link
	ts.changed()
	return ts.turned(r, e.At)
}

// discover adds the tunnels that an engine has opened since.
func (ts *tunnels) discover(at *place) {
	if at.engine == nil {
		return
	}
	all := at.engine.Tunnels()
	for _, t := range all[ts.known[at]:] {
		now := ts.clock()
		r := &row{reading: read(t), place: at, tunnel: t}
		r.Opened, r.Since = now, now
		ts.add(r)
	}
	ts.known[at] = len(all)
}

func (ts *tunnels) add(r *row) {
	r.number = ts.next()
	ts.rows = append(ts.rows, r)
}

// tick pulls the numbers of every tunnel.
func (ts *tunnels) tick() wish {
	for _, at := range ts.accounts.places {
		ts.discover(at)
	}
	now := ts.look.now
	for _, r := range ts.rows {
		r.look(now)
		r.meter.observe(now, r.Stats.Sent, r.Stats.Received)
	}
	ts.rows = slices.DeleteFunc(ts.rows, func(r *row) bool {
		return r.State == tunnel.Closed && now.Sub(r.Since) > lingerClosed && !r.opening
	})
	ts.changed()
	return all(ts.settle(), ts.askHeld())
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
func (ts *tunnels) open() int {
	n := 0
	for _, r := range ts.rows {
		if r.holder == nil && !r.State.Final() {
			n++
		}
	}
	return n
}

// fact is a figure of a tunnel in words, with the column that has it as well.
type fact struct{ text, column string }

func (ts *tunnels) facts(r *row) []fact {
	now := ts.look.now
	if r.State.Final() {
		return []fact{{text: r.State.String() + " " + say.Age(now.Sub(r.Since)) + " ago"}}
	}
	var facts []fact
	if by := r.heldBy(); by != "" { // before all else, as it says what stopping it means
		facts = append(facts, fact{"held by culvert " + by, "HELD BY"})
	}
	if o := r.order; o != nil && o.Definition != "" {
		facts = append(facts, fact{"its task ends with it", ""})
	} else if o != nil {
		facts = append(facts, fact{"its service is scaled down with it", ""})
	}
	facts = append(facts, fact{"up " + say.Age(now.Sub(r.Opened)), "AGE"}, fact{plural(r.Stats.Connections, "connection"), "CONNS"})
	if trip := say.Trip(r.Stats.RoundTrip); trip != "" {
		facts = append(facts, fact{"round trip " + trip, "TRIP"})
	}
	facts = append(facts, fact{say.Count(r.Stats.Resent) + " resent", "RESENT"}, fact{retries(r.Stats.Retries), "RETRIES"})
	if size := r.Stats.MessageSize; size > tunnel.DefaultMessageSize {
		facts = append(facts, fact{fmt.Sprintf("messages of %d bytes", size), ""})
	}
	if in := ts.elsewhere(r); in != "" {
		facts = append(facts, fact{in, ""})
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
func (ts *tunnels) elsewhere(r *row) string {
	profile, region := r.account()
	if r.holder == nil && r.place == ts.accounts.here {
		return ""
	}
	return SavedTunnel{Profile: profile, Region: region}.account()
}

func retries(n uint64) string {
	if n == 1 {
		return "1 retry"
	}
	return say.Count(n) + " retries"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// act does what a key does to a tunnel, in the pane and on the page about it alike.
func (ts *tunnels) act(k tea.KeyPressMsg, r *row) (wish, bool) {
	keys := ts.look.keys
	switch {
	case keys.stop.Pressed(k):
		return ts.stop(r), true
	case keys.reconnect.Pressed(k):
		return ts.reconnect(r), true
	case keys.edit.Pressed(k):
		return ts.edit(r), true
	case keys.copy.Pressed(k):
		return ts.copy(r), true
	case keys.doctor.Pressed(k):
		return ts.consult(r), true
	}
	return nil, false
}

func (r *row) id() string { return strconv.Itoa(r.number) }
