package headless

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"culvert/aws"
)

// OnDemand starts a task, or scales up a service, that is to run only as long as the tunnels to it. It is used for one call of
// Run.
type OnDemand struct {
	Order aws.Order
	// Note is called with the run before its task is started, and again when more is known about it; Forget is called when the
	// run is over. A run that was noted and never forgotten is looked for by a later culvert. Either may be nil.
	Note   func(aws.Run) error
	Forget func(aws.Run)

	mu      sync.Mutex
	client  *aws.Client // nil as long as there is nothing to end
	run     aws.Run
	err     error              // why RunTask did not start it
	begun   chan struct{}      // closed when RunTask has answered
	abandon context.CancelFunc // ends the call of RunTask
	leave   context.CancelFunc // ends the goroutines of beside
	beside  sync.WaitGroup
}

const (
	// startWithin bounds the calls that start a task. They go on when nobody waits for them any more: a call that is cut off
	// may have started the task all the same.
	startWithin = 30 * time.Second
	// answerWithin is how long end waits for the answer of such a call.
	answerWithin = 3 * time.Second
	// endWithin bounds the calls that stop the task.
	endWithin = 5 * time.Second
)

// begin starts the task and returns its id; empty for a service. The task is not running yet then. The end of ctx ends the
// waiting, not the start: end waits for that, and stops what was started.
func (d *OnDemand) begin(ctx context.Context, client *aws.Client, n *notices) (task string, err error) {
	living, leave := context.WithCancel(context.WithoutCancel(ctx))
	starting, abandon := context.WithTimeout(context.WithoutCancel(ctx), startWithin)
	run := aws.NewRun(d.Order, time.Now())
	begun := make(chan struct{})
	if d.Note != nil {
		if err := d.Note(run); err != nil {
			abandon()
			leave()
			return "", err
		}
	}
	d.mu.Lock()
	d.client, d.run, d.begun, d.abandon, d.leave = client, run, begun, abandon, leave
	d.mu.Unlock()
	n.say("starting " + d.subject())
	go func() {
		defer close(begun)
		started, err := client.Start(starting, d.Order, run)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.run, d.err = started, err
	}()
	select {
	case <-begun:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if run, err = d.result(); err != nil {
		return "", err
	}
	if d.Note != nil {
		if err := d.Note(run); err != nil {
			return "", err
		}
	}
	n.say(limitOf(run))
	if run.Service != "" {
		return "", nil
	}
	d.beside.Go(func() { endExpired(living, client, run, n) })
	d.beside.Go(func() { keepUsing(living, client, run, n) })
	return run.Task, nil
}

// result is what RunTask has answered. It is valid once begun is closed.
func (d *OnDemand) result() (aws.Run, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.run, d.err
}

// subject names what is started.
func (d *OnDemand) subject() string {
	if d.Order.Definition == "" {
		return fmt.Sprintf("service %s in cluster %s", d.Order.Service, d.Order.Cluster)
	}
	return fmt.Sprintf("a task of %s in cluster %s", d.Order.Definition, d.Order.Cluster)
}

// youngFor is how long ECS may not know a task that it has just started, as its answers are only eventually consistent.
const youngFor = 20 * time.Second

// findStarted finds the container of what was started, once the container is ready for a session.
func findStarted(ctx context.Context, c *aws.Client, q aws.Query, n *notices) (aws.Target, error) {
	for begun := time.Now(); ; {
		t, err := find(ctx, c, q, n)
		missing, unknown := errors.AsType[*aws.NotFoundError](err)
		waiting, unready := errors.AsType[*aws.NotReadyError](err)
		// ECS may still describe a service as it was before it was scaled up.
		early := unknown && missing.Kind == "task" || unready && waiting.Cause == aws.CauseScaledToZero
		if !early || time.Since(begun) > youngFor {
			return t, err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return aws.Target{}, &aws.OverdueError{Err: err, Over: ctx.Err()}
		}
	}
}

// limitOf says when a started task ends by itself, even if this process is killed.
func limitOf(run aws.Run) string {
	at := run.Until.Local().Format("15:04:05 MST")
	switch {
	case run.Idle:
		return "service " + run.Service + " runs already: it is left as it is, at the end too"
	case run.Service != "":
		return "service " + run.Service + " wants a task: it is scaled to zero again when its last user leaves; a service has no limit of its own, and a culvert that is killed leaves it until the next"
	case run.Share != "":
		return "task " + run.Task + " is shared: it is stopped when its last user leaves, and ends by itself at " + at + " (--ttl)"
	case run.Unwatched:
		return "task " + run.Task + " is on its way; it has no limit of its own (--no-watchdog): culvert stops it at the end, and one that is killed leaves it until the next culvert"
	}
	return "task " + run.Task + " is on its way; whatever becomes of this process, it ends by itself at " + at + " (--ttl)"
}

// keepUsing tells the other users of a shared task, again and again, that this run still uses it.
func keepUsing(ctx context.Context, client *aws.Client, run aws.Run, n *notices) {
	if run.Share == "" {
		return
	}
	ticks := time.NewTicker(aws.BeatEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if err := client.Beat(ctx, run); err != nil && ctx.Err() == nil {
			n.say("warning: others may stop the task that is shared: " + err.Error())
		}
	}
}

// endExpired stops tasks whose time is over and whose culvert was killed. Nothing depends on it.
func endExpired(ctx context.Context, client *aws.Client, run aws.Run, n *notices) {
	ended, err := client.EndExpired(ctx, run.Cluster, run.Family)
	for _, task := range ended {
		n.say(fmt.Sprintf("an earlier culvert has left task %s, whose time was over: stopped it", task))
	}
	if err != nil && ctx.Err() == nil {
		n.say("warning: tasks that earlier culverts may have left are not looked for: " + err.Error())
	}
}

// end stops the task that was started, or may have been. ctx may be over already.
func (d *OnDemand) end(ctx context.Context, n *notices) error {
	d.mu.Lock()
	client, begun, abandon, leave := d.client, d.begun, d.abandon, d.leave
	d.mu.Unlock()
	if client == nil {
		return nil
	}
	leave()
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	select {
	case <-begun:
	case <-late.C:
	}
	abandon()
	<-begun
	d.beside.Wait()
	run, failure := d.result()
	if aws.NotStarted(failure) {
		d.forget(run)
		return nil
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	ended, err := client.EndRun(ending, run, "culvert: the tunnel is closed")
	if err != nil {
		return err
	}
	for _, what := range ended {
		n.say("stopped " + what)
	}
	// A task of which RunTask has given no answer may still appear: its note is kept for a later culvert.
	if failure == nil || len(ended) > 0 {
		d.forget(run)
	}
	return nil
}

func (d *OnDemand) forget(run aws.Run) {
	if d.Forget != nil {
		d.Forget(run)
	}
}

// over explains the loss of a tunnel by the end of its task's time, when that is the cause.
func (d *OnDemand) over(err error) error {
	if lost, isLost := errors.AsType[*LostError](err); d != nil && isLost && d.isOver() {
		return &TimeOverError{TTL: d.Order.TTL, Err: lost}
	}
	return err
}

// isOver reports whether the task's time is over.
func (d *OnDemand) isOver() bool {
	run, failure := d.result()
	return run.Task != "" && failure == nil && !time.Now().Before(run.Until)
}

// endDemand stops the task of the run, and warns when it cannot.
func (r *run) endDemand(ctx context.Context) {
	if r.OnDemand == nil {
		return
	}
	if err := r.OnDemand.end(ctx, r.notices); err != nil {
		r.regret(err)
	}
}

// TimeOverError means that a tunnel was lost because its task has reached the end of its time.
type TimeOverError struct {
	TTL time.Duration
	Err error
}

func (e *TimeOverError) Error() string {
	return fmt.Sprintf("the task's time of %s is over: %s", e.TTL, e.Err)
}
func (e *TimeOverError) Unwrap() error { return e.Err }

// Remedy is to give the task more time.
func (e *TimeOverError) Remedy() string { return "give it longer with --ttl, up to 12h" }
