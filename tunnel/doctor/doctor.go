// Package doctor walks the whole path from the credentials to a private host and says where it breaks: the first cause,
// with the evidence and a remedy. It only looks; the one thing it opens is a session of its own, which it terminates.
package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// Options say what to examine. Connect and Remote are needed.
type Options struct {
	Connect func(context.Context) (*aws.Client, error)
	Query   aws.Query
	Spec    tunnel.Spec // Remote is looked into; Local and Socket only when somebody asked for them; Target is ignored
	// Probes are looked up behind the remote port when it is a proxy: http:// and https:// URLs. Others are reached by
	// a session of their own: tcp://host:port and tls://host:port, and web URLs where there is no proxy.
	Probes []*url.URL
	Relay  tunnel.RelayMode // as for the engine
	Build  string           // as for the engine
	Login  *Login           // for a proxy at the far end that asks for one
	// AllowLinkLocal lets Spec and Probes name link-local hosts, see tunnel.Endpoint.
	AllowLinkLocal bool
	Roots          *x509.CertPool // of the probes' certificates; nil are the system's
	// Patience is how long a temporary obstacle is waited out and a silent destination is listened to; 0 is 14 s.
	Patience time.Duration
	// Only are ids of the checks that are wanted: they are run, with all that they need, and no others. Empty is all.
	Only []string
	Log  *slog.Logger // nil discards
}

const (
	defaultPatience = 14 * time.Second
	// checkWithin bounds a check, unless patience is longer. One call to AWS that gets no answer takes 12 s.
	checkWithin = 15 * time.Second
)

// Verdict is what a check comes to.
type Verdict int

// The verdicts.
const (
	Pass Verdict = iota
	Warn
	Skipped
	Fail
)

// String returns the word of the output.
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "pass"
	case Warn:
		return "warn"
	case Skipped:
		return "skipped"
	case Fail:
		return "fail"
	}
	return "unknown"
}

// Check is one thing that must hold for a private host to be reached.
type Check struct {
	ID     string   // never changes
	Name   string   // what holds when it passes
	After  []string // checks that it builds on: when one of them fails, it is hidden
	Behind []string // checks that it waits for, whatever they come to
	Lasts  bool     // it is bounded by what it waits for, several times Options.Patience
	Causes []Cause  // what it can find
	Run    func(context.Context) Finding
}

// Cause is something that keeps people from a private host, as the documentation lists it.
type Cause struct{ ID, Symptom, Remedy string }

// Finding is what a check has seen.
type Finding struct {
	Verdict  Verdict
	Evidence []string // what it looked at
	// Err is what is wrong, for Fail and Warn: errors of packages aws, tunnel and this one, with a remedy. For Skipped it
	// is what kept the check from looking, if anything did.
	Err error
	Why string // for Skipped
}

// Result is a check that was run, or not.
type Result struct {
	Check    string
	Name     string
	Finding  Finding
	Cause    string // id of the cause; empty when it passed, or is not one of the known
	HiddenBy string // the failed check that does, for Skipped
	Took     time.Duration
	Subject  Subject // as far as it was known when the check was over
}

// Subject is what an examination is about.
type Subject struct {
	Target  aws.Target
	Region  string
	Account string
}

// Remedy is what to do about it; empty when nothing is wrong.
func (r Result) Remedy() string { return say.Remedy(r.Finding.Err) }

// Report is what an examination came to. Results stand in the order of the path, whatever finished first.
type Report struct {
	Subject // as far as it was found

	FarEnd  string // what is looked into, see tunnel.Spec.FarEnd
	At      time.Time
	Took    time.Duration
	Results []Result
}

// Healthy reports whether nothing failed.
func (r Report) Healthy() bool { return r.First() == nil }

// First is the first failure on the path, nil when there is none: what comes behind it may be its consequence.
func (r Report) First() *Result {
	for i := range r.Results {
		if r.Results[i].Finding.Verdict == Fail {
			return &r.Results[i]
		}
	}
	return nil
}

// Run examines a path. Checks run as soon as those they build on have passed; each is called with every result when it is
// there, one call at a time. When ctx is cancelled, the rest is skipped; at its deadline, the rest fails.
func Run(ctx context.Context, o Options, each func(Result)) Report {
	x := newExamination(o)
	defer x.close(ctx)
	checks := x.checks()
	report := Report{Subject: Subject{Target: o.Query.Target()}, FarEnd: o.Spec.FarEnd(), At: time.Now(), Results: make([]Result, len(checks))}
	finished := map[string]*finished{}
	for _, c := range checks {
		finished[c.ID] = newFinished()
	}
	var work sync.WaitGroup
	var telling sync.Mutex
	for i, c := range checks {
		work.Go(func() {
			r := Result{Check: c.ID, Name: c.Name}
			hidden := ""
			for _, id := range c.After {
				before := finished[id]
				<-before.done
				if before.hides != "" {
					hidden = before.hides
				}
			}
			for _, id := range c.Behind {
				<-finished[id].done
			}
			started := time.Now()
			switch {
			case hidden != "":
				r.HiddenBy, r.Finding = hidden, Finding{Verdict: Skipped, Why: "hidden by " + hidden}
			default:
				r.Finding = x.look(ctx, c)
				r.Took = time.Since(started)
			}
			if v := r.Finding.Verdict; v == Fail || v == Warn {
				r.Cause = CauseOf(r.Finding.Err)
			}
			switch {
			case hidden != "":
				finished[c.ID].hides = hidden
			case r.Finding.Verdict == Fail || ctx.Err() != nil:
				finished[c.ID].hides = c.ID
			}
			close(finished[c.ID].done)
			telling.Lock()
			defer telling.Unlock()
			x.describe(&report.Subject, c.ID)
			r.Subject = report.Subject
			report.Results[i] = r
			each(r)
		})
	}
	work.Wait()
	report.FarEnd = x.Spec.FarEnd()
	report.Took = time.Since(report.At)
	return report
}

// look runs a check in the time that it has.
func (x *examination) look(ctx context.Context, c Check) Finding {
	checking := ctx
	if !c.Lasts {
		var cancel context.CancelFunc
		checking, cancel = context.WithTimeout(ctx, max(x.Patience, checkWithin))
		defer cancel()
	}
	switch err := checking.Err(); {
	case errors.Is(err, context.Canceled):
		return skip("stopped")
	case err != nil:
		return fail(&LateError{Check: c.ID})
	}
	started := time.Now()
	f := c.Run(checking)
	switch {
	case f.Verdict == Pass:
	case errors.Is(ctx.Err(), context.Canceled):
		return Finding{Verdict: Skipped, Why: "stopped", Evidence: f.Evidence}
	case isLate(checking) && say.Remedy(f.Err) == "":
		return fail(&LateError{Check: c.ID, After: time.Since(started), Err: f.Err}, f.Evidence...)
	case isLate(ctx) && f.Verdict == Skipped && f.Err != nil: // there is no time to look elsewhere for what it is
		f.Verdict, f.Why = Fail, ""
	}
	return f
}

// isLate tells a context whose time is over from one that was called off.
func isLate(ctx context.Context) bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }

// finished is the end of a check. hides is the check whose failure hides what builds on it; it is written before done is
// closed and read after.
type finished struct {
	done  chan struct{}
	hides string
}

func newFinished() *finished { return &finished{done: make(chan struct{})} }

// Checks are those that Run would run, in the order of the path.
func Checks(o Options) []Check { return newExamination(o).checks() }

// Causes are all that the checks can find, in the order of the path.
func Causes() []Cause {
	var all []Cause
	for _, c := range Checks(Options{Spec: tunnel.Spec{To: "host"}, Probes: []*url.URL{{Scheme: "https", Host: "host"}}}) {
		all = append(all, c.Causes...)
	}
	return all
}
