package headless

import (
	"cmp"
	"context"
	"errors"
	"time"

	"culvert/internal/say"
	"culvert/ui/control"
)

// Holding is how a run goes on in the background.
type Holding struct {
	Dir    control.Dir
	Record control.Record   // of this process, in Dir already
	Parent *control.Process // whose end is the run's end; nil is nobody's
	For    time.Duration    // after which it ends; 0 is never
}

// What ends a run that nobody stops.
var (
	errParentGone = errors.New("the process that the tunnels were for has ended (--parent)")
	errTimeOver   = errors.New("the time of the tunnels is over (--for)")
	errDown       = errors.New("culvert down")
)

// parentPoll is how often a process is looked at that the tunnels are for.
const parentPoll = 500 * time.Millisecond

// Hold is Run with a socket on which other processes ask how it is and end it. It returns how the set was last; Ended of
// that says why it ended, unless it was told to by such a process.
func Hold(ctx context.Context, o Options, h Holding) (control.Set, error) {
	o.Board = &Board{}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	server, err := h.serve(ctx, boards{o.Board}, stop)
	if err != nil {
		return h.set(boards{o.Board}), errors.Join(err, o.Engine.Close(ctx))
	}
	defer server.Close()
	if h.For > 0 {
		timer := time.AfterFunc(h.For, func() { stop(errTimeOver) })
		defer timer.Stop()
	}
	watching, unwatch := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		h.watchParent(watching, stop)
	}()
	defer func() {
		unwatch()
		<-watched
	}()
	return h.last(ctx, boards{o.Board}, Run(ctx, o))
}

// last is how the set was at its end, which came with err.
func (h Holding) last(ctx context.Context, all boards, err error) (control.Set, error) {
	last := h.set(all)
	if why := cmp.Or(err, context.Cause(ctx)); why != nil && !errors.Is(why, errDown) {
		last.Ended = &control.End{At: time.Now(), Reason: say.Line(why.Error())}
	}
	return last, err
}

// serve answers those who ask for the runs behind boards, or end them.
func (h Holding) serve(ctx context.Context, all boards, stop context.CancelCauseFunc) (*control.Server, error) {
	return control.Serve(ctx, h.Dir.Socket(h.Record.Name), control.Holder{
		Status: func() control.Set { return h.set(all) },
		Detail: all.detail, Destination: all.destination, EndDestination: all.endDestination,
		Stop: func() { stop(errDown) },
	})
}

// set is what the boards show, with what the record knows.
func (h Holding) set(all boards) control.Set {
	s := all.set()
	s.Name, s.PID, s.Since = h.Record.Name, h.Record.Process.PID, h.Record.Since
	s.Log, s.Request = h.Record.Log, h.Record.Request
	if s.State == "" {
		s.State = control.Starting
	}
	return s
}

func (h Holding) watchParent(ctx context.Context, stop context.CancelCauseFunc) {
	if h.Parent == nil {
		return
	}
	ticks := time.NewTicker(parentPoll)
	defer ticks.Stop()
	for h.Parent.Alive() {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
	stop(errParentGone)
}
