package headless

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/control"
)

// Kept is a tunnel that another face has opened and that is to go on in the background.
type Kept struct {
	Tunnel *tunnel.Tunnel
	Engine *tunnel.Engine // the one that has opened the tunnel
	Probe  Probe
	Login  *doctor.Login // for a proxy at its far end that asks for a login; nil when there is none
	// Profile and Region are shown with the tunnel.
	Profile, Region string
	Hosts           []control.Host // to which the connections went that have ended
	Others          control.Host   // the sum of such connections to hosts that are not in Hosts
	Counted         []uint64       // ids of the last connections that Hosts and Others count
	// End stops what was started for this tunnel alone, once all tunnels are closed; nil when nothing was started.
	End func(ctx context.Context, tell func(string)) error
}

// Keep goes on with open tunnels in this process, and serves other processes like Hold. wait waits for the end, by which all
// engines are closed, and returns what Hold returns. o is for all tunnels, but for its Engine. When Keep fails the tunnels are
// left as they are.
func Keep(ctx context.Context, o Options, h Holding, kept []Kept) (wait func() (control.Set, error), err error) {
	ctx, stop := context.WithCancelCause(ctx)
	var runs []Options // one for each engine
	var all boards
	var before tunnel.ID
	for _, k := range kept {
		i := slices.IndexFunc(runs, func(r Options) bool { return r.Engine == k.Engine })
		if i < 0 {
			i = len(runs)
			one := o
			one.Engine, one.Wait, one.Board = k.Engine, math.MaxInt64, &Board{before: before, kept: true}
			runs, all = append(runs, one), append(all, one.Board)
			tunnels := k.Engine.Tunnels() // there may be one more, which is being opened
			before += tunnel.ID(len(tunnels)/100+1) * 100
		}
		runs[i].kept = append(runs[i].kept, k)
	}
	server, err := h.serve(ctx, all, stop)
	if err != nil {
		stop(nil)
		return nil, err
	}
	errs := make([]error, len(runs))
	var going sync.WaitGroup
	for i, one := range runs {
		going.Go(func() { errs[i] = Run(ctx, one) })
	}
	return func() (control.Set, error) {
		defer stop(nil)
		going.Wait()
		endKept(ctx, o, kept)
		server.Close()
		return h.last(ctx, all, errors.Join(errs...))
	}, nil
}

// endKept stops what was started for kept tunnels, and warns of what could not be stopped.
func endKept(ctx context.Context, o Options, kept []Kept) {
	n := &notices{out: o.Err}
	var ends sync.WaitGroup
	for _, k := range kept {
		if k.End == nil {
			continue
		}
		ends.Go(func() {
			if err := k.End(ctx, n.say); err != nil {
				n.say("warning: " + WithRemedy(err))
			}
		})
	}
	ends.Wait()
}

// adopt takes over the tunnels that are open already. It fails when all of them are lost.
func (r *run) adopt(probing context.Context) error {
	for _, k := range r.kept {
		if state, _ := k.Tunnel.State(); state != tunnel.Closed { // it was closed meanwhile
			r.take(probing, k)
		}
	}
	if len(r.kept) > 0 && r.allLost() {
		return r.firstLost()
	}
	return nil
}

// take takes over one open tunnel. Its far end is proved again, as this process has to know what to tell `culvert env`.
func (r *run) take(probing context.Context, k Kept) *tracked {
	spec := k.Tunnel.Spec()
	t := &tracked{
		Tunnel: k.Tunnel, target: spec.Target, kept: true,
		forward: Forward{Spec: spec, Probe: k.Probe, Login: k.Login, Profile: k.Profile, Region: k.Region},
	}
	var err error
	if t.state, err = k.Tunnel.State(); t.state == tunnel.Failed {
		t.lost = &LostError{Tunnel: t.ID(), Err: err}
	}
	r.tunnels = append(r.tunnels, t)
	slices.SortFunc(r.tunnels, func(a, b *tracked) int { return cmp.Compare(a.ID(), b.ID()) })
	r.Board.opened(t)
	r.Board.inherit(k)
	r.printer.event(newStateEvent(tunnel.Event{Tunnel: t.ID(), At: r.started, State: t.state, Err: err, Link: t.Link()}, t))
	if t.state == tunnel.Open || t.state == tunnel.Asleep {
		r.startProof(probing, t)
	}
	return t
}

// latecomer takes over a tunnel of a kept engine that was being opened when Keep was called; nil when no such tunnel has that
// id.
func (r *run) latecomer(probing context.Context, id tunnel.ID) *tracked {
	if len(r.kept) == 0 {
		return nil
	}
	for _, t := range r.Engine.Tunnels() {
		if state, _ := t.State(); t.ID() == id && !state.Final() {
			return r.take(probing, Kept{Tunnel: t, Engine: r.Engine})
		}
	}
	return nil
}

// inherit takes over what another face has counted of a tunnel. Connections that have ended since are found among the last ones
// that the tunnel remembers, as their events may have been sent before the run began to watch.
func (b *Board) inherit(k Kept) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.posted {
		if p.tunnel != k.Tunnel {
			continue
		}
		for _, h := range k.Hosts {
			p.hosts[h.Host] = h
		}
		p.trail = k.Others
		p.past = map[uint64]bool{}
		for _, id := range k.Counted {
			p.past[id] = true
		}
		for _, c := range k.Tunnel.Connections() {
			if !c.Ended.IsZero() && !p.past[c.ID] {
				p.past[c.ID] = true
				p.count(&c)
			}
		}
	}
}

// boards are the boards of all runs of one holder.
type boards []*Board

// set is what the boards show together.
func (all boards) set() control.Set {
	if len(all) == 1 {
		return all[0].Set()
	}
	whole := control.Set{Tunnels: []control.Tunnel{}}
	var failed control.Set
	states := map[string]int{}
	for _, b := range all {
		s := b.Set()
		states[cmp.Or(s.State, control.Starting)]++
		if s.State == control.Failed {
			failed = s
		}
		whole.Tunnels, whole.Left, whole.Took = append(whole.Tunnels, s.Tunnels...), append(whole.Left, s.Left...), max(whole.Took, s.Took)
	}
	over := states[control.Failed] + states[control.Ending]
	switch {
	case over == len(all) && failed.State != "":
		whole.State, whole.Error, whole.Remedy = control.Failed, failed.Error, failed.Remedy
	case over == len(all):
		whole.State = control.Ending
	case over+states[control.Partial] > 0:
		whole.State = control.Partial
	case states[control.Starting] > 0:
		whole.State = control.Starting
	default:
		whole.State = control.Ready
	}
	return whole
}

// detail is one tunnel, by its id among the tunnels of all boards.
func (all boards) detail(id int) (control.Detail, bool) {
	return all.about(id, (*Board).Detail)
}

// destination is the connections to one destination of a tunnel, by the tunnel's id among those of all boards.
func (all boards) destination(id int, destination string) (control.Detail, bool) {
	return all.about(id, func(b *Board, id tunnel.ID) (control.Detail, bool) { return b.destination(id, destination) })
}

// endDestination ends one destination of a tunnel.
func (all boards) endDestination(id int, destination string) (ended, found bool) {
	b, at := all.of(id)
	if b == nil {
		return false, false
	}
	return b.endDestination(at, destination)
}

// about asks the board that has the tunnel with an id.
func (all boards) about(id int, ask func(*Board, tunnel.ID) (control.Detail, bool)) (control.Detail, bool) {
	b, at := all.of(id)
	if b == nil {
		return control.Detail{ID: id}, false
	}
	d, found := ask(b, at)
	d.ID = id
	return d, found
}

// of is the board that would have the tunnel of a number, and the number by which that one knows it; nil of a number that no
// tunnel has.
func (all boards) of(id int) (*Board, tunnel.ID) {
	for _, b := range slices.Backward(all) {
		if id > int(b.before) {
			return b, tunnel.ID(id) - b.before
		}
	}
	return nil, 0
}
