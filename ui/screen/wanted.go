package screen

import (
	"cmp"
	"net/netip"
	"slices"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// wanted is a tunnel that is to be opened, for the first time or again.
type wanted struct {
	place *place
	spec  tunnel.Spec
	query *aws.Query // finds its container; nil when spec names the container
	probe string     // how the tunnel is proved, as --probe takes it
	user  string     // the user for the proxy at its far end; empty for none
	in    *row       // the row that it replaces; nil for none
	count int        // the number of its row, if next has given that out already; 0 for the next number

	order  *onDemand // what is to be started for the tunnel; nil for nothing
	errand *errand   // the errand that has started that; nil before
}

// next gives out the number of a row before its tunnel is open: several that are wanted at once stand in the order in which
// they were wanted, whichever listens first.
func (ts *tunnels) next() int {
	ts.count++
	return ts.count
}

// begun opens a tunnel and has it proved. A tunnel that cannot be opened gets a row all the same, which says why, and can be
// tried again or changed.
func (ts *tunnels) begun(w wanted) wish {
	if w.in == nil {
		w.in = ts.failedBefore(w)
	}
	switch {
	case ts.readOnly:
		return fail(&ReadOnlyError{})
	case w.in != nil && w.in.opening:
		return nil
	case w.in != nil:
		w.in.opening = true
	case w.count == 0:
		w.count = ts.next()
	}
	if w.order != nil {
		return ts.starts(w)
	}
	return beside(func() tea.Msg {
		t, unchecked, err := w.open()
		return then(func() wish {
			if err != nil {
				return ts.unopened(w, err)
			}
			if unchecked != nil {
				return all(ts.opened(w, t), tell(say.Line(unchecked.Error())))
			}
			return ts.opened(w, t)
		})
	})
}

// open looks up the container and a named destination, where that is still to be done, and opens the tunnel. unchecked is what
// could not be checked about the way to the destination.
func (w *wanted) open() (t *tunnel.Tunnel, unchecked, err error) {
	spec := w.spec
	if w.query != nil {
		if spec, unchecked, err = w.place.aimed(spec, *w.query); err != nil {
			return nil, nil, err
		}
	}
	t, err = w.place.openNow(spec)
	return t, unchecked, err
}

// aimed looks up what a spec lacks: its container, and its far end where that is given by name.
func (p *place) aimed(spec tunnel.Spec, q aws.Query) (found tunnel.Spec, unchecked, err error) {
	ctx := p.of.ctx
	if spec.To != "" && spec.Remote == (tunnel.Endpoint{}) {
		aims, err := p.client.Aim(ctx, q, spec.To)
		if err != nil {
			return spec, nil, err
		}
		to := aims[0]
		spec.Remote, q, unchecked = tunnel.Endpoint{Host: to.Host.Host, Port: to.Host.Port}, to.Through, to.Unchecked
	}
	spec.Target, err = p.client.Lookup(ctx, q)
	return spec, unchecked, err
}

// failedBefore returns the row of an earlier try to open the same tunnel, which failed; nil for none.
func (ts *tunnels) failedBefore(w wanted) *row {
	same := func(r *row) bool {
		return r.State == tunnel.Failed && r.holder == nil && r.tunnel == nil && r.place == w.place && lasting(r.Spec) == lasting(w.spec) && r.Spec.To == w.spec.To && r.order.same(w.order) &&
			sameFar(forwardOf(r.Spec, 0), forwardOf(w.spec, 0)) && r.Spec.Local == w.spec.Local && r.Spec.Socket == w.spec.Socket
	}
	if i := slices.IndexFunc(ts.rows, same); i >= 0 {
		return ts.rows[i]
	}
	return nil
}

// unopened shows a row for a tunnel that could not be opened.
func (ts *tunnels) unopened(w wanted, err error) wish {
	r := ts.standIn(w, err)
	return all(pointAt(r), ts.turned(r, r.Since), hurry())
}

// standIn returns the row for a tunnel that is not open, with the reason.
func (ts *tunnels) standIn(w wanted, err error) *row {
	r := w.in
	if r == nil {
		r = &row{}
	}
	now := ts.clock()
	local := netip.AddrPortFrom(w.spec.Local.Addr(), cmp.Or(w.spec.Local.Port(), w.spec.Remote.Port))
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), local.Port())
	}
	number := r.number
	*r = row{
		reading: reading{Spec: w.spec, Local: local, State: tunnel.Failed, Err: err, Opened: now, Since: now},
		place:   w.place, query: w.query, probe: w.probe, user: w.user, order: w.order, number: number,
	}
	ts.seat(r, cmp.Or(number, w.count))
	return r
}

// opened shows the row of a tunnel that has begun to listen, under the cursor, and has the tunnel proved.
func (ts *tunnels) opened(w wanted, t *tunnel.Tunnel) wish {
	ts.proofs[t] = proof{}
	ts.discover(w.place)
	i := slices.IndexFunc(ts.rows, func(r *row) bool { return r.tunnel == t })
	if i < 0 {
		return nil // the tunnel was over before it got a row
	}
	r := ts.rows[i]
	r.probe, r.user = w.probe, w.user
	number := w.count
	if w.in != nil { // the pages about the old row go on with the new tunnel
		fresh := *r
		ts.rows = slices.Delete(ts.rows, i, i+1)
		number, r = w.in.number, w.in
		*r = fresh
	}
	r.order, r.errand = w.order, w.errand
	ts.seat(r, number)
	return all(pointAt(r), hurry(), ts.tryIt(t, w.probe, w.user))
}

// seat puts a row among the others by its number; 0 gives a new row the next number.
func (ts *tunnels) seat(r *row, number int) {
	known := slices.Contains(ts.rows, r)
	switch {
	case number != 0:
		r.number = number
	case !known:
		r.number = ts.next()
	}
	if !known {
		ts.rows = append(ts.rows, r)
	}
	slices.SortStableFunc(ts.rows, func(a, b *row) int { return a.number - b.number })
	ts.changed()
}

// lasting is the target of a tunnel without a particular task: any task of its service or family, as the earlier one may be gone.
func lasting(spec tunnel.Spec) aws.Target {
	to := spec.Target
	if (to.Service != "" || to.Family != "") && !spec.Pinned {
		to.Task, to.RuntimeID = "", ""
	}
	return to
}

// again returns what opens a tunnel that is over anew, on the same local port or socket.
func (r *row) again() wanted {
	spec := r.Spec
	spec.ID = 0
	if spec.Socket == "" && r.tunnel != nil {
		spec.Local = netip.AddrPortFrom(spec.Local.Addr(), r.Local.Port())
	}
	spec.Target = lasting(spec)
	if r.order != nil {
		spec.Target, spec.Pinned = r.order.target(), false // the task that was started for the tunnel is gone
	}
	return wanted{place: r.place, spec: spec, query: r.query, probe: r.probe, user: r.user, in: r, order: r.order}
}

// edit opens the dialog to change a tunnel that is over and to open it again.
func (ts *tunnels) edit(r *row) wish {
	switch {
	case r.holder != nil:
		return tell("culvert " + r.heldBy() + " holds it: what it opens stands in the config file")
	case ts.readOnly:
		return fail(&ReadOnlyError{})
	case !r.State.Final():
		return tell("stop it first, with " + ts.look.keys.stop.Shortest() + ": what is over can be changed and tried again")
	case r.opening:
		return tell("it is being opened")
	case r.unknown():
		return tell("what " + say.Line(r.Spec.To) + " means was not found: there is nothing to change yet")
	}
	return editForward(r)
}
