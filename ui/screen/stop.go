package screen

import (
	"net/url"
	"slices"
	"time"

	"culvert/aws"
)

// stopWithin is how long the sessions of one tunnel may take to be terminated.
const stopWithin = 10 * time.Second

// stop ends a tunnel; if it has connections, only after a question. The row of a tunnel that is over is removed.
func (ts *tunnels) stop(r *row) wish {
	switch {
	case r.holder != nil:
		return ts.stopHeld(r)
	case r.callOff():
		return tell("calling it off")
	case r.opening:
		return tell("it is being opened")
	case r.State.Final():
		ts.forget(r)
		return nil
	}
	return ts.cut(r, "stop", func() wish { return ts.stopNow(r) })
}

// cut does something that ends the connections of a tunnel, after a question if it has any.
func (ts *tunnels) cut(r *row, doing string, do func() wish) wish {
	switch {
	case ts.readOnly:
		return fail(&ReadOnlyError{})
	case r.Stats.Connections == 0:
		return do()
	}
	return confirm(doing, doing, do, doing+" "+r.local()+"?", plural(r.Stats.Connections, "open connection")+" will be cut.")
}

// reconnect gives a tunnel new sessions; one that is over it opens again.
func (ts *tunnels) reconnect(r *row) wish {
	switch {
	case r.holder != nil:
		return tell("culvert " + r.heldBy() + " holds it and reconnects by itself; stop ends it")
	case r.State.Final():
		return ts.begun(r.again())
	}
	return ts.cut(r, "reconnect", func() wish {
		r.asked = true
		r.tunnel.Reconnect()
		return tell("reconnecting " + r.local())
	})
}

// forget removes a row.
func (ts *tunnels) forget(r *row) {
	ts.rows = slices.DeleteFunc(ts.rows, func(other *row) bool { return other == r })
	ts.changed()
}

// consult has the doctor examine a tunnel: its target, by its service where it has one, and its far end. While the tunnel itself
// has no trouble, something behind the far end may be wrong, so that consult asks for a URL to reach.
func (ts *tunnels) consult(r *row) wish {
	at, q := ts.patient(r)
	if ts.ailment(r) != nil {
		return examine(at, q, r.Spec, nil)
	}
	return askProbe(at, q, r.Spec, "")
}

// consultOn has the doctor examine a tunnel and a host that its clients have asked for.
func (ts *tunnels) consultOn(r *row, host *url.URL) wish {
	at, q := ts.patient(r)
	return examine(at, q, r.Spec, host)
}

// patient returns the place and the query of what is examined of a tunnel.
func (ts *tunnels) patient(r *row) (*place, aws.Query) {
	to := r.Spec.Target
	at := r.place
	switch {
	case r.holder != nil:
		at = ts.accounts.placeOf(SavedTunnel{Profile: r.holder.profile, Region: r.holder.region})
	case at == nil || at.client == nil:
		at = ts.accounts.here
	}
	q := to.Wanted()
	if to.Service == "" && (to.Family == "" || r.Spec.Pinned) {
		q.Task = to.Task
	}
	return at, q
}
