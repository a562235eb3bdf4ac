package headless

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

// Account is an AWS account that forwards lead to. Forwards to the same account share one *Account; what goes wrong in one
// account leaves the tunnels to the others alone.
type Account struct {
	// Connect opens the account. It is called once.
	Connect func(context.Context) (*aws.Client, error)
}

// group are the forwards of one account.
type group struct {
	account  *Account
	forwards []int // indexes in Options.Forwards
}

// found is what was looked up for a group: its targets, or the error why there are none.
type found struct {
	group

	client  *aws.Client
	whole   []Forward // the forwards of the group, with the destinations that their names (--to) mean
	targets []aws.Target
	started bool // the task was started for this run alone
	err     error
}

// groups are the forwards by their accounts, in the order in which those first appear.
func (r *run) groups() []group {
	var all []group
	for i, f := range r.Forwards {
		at := slices.IndexFunc(all, func(g group) bool { return g.account == f.Account })
		if at < 0 {
			at = len(all)
			all = append(all, group{account: f.Account})
		}
		all[at].forwards = append(all[at].forwards, i)
	}
	return all
}

// absent is a forward that no tunnel could be opened for.
type absent struct {
	id      tunnel.ID
	forward Forward
	err     error
}

// asked is the local address at which a forward was to listen; empty when its spec names neither a socket nor a port.
func asked(s tunnel.Spec) string {
	switch {
	case s.Socket != "":
		return s.Socket
	case s.Local.IsValid():
		return s.Local.String()
	case s.Local.Port() != 0:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), s.Local.Port()).String()
	}
	return ""
}

// miss records that the forwards of an account cannot be opened. It returns the error, which ends the run, unless another
// account has tunnels that are ready or may become so.
func (r *run) miss(g group, err error) error {
	if !r.hope(g.account) {
		return err
	}
	for _, i := range g.forwards {
		a := absent{id: r.ids[i], forward: r.Forwards[i], err: err}
		r.absent = append(r.absent, a)
		r.Board.unopened(a)
		for _, e := range absentEvents(a) {
			r.printer.event(e)
		}
	}
	r.settle()
	return nil
}

// hope reports whether an account other than beside has a tunnel that is ready, or may still get one.
func (r *run) hope(beside *Account) bool {
	return slices.ContainsFunc(r.pending, func(a *Account) bool { return a != beside }) ||
		slices.ContainsFunc(r.tunnels, func(t *tracked) bool { return t.forward.Account != beside && t.lost == nil && !t.late })
}

// late marks the tunnels that are not ready when the time for it (Options.Wait) is over. It returns the error of the first of
// them, which ends the run, unless another account has tunnels that are ready or may become so.
func (r *run) late() error {
	var first error
	for _, t := range r.tunnels {
		if t.ready || t.lost != nil {
			continue
		}
		if !t.late { // else it has its error already
			if t.trouble == nil {
				t.trouble = t.Obstacle()
			}
			t.trouble = &UnreadyError{Forward: t.Spec().FarEnd(), Wait: r.Wait, Err: t.trouble}
			r.Board.late(t.ID(), t.trouble)
		}
		t.late = true
		if first == nil {
			first = t.trouble
		}
	}
	for _, t := range r.tunnels {
		if t.late && !r.hope(t.forward.Account) {
			return first
		}
	}
	r.settle()
	return nil
}

// settle posts that the run has come up, and calls Options.Ready, once no account and no tunnel is waited for any more.
func (r *run) settle() {
	if len(r.pending) > 0 || r.unready() != nil {
		return
	}
	r.Board.settled(r.whole(), time.Since(r.started))
	if r.Ready != nil {
		r.Ready(r.Engine.Tunnels())
	}
	r.Ready = nil
}

// whole reports whether every forward has a tunnel that is ready, or was ready once.
func (r *run) whole() bool {
	return len(r.pending)+len(r.absent) == 0 && !slices.ContainsFunc(r.tunnels, func(t *tracked) bool { return !t.ready })
}

// notFound picks the error to report among those of a group's forwards: the first that is neither a cancellation nor a timeout,
// else a timeout, else nil.
func (r *run) notFound(g group, errs []error) error {
	var late error
	for i, err := range errs {
		switch {
		case err == nil, errors.Is(err, context.Canceled):
		case errors.Is(err, context.DeadlineExceeded):
			late = &UnreadyError{Forward: r.Forwards[g.forwards[i]].Spec.FarEnd(), Wait: r.Wait, Err: err}
		default:
			return err
		}
	}
	return late
}
