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

// Account is where forwards lead. Those that lead to the same one share it; what goes wrong in one account leaves the
// tunnels of the others alone.
type Account struct {
	// Connect opens the account. It is called once.
	Connect func(context.Context) (*aws.Client, error)
}

// group are the forwards of one account.
type group struct {
	account  *Account
	forwards []int // in Options.Forwards
}

// found are the targets of a group, or why they cannot be had.
type found struct {
	group

	client  *aws.Client
	whole   []Forward // those of the group, with the destinations that were named
	targets []aws.Target
	started bool // the task is ours alone
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

// asked is where a forward was to listen, as far as that was said.
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

// miss takes note that the forwards of an account cannot be opened. The error ends the run, unless other accounts go on.
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

// hope reports whether a tunnel in another account is ready or may become so.
func (r *run) hope(beside *Account) bool {
	return slices.ContainsFunc(r.pending, func(a *Account) bool { return a != beside }) ||
		slices.ContainsFunc(r.tunnels, func(t *tracked) bool { return t.forward.Account != beside && t.lost == nil && !t.late })
}

// late decides what it means that the time is over.
func (r *run) late() error {
	var first error
	for _, t := range r.tunnels {
		if t.ready || t.lost != nil {
			continue
		}
		if !t.late { // else it was given up before
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

// settle posts how the run has come up, once nothing is waited for any more.
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

// whole reports whether every forward has a tunnel that is ready, or was.
func (r *run) whole() bool {
	return len(r.pending)+len(r.absent) == 0 && !slices.ContainsFunc(r.tunnels, func(t *tracked) bool { return !t.ready })
}

// notFound picks the error to report among those of the finders: not one that only says that it was called off.
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
