package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// hold runs in the process in the background: it opens a set and holds it until it is told to end. Then the record says how the
// set has ended, unless culvert down has ended it.
func (a *app) hold(ctx context.Context, r wantedSet, u *up) error {
	dir := controlDir()
	log, err := headless.OpenLog(dir.Log(r.name))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // there is no other place to report it
	if a.github != nil {
		a.confidant = confidantAt(a.Stdin)
	}
	a.Stdout, a.Stderr, a.github = log, log, nil
	a.shared.output = outputText
	record := r.record(dir)
	if before, err := dir.Read(r.name); err == nil {
		record.Former = before.Former // which up has written
	}
	err = dir.Write(record)
	last := record.Set()
	if err == nil {
		last, err = a.holdOpen(ctx, r, headless.Holding{Dir: dir, Record: record, Parent: r.parent, For: u.during})
	}
	return a.ended(ctx, dir, record, last, err)
}

// ended records how a set of this process has ended: last is its last state, err why it failed, nil when it did not. It removes
// the record of a set that was told to end.
func (a *app) ended(ctx context.Context, dir control.Dir, record control.Record, last control.Set, err error) error {
	if err == nil {
		if last.Ended == nil {
			return dir.Remove(record.Name)
		}
		a.logf("%s %s", record.Name, last.Ended)
		if err := dir.End(record.Name, last, nil); err != nil { // without a record the set must not look like a crash
			return errors.Join(err, dir.Remove(record.Name))
		}
		return nil
	}
	failure := &control.SetError{
		Problem: say.Line(err.Error()),
		Advice:  say.Line(advice(err, "look at "+record.Log)),
		Code:    exitCode(ctx, err),
	}
	a.logf("ended: %s; remedy: %s", failure.Problem, failure.Advice)
	if err := dir.End(record.Name, last, failure); err != nil {
		a.logf("%s", err)
	}
	return &headless.EndError{Name: "up " + record.Name, Code: failure.Code}
}

func (a *app) holdOpen(ctx context.Context, r wantedSet, h headless.Holding) (control.Set, error) {
	acc := &account{}
	defer acc.close()
	base, err := acc.prepare(a) //nolint:contextcheck // the demo lives until it is closed
	if err != nil {
		return h.Record.Set(), err
	}
	if acc.demo != nil {
		a.logf("the certificate of the demo's authority is in %s", acc.demo.certificate)
	}
	acc.openJournal(a)
	if len(h.Record.Former) > 0 {
		acc.beside(ctx, func(ctx context.Context) { a.endRecorded(ctx, h.Record.Former) })
	}
	all := &accounts{app: a, acc: acc, base: base, known: map[control.Account]*headless.Account{}}
	for i := range r.wanted {
		r.wanted[i].Account = all.of(ctx, r.in[i])
	}
	options := a.headlessOptions(acc, r.wanted)
	acc.beside(ctx, func(ctx context.Context) { a.endRuns(ctx, a) })
	options.OnDemand = r.demand
	options.Ready = func([]*tunnel.Tunnel) { a.confidant.leave() }
	return headless.Hold(ctx, options, h)
}

// logTime is the format of the time with which events and lines of the log begin.
const logTime = "2006-01-02T15:04:05.000Z"

// logf writes a line in the form of an event, with the time first.
func (a *app) logf(format string, args ...any) {
	text := say.Line(fmt.Sprintf(format, args...))
	_, _ = fmt.Fprintf(a.Stdout, "%s  %s\n", time.Now().UTC().Format(logTime), text)
}

// runnerHosts are the hosts that the steps of a GitHub job reach without a proxy: those for checkout, caches, artifacts and AWS.
func runnerHosts() []string {
	return []string{
		"github.com", ".github.com", ".githubusercontent.com", "ghcr.io", ".blob.core.windows.net", ".actions.githubusercontent.com",
		".amazonaws.com", ".api.aws",
	}
}

// isAbsent reports whether an error says that nothing is up under a name.
func isAbsent(err error) bool {
	_, absent := errors.AsType[*control.AbsentError](err)
	return absent
}
