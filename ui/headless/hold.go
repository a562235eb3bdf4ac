package headless

import (
	"cmp"
	"context"
	"errors"
	"time"

	"culvert/internal/say"
	"culvert/ui/control"
)

// Holding says how a run goes on in the background.
type Holding struct {
	Dir    control.Dir
	Record control.Record   // describes this process; it is in Dir already
	Parent *control.Process // when this process ends, so does the run; nil when there is none
	For    time.Duration    // how long the run may last; 0 is without limit
}

// The reasons for the end of a run that no signal ended.
var (
	errParentGone = errors.New("the process that the tunnels were for has ended (--parent)")
	errTimeOver   = errors.New("the time of the tunnels is over (--for)")
	errDown       = errors.New("culvert down")
)

// parentPoll is how often Hold looks whether Holding.Parent still runs.
const parentPoll = 500 * time.Millisecond

// Hold is Run with a socket through which other processes ask for the state of the run and end it. It returns the last state of
// the set, whose field Ended says why it ended, unless another process ended it through the socket.
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

// last is the last state of the set; err is what the runs ended with.
func (h Holding) last(ctx context.Context, all boards, err error) (control.Set, error) {
	last := h.set(all)
	if why := cmp.Or(err, context.Cause(ctx)); why != nil && !errors.Is(why, errDown) {
		last.Ended = &control.End{At: time.Now(), Reason: say.Line(why.Error())}
	}
	return last, err
}

// serve answers processes that ask for the runs behind boards, or that end them.
func (h Holding) serve(ctx context.Context, all boards, stop context.CancelCauseFunc) (*control.Server, error) {
	return control.Serve(ctx, h.Dir.Socket(h.Record.Name), control.Holder{
		Status: func() control.Set { return h.set(all) },
		Detail: all.detail, Destination: all.destination, EndDestination: all.endDestination,
		Stop: func() { stop(errDown) },
	})
}

// set is what the boards show, with the name, the process and the log of the record.
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
