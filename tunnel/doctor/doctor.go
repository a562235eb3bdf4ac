// Package doctor examines the whole path from the credentials to a private host and says where it breaks: the first cause, with
// the evidence and a remedy. It changes nothing; all that it opens are sessions of its own, which it terminates.
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

// Options say what to examine. Connect and Spec are needed.
type Options struct {
	Connect func(context.Context) (*aws.Client, error)
	Query   aws.Query
	Spec    tunnel.Spec // Remote or Dynamic is examined, Local and Socket only when they were asked for; Target is ignored
	// Probes are destinations behind the far end. If that is a proxy, http:// and https:// URLs are asked for through it. For
	// others a session of their own is opened: tcp://host:port and tls://host:port, and web URLs where there is no proxy.
	Probes []*url.URL
	Relay  tunnel.RelayMode // as in tunnel.Options
	Build  string           // as in tunnel.Options
	Login  *Login           // for a proxy at the far end that asks for a login
	// AllowLinkLocal permits link-local hosts in Spec and Probes, see tunnel.Endpoint.LinkLocal.
	AllowLinkLocal bool
	Roots          *x509.CertPool // for the certificates of probes; nil are the system's
	// Patience is how long to wait for a temporary obstacle to go away, and for the answer of a silent destination; 0 is 14 s.
	Patience time.Duration
	// Only are the ids of the checks that are wanted: these are run with all checks that they need. Empty is all.
	Only []string
	Log  *slog.Logger // nil: nothing is logged
}

const (
	defaultPatience = 14 * time.Second
	// checkWithin bounds a check, unless Options.Patience is longer. One call to AWS that gets no answer takes 12 s.
	checkWithin = 15 * time.Second
)

// Verdict is the outcome of a check.
type Verdict int

// The verdicts.
const (
	Pass Verdict = iota
	Warn
	Skipped
	Fail
)

// String returns the word that stands in the output.
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
	After  []string // ids of checks that it builds on: when one of them fails, this one is not run (hidden)
	Behind []string // ids of checks that it waits for, whatever their outcome
	Lasts  bool     // it bounds its time itself, to several times Options.Patience at the most
	Causes []Cause  // the causes that it can find
	Run    func(context.Context) Finding
}

// Cause is something that keeps people from a private host, as the documentation lists it.
type Cause struct{ ID, Symptom, Remedy string }

// Finding is what a check has seen.
type Finding struct {
	Verdict  Verdict
	Evidence []string // what the check has looked at
	// Err is what is wrong, for Fail and Warn: an error of package aws, tunnel or this one, with a remedy. For Skipped it is what
	// kept the check from looking, if anything did.
	Err error
	Why string // why the check looked at nothing, for Skipped
}

// Result is a check that was run, or not.
type Result struct {
	Check    string
	Name     string
	Finding  Finding
	Cause    string // id of the cause; empty when the check passed, or the cause is none of those documented
	HiddenBy string // id of the failed check on which this one builds, for Skipped
	Took     time.Duration
	Subject  Subject // what was known of the subject when the check was over
}

// Subject is what an examination is about.
type Subject struct {
	Target  aws.Target
	Region  string
	Account string
}

// Remedy is what to do about what is wrong; empty when nothing is.
func (r Result) Remedy() string { return say.Remedy(r.Finding.Err) }

// Report is the outcome of an examination. Results stand in the order of the path, whichever check finished first.
type Report struct {
	Subject // what was found of it

	FarEnd  string // the far end that was examined, see tunnel.Spec.FarEnd
	At      time.Time
	Took    time.Duration
	Results []Result
	Left    []*tunnel.UnendedError // the sessions that were opened for the examination and could not be terminated
}

// Healthy reports whether nothing failed.
func (r Report) Healthy() bool { return r.First() == nil }

// First is the first failure on the path, of which later ones may be consequences; nil when nothing failed.
func (r Report) First() *Result {
	for i := range r.Results {
		if r.Results[i].Finding.Verdict == Fail {
			return &r.Results[i]
		}
	}
	return nil
}

// Run examines a path. A check runs as soon as those that it builds on have passed; each is called with every result as it comes,
// one call at a time. When ctx is cancelled, the checks that are left are skipped; when its deadline passes, they fail.
func Run(ctx context.Context, o Options, each func(Result)) (report Report) {
	x := newExamination(o)
	defer func() {
		x.end(ctx, x.own)
		report.Left = x.left
	}()
	checks := x.checks()
	report = Report{Subject: Subject{Target: o.Query.Target()}, FarEnd: o.Spec.FarEnd(), At: time.Now(), Results: make([]Result, len(checks))}
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

// look runs a check within its time, and turns an end of that time into a finding.
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
	case isLate(ctx) && f.Verdict == Skipped && f.Err != nil: // no time is left for other checks to show what is wrong
		f.Verdict, f.Why = Fail, ""
	}
	return f
}

// isLate reports whether the deadline of a context has passed; it is false for one that was cancelled.
func isLate(ctx context.Context) bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }

// finished is the end of a check. hides is the id of the check whose failure hides those that build on this one; empty for none.
// It is written before done is closed and read after.
type finished struct {
	done  chan struct{}
	hides string
}

func newFinished() *finished { return &finished{done: make(chan struct{})} }

// Checks returns the checks that Run would run, in the order of the path.
func Checks(o Options) []Check { return newExamination(o).checks() }

// Causes returns all causes that checks can find, in the order of the path.
func Causes() []Cause {
	var all []Cause
	for _, c := range Checks(Options{Spec: tunnel.Spec{To: "host"}, Probes: []*url.URL{{Scheme: "https", Host: "host"}}}) {
		all = append(all, c.Causes...)
	}
	return all
}
