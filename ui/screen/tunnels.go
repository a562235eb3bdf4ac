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

// lingerClosed is how long the row of a tunnel that was stopped stays.
const lingerClosed = 10 * time.Second

// tunnels holds the tunnels of every place, and does what the user wants done to them. It knows none of the pages that show them.
type tunnels struct {
	look      *look
	accounts  *accounts
	readOnly  bool
	demo      bool   // the account is the embedded one
	proxyUser string // the user for proxies at the far ends, unless a saved tunnel names another
	saved     *Saved
	clock     func() time.Time
	prove     func(ctx context.Context, t *tunnel.Tunnel, probe, user string) (by string, err error) // nil: an open session is enough
	up        control.Dir                                                                            // where what culvert up holds is found
	start     []Start                                                                                // tunnels that are wanted from the start and not opened yet
	changed   func()                                                                                 // called when rows have changed
	errand    func(aws.Order, *aws.Client) Errand                                                    // nil: nothing is started

	rows    []*row         // the rows in sight, oldest first
	known   map[*place]int // how many tunnels of each place's engine have a row
	count   int            // how many rows there have been
	proofs  map[*tunnel.Tunnel]proof
	undos   []undo    // the last stop comes last
	errands []*errand // errands that have not ended
	last    happening

	asking  bool // the holders of tunnels in the background are being asked
	askNext time.Time
}

// row is a tunnel, and what the screen remembers of it.
type row struct {
	reading

	number int // the number of the row, over all places
	place  *place
	tunnel *tunnel.Tunnel // nil for a tunnel that another process holds
	holder *holder        // that other process; nil for a tunnel of this one
	meter  meter
	hosts  tally

	probe   string         // how the tunnel is proved, as --probe takes it
	user    string         // the user for the proxy at its far end; empty for none
	query   *aws.Query     // finds its container before it is opened; nil when Spec names the container
	opening bool           // the tunnel is over, and being opened anew
	worked  bool           // the tunnel has been open
	told    tunnel.State   // the last state that turned was called with
	asked   bool           // the tunnel was told to reconnect, and is not open again yet
	lost    time.Time      // when the tunnel was lost, without having been told to end; zero while it is not
	order   *onDemand      // what is started for the tunnel; nil for nothing
	errand  *errand        // the errand that has started that; nil while there is none
	noted   *recent.Tunnel // what the memory of used tunnels has written down of it; nil before memory.opened
}

func newTunnels(l *look, at *accounts, saved *Saved, o Options) *tunnels {
	return &tunnels{
		look: l, accounts: at, readOnly: o.ReadOnly, demo: o.Demo, proxyUser: o.ProxyUser, saved: saved, clock: o.Now, prove: o.Prove, up: o.Up, start: o.Start, errand: o.Errand, changed: func() {},
		known: map[*place]int{}, proofs: map[*tunnel.Tunnel]proof{},
	}
}

// follow takes the events of a place's engine, and the ends of its connections, as long as the engine lives.
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

// gather waits for the end of a connection and collects further ones for a moment, as every message draws the whole screen: so
// they do not come more often than the screen is drawn by itself. It returns nil when the engine is closed.
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

// row returns the row of a tunnel; nil when there is none.
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

// event handles an event of a tunnel.
func (ts *tunnels) event(at *place, e tunnel.Event) wish {
	if e.Destination != nil {
		return nil // an event of a destination of a tunnel to any host
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

// discover adds rows for the tunnels that a place's engine has opened since.
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

// tick reads every tunnel of this process anew, and asks holders for theirs.
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
		r.Since = now // the event for the new state has not come yet
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

// fact is a fact about a tunnel in words, and the column that shows it as well.
type fact struct{ text, column string }

func (ts *tunnels) facts(r *row) []fact {
	now := ts.look.now
	if r.State.Final() {
		return []fact{{text: r.State.String() + " " + say.Age(now.Sub(r.Since)) + " ago"}}
	}
	var facts []fact
	if by := r.heldBy(); by != "" { // first, as it says what stopping the tunnel means
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

// account returns the profile and region of a tunnel; for one that another process holds only those that its entry names.
func (r *row) account() (profile, region string) {
	if r.holder != nil {
		return r.holder.profile, r.holder.region
	}
	return r.place.profileName(), r.place.regionName()
}

// elsewhere names the account of a tunnel, if that is another one than the user looks at; else empty.
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
