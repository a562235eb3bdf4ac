package cli

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"culvert/internal/pattern"
	"culvert/internal/say"
	"culvert/internal/trust"
	"culvert/tunnel/doctor"
)

// diagnosis is a doctor's report as it is shown.
type diagnosis struct {
	doctor.Report

	mask  bool
	build Build
}

// These match what --mask hides: account ids, ids of access keys and principals, and the queries of URLs.
//
//nolint:gochecknoglobals // compiled when they are needed
var (
	accountForm = pattern.Of(`\b\d{12}\b`)
	keyForm     = pattern.Of(`\b(AKIA|ASIA|AROA|AIDA|AGPA)[A-Z0-9]{12,}\b`)
	queryForm   = pattern.Of(`(\bhttps?://[^\s?"]+)\?[^\s"]*`)
)

// clean makes text from elsewhere safe to show. With --mask it hides ids and the queries of URLs.
func (d diagnosis) clean(text string) string {
	text = say.Line(text)
	if !d.mask {
		return text
	}
	text = accountForm().ReplaceAllString(text, "************")
	text = keyForm().ReplaceAllString(text, "$1****************")
	return queryForm().ReplaceAllString(text, "$1?…")
}

func (d diagnosis) words(err error) string {
	if err == nil {
		return ""
	}
	return d.clean(err.Error())
}

// text is the report for people: the checks that are not in order, the cause, and what to do. With all it has every check.
func (d diagnosis) text(all, color bool) string {
	p := painter(color)
	var b strings.Builder
	d.writeHead(&b)
	for _, r := range d.Results {
		d.writeCheck(&b, r, all, p)
	}
	d.writeEnd(&b, all, p)
	return b.String()
}

// writeHead writes what is examined.
func (d diagnosis) writeHead(b *strings.Builder) {
	where := d.Region
	if d.Account != "" {
		where += ", account " + d.Account
	}
	target := d.clean(strings.TrimPrefix(d.Target.String(), "/"))
	if target != "" {
		target += " "
	}
	fmt.Fprintf(b, "%s→ %s", target, d.clean(d.FarEnd))
	if where != "" {
		fmt.Fprintf(b, " (%s)", d.clean(where))
	}
	b.WriteString("\n\n")
}

// writeEnd writes the result of all checks together.
func (d diagnosis) writeEnd(b *strings.Builder, all bool, p painter) {
	first := d.First()
	var hidden []string
	for _, r := range d.Results {
		if isHidden(r) && !all {
			hidden = append(hidden, r.Check)
		}
	}
	if len(hidden) > 0 && first != nil {
		fmt.Fprintf(b, "  %s %s\n", p.paint(doctor.Skipped, "skipped"), "behind it: "+strings.Join(hidden, ", "))
	}
	if passed := d.count(doctor.Pass); passed > 0 && !all {
		fmt.Fprintf(b, "  %s %s\n", p.paint(doctor.Pass, "pass   "), plural(passed, "check")+" (--all shows them)")
	}
	if first == nil {
		verdict := "Nothing fails."
		if warnings := d.count(doctor.Warn); warnings > 0 {
			verdict = fmt.Sprintf("Nothing fails; %s.", plural(warnings, "warning"))
		}
		fmt.Fprintf(b, "\n%s\n", p.paint(doctor.Pass, verdict))
		return
	}
	id := ""
	if first.Cause != "" {
		id = " (" + first.Cause + ")"
	}
	fmt.Fprintf(b, "\n%s %s\n", p.paint(doctor.Fail, "The cause"+id+":"), d.words(first.Finding.Err))
	fmt.Fprintf(b, "What to do: %s\n", d.clean(first.Remedy()))
}

// isHidden reports whether a check was not run because another has failed.
func isHidden(r doctor.Result) bool {
	return r.Finding.Verdict == doctor.Skipped && strings.HasPrefix(r.Finding.Why, "hidden by ")
}

// writeCheck says what a check came to, unless that is for writeEnd. The results before it in the order of the path have
// to be there.
func (d diagnosis) writeCheck(b *strings.Builder, r doctor.Result, all bool, p painter) {
	f := r.Finding
	switch {
	case all:
	case isHidden(r), f.Verdict == doctor.Pass, f.Verdict == doctor.Skipped && f.Err == nil:
		return
	}
	fmt.Fprintf(b, "  %s %-11s %s\n", p.paint(f.Verdict, fmt.Sprintf("%-7s", f.Verdict)), r.Check, d.clean(line(r)))
	if len(f.Evidence) > 0 && f.Verdict != doctor.Pass {
		fmt.Fprintf(b, "  %20s seen: %s\n", "", d.clean(strings.Join(f.Evidence, "; ")))
	}
	first := d.First()
	isOther := first == nil || r.Check != first.Check
	if remedy := r.Remedy(); remedy != "" && isOther && f.Verdict != doctor.Pass && (all || f.Verdict != doctor.Skipped) {
		fmt.Fprintf(b, "  %20s do: %s\n", "", d.clean(remedy))
	}
}

// line is the result of a check in one line: what was found in order and how that is known, or what is wrong.
func line(r doctor.Result) string {
	text := r.Name
	switch f := r.Finding; f.Verdict {
	case doctor.Fail, doctor.Warn:
		text = f.Err.Error()
	case doctor.Skipped:
		text += ": not checked, " + f.Why
	case doctor.Pass:
		if len(f.Evidence) > 0 {
			text += ": " + strings.Join(f.Evidence, "; ")
		}
		if r.Took >= 10*time.Millisecond {
			text += fmt.Sprintf(" (%d ms)", r.Took.Milliseconds())
		}
	}
	return text
}

func (d diagnosis) count(v doctor.Verdict) int {
	n := 0
	for _, r := range d.Results {
		if r.Finding.Verdict == v {
			n++
		}
	}
	return n
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// painter colours verdicts, if it is true.
type painter bool

func (p painter) paint(v doctor.Verdict, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + map[doctor.Verdict]string{doctor.Pass: "32", doctor.Warn: "33", doctor.Skipped: "2", doctor.Fail: "31"}[v] + "m" + text + "\x1b[0m"
}

// reportJSON is the report for machines. Fields may be added, never renamed.
type reportJSON struct {
	Time    string      `json:"time"`
	Cluster string      `json:"cluster"`
	Service string      `json:"service,omitempty"`
	Family  string      `json:"family,omitempty"`
	Task    string      `json:"task,omitempty"`
	Cont    string      `json:"container,omitempty"`
	Remote  string      `json:"remote"`
	Region  string      `json:"region,omitempty"`
	Account string      `json:"account,omitempty"`
	Took    int64       `json:"took_ms"`
	Healthy bool        `json:"healthy"`
	Cause   *causeJSON  `json:"cause,omitempty"`
	Checks  []checkJSON `json:"checks"`
}

// causeJSON is the first failure.
type causeJSON struct {
	ID     string `json:"id,omitempty"`
	Check  string `json:"check"`
	Error  string `json:"error"`
	Remedy string `json:"remedy"`
}

type checkJSON struct {
	Check    string   `json:"check"`
	Name     string   `json:"name"`
	Verdict  string   `json:"verdict"`
	Cause    string   `json:"cause,omitempty"`
	Evidence []string `json:"evidence,omitempty"`
	Error    string   `json:"error,omitempty"`
	Remedy   string   `json:"remedy,omitempty"`
	Why      string   `json:"why,omitempty"`
	Took     int64    `json:"took_ms"`
}

func (d diagnosis) json() (string, error) {
	out := reportJSON{
		Time: d.At.UTC().Format("2006-01-02T15:04:05.000Z"), Took: d.Took.Milliseconds(), Healthy: d.Healthy(),
		Cluster: d.clean(d.Target.Cluster), Service: d.clean(d.Target.Service), Family: d.clean(d.Target.Family), Task: d.clean(d.Target.Task), Cont: d.clean(d.Target.Container),
		Remote: d.clean(d.FarEnd), Region: d.Region, Account: d.clean(d.Account), Checks: []checkJSON{},
	}
	if r := d.First(); r != nil {
		out.Cause = &causeJSON{ID: r.Cause, Check: r.Check, Error: d.words(r.Finding.Err), Remedy: d.clean(r.Remedy())}
	}
	for _, r := range d.Results {
		c := checkJSON{
			Check: r.Check, Name: d.clean(r.Name), Verdict: r.Finding.Verdict.String(), Cause: r.Cause, Why: d.clean(r.Finding.Why),
			Error: d.words(r.Finding.Err), Remedy: d.clean(r.Remedy()), Took: r.Took.Milliseconds(),
		}
		for _, e := range r.Finding.Evidence {
			c.Evidence = append(c.Evidence, d.clean(e))
		}
		out.Checks = append(out.Checks, c)
	}
	return say.JSON(out, "  ")
}

// save writes the whole report to a file that only this user can read.
func (d diagnosis) save(path string) error {
	text := fmt.Sprintf("culvert %s, %s/%s, %s\n\n%s", d.build.Version, runtime.GOOS, runtime.GOARCH, d.At.UTC().Format(time.RFC3339), d.text(true, false))
	if strings.HasSuffix(path, ".json") {
		var err error
		if text, err = d.json(); err != nil {
			return err
		}
	}
	unwritable := func(err error) error {
		return &settingError{source: "--report", advice: advice(err, "name a file that can be written"), err: err}
	}
	file, err := trust.Create(path)
	if err != nil {
		return unwritable(err)
	}
	defer file.Close()                        //nolint:errcheck // closed below as well, with its error
	if err := file.Chmod(0o600); err != nil { // the file may have existed with another mode
		return unwritable(err)
	}
	if _, err := file.WriteString(text); err != nil {
		return unwritable(err)
	}
	if err := file.Close(); err != nil {
		return unwritable(err)
	}
	return nil
}
