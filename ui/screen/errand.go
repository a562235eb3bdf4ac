package screen

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// Errand starts what one tunnel leads to, and stops it at the tunnel's end. Its methods are safe for concurrent use.
type Errand interface {
	// Find starts it and waits until a container there can carry a session, which it returns. It tells what it waits for. It is
	// called once.
	Find(ctx context.Context, client *aws.Client, q aws.Query, tell func(string)) (aws.Target, error)
	// End stops what was started, or may have been, and tells what that was. It may be called again.
	End(ctx context.Context, tell func(string)) error
	// Over returns the error of a lost tunnel; where the tunnel was lost as its task's time was over, an error that says so.
	Over(err error) error
}

// onDemand is what is to be started for a tunnel.
type onDemand struct {
	aws.Order

	container string // the container that the user has chosen; empty: any that serves the port
}

// same reports whether the same is started for two tunnels, or nothing for both.
func (o *onDemand) same(other *onDemand) bool {
	if o == nil || other == nil {
		return o == other
	}
	return o.Cluster == other.Cluster && o.Service == other.Service && o.Definition == other.Definition && o.TTL == other.TTL &&
		o.Share == other.Share && o.container == other.container
}

// target is where the tunnel leads as long as nothing is started.
func (o *onDemand) target() aws.Target {
	return aws.Target{Cluster: o.Cluster, Service: o.Service, Container: o.container, AnyContainer: o.container == ""}
}

// query returns the query for the container in what was started.
func (o *onDemand) query(spec tunnel.Spec) aws.Query {
	q := aws.Query{Cluster: o.Cluster, Service: o.Service, Container: o.container}
	if spec.Remote.Host == "" {
		q.Port = spec.Remote.Port
	}
	return q
}

// mostNews is how many of the lines that an errand has told are kept.
const mostNews = 20

// errand is an Errand under way for a tunnel. Its methods are safe for concurrent use.
type errand struct {
	Errand

	ctx    context.Context //nolint:containedctx // ended to give up waiting for what is started
	giveUp context.CancelFunc

	// Only the event loop touches what follows.
	tunnel   *tunnel.Tunnel // nil before it is open
	ending   bool           // the tunnel is over
	unwanted bool           // the user has called the tunnel off

	mu    sync.Mutex
	news  []string
	n     int           // how many lines were told so far
	begun bool          // something may have been started
	over  bool          // the errand is to end: nothing is started any more
	found chan struct{} // closed when Find has returned
}

// send makes an errand, which begins with open.
func (ts *tunnels) send(o aws.Order, in *place) *errand {
	e := &errand{Errand: ts.errand(o, in.client), found: make(chan struct{})}
	e.ctx, e.giveUp = context.WithCancel(ts.accounts.ctx)
	ts.errands = append(ts.errands, e)
	return e
}

// tell keeps a line that the Errand tells, for the next frame of the screen.
func (e *errand) tell(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n++
	e.news = append(e.news, say.Line(text))
	e.news = e.news[max(len(e.news)-mostNews, 0):]
}

// count is how many lines were told so far.
func (e *errand) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

// told returns the last lines that were told, most of them at the most.
func (e *errand) told(most int) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.news[max(len(e.news)-most, 0):])
}

// open has something started, and opens the tunnel to it.
func (e *errand) open(w wanted) (*tunnel.Tunnel, error) {
	e.mu.Lock()
	if e.over {
		e.mu.Unlock()
		return nil, context.Canceled
	}
	e.begun = true
	e.mu.Unlock()
	spec := w.spec
	found, err := e.Find(e.ctx, w.place.client, w.order.query(spec), e.tell)
	close(e.found)
	if err != nil {
		return nil, err
	}
	// A task that was started for the tunnel has no other that could take its place, one of a service has.
	spec.Target, spec.Pinned = found, w.order.Definition != ""
	return w.place.engine.Open(spec)
}

// end stops what was started, even while open is still under way, and waits until that is done.
func (e *errand) end(ctx context.Context) error {
	e.giveUp()
	e.mu.Lock()
	e.over = true
	begun := e.begun
	e.mu.Unlock()
	if !begun {
		return nil
	}
	<-e.found
	return e.End(ctx, e.tell)
}

// starts opens a tunnel for which something has to be started first. The tunnel's row is there at once, and tells what it waits
// for.
func (ts *tunnels) starts(w wanted) wish {
	e := ts.send(w.order.Order, w.place)
	r := ts.standIn(w, nil)
	r.opening, r.errand = true, e
	w.in, w.errand = r, e
	return all(pointAt(r), hurry(), beside(func() tea.Msg {
		t, err := e.open(w)
		if err == nil {
			return then(func() wish {
				e.tunnel = t
				return ts.opened(w, t)
			})
		}
		failed := e.end(ts.accounts.ctx)
		return then(func() wish {
			ts.dispatched(e)
			switch {
			case failed != nil:
				return all(ts.unopened(w, err), fail(failed))
			case e.unwanted:
				ts.forget(r)
				return tell(strings.Join(append(e.told(1), "nothing is opened"), "; "))
			}
			return ts.unopened(w, err)
		})
	}))
}

// dispatched takes errands out of those that are to be ended.
func (ts *tunnels) dispatched(done ...*errand) {
	ts.errands = slices.DeleteFunc(ts.errands, func(e *errand) bool { return slices.Contains(done, e) })
}

// callOff gives up a tunnel for which something is being started; it reports whether the row is one.
func (r *row) callOff() bool {
	if !r.opening || r.errand == nil {
		return false
	}
	r.errand.unwanted = true
	r.errand.giveUp()
	return true
}

// starting is for how many tunnels something is being started.
func (ts *tunnels) starting() int {
	n := 0
	for _, e := range ts.errands {
		if e.tunnel == nil {
			n++
		}
	}
	return n
}

// settle ends the errands of tunnels that are over.
func (ts *tunnels) settle() wish {
	var wishes []wish
	for _, e := range ts.errands {
		if e.tunnel == nil || e.ending {
			continue
		}
		if state, _ := e.tunnel.State(); !state.Final() {
			continue
		}
		e.ending = true
		wishes = append(wishes, beside(func() tea.Msg {
			before := e.count()
			err := e.end(ts.accounts.ctx)
			return then(func() wish {
				ts.dispatched(e)
				switch {
				case err != nil:
					return fail(err)
				case e.count() == before: // nothing was stopped: others use it, or it had ended by itself
					return nil
				}
				text := strings.Join(e.told(1), "")
				if n := len(ts.undos); n > 0 && ts.clock().Before(ts.undos[n-1].until) {
					text += "; " + ts.look.keys.undo.Shortest() + " opens the tunnel again"
				}
				return tell(text)
			})
		}))
	}
	return all(wishes...)
}

// endErrands ends all errands, also those that are still under way.
func (ts *tunnels) endErrands(ctx context.Context) error {
	failed := make([]error, len(ts.errands))
	var ends sync.WaitGroup
	for i, e := range ts.errands {
		ends.Go(func() { failed[i] = e.end(ctx) })
	}
	ends.Wait()
	return errors.Join(failed...)
}

// waiting returns the lines about what a tunnel waits for while something is started for it.
func (l *look) waiting(r *row, w, most int) []string {
	if !r.opening || r.errand == nil {
		return nil
	}
	var lines []string
	for _, text := range r.errand.told(most) {
		lines = append(lines, cutLines(l.theme, text, w-5, 2)...)
	}
	return marked(l.theme.Busy, l.spinner(), lines)
}
