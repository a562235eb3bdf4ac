package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// verdict is what became of a mutant.
type verdict string

const (
	killed   verdict = "killed"   // a test fails, twice
	hung     verdict = "hung"     // the tests do not end, which is noticed too
	survived verdict = "survived" // no test that runs through it fails
	unseen   verdict = "unseen"   // no test runs through it
	broken   verdict = "broken"   // it does not compile, and does not count
)

// outcome is a line of the report.
type outcome struct {
	Package string  `json:"package"`
	File    string  `json:"file"`
	Line    int     `json:"line"`
	Kind    string  `json:"kind"`
	Before  string  `json:"before"`
	After   string  `json:"after"`
	Verdict verdict `json:"verdict"`
	By      string  `json:"by,omitempty"` // the test that fails
	Tests   int     `json:"tests"`        // that run through it
	Took    string  `json:"took"`
}

// quick tests go first, all together: most of what is noticed is noticed by these.
const quick = 400 * time.Millisecond

// patience is how much longer the tests together may take than when each was alone.
const patience = 4

// try builds the package's tests with the mutant in place of its file, which is not touched, and runs those that run through it.
func (p *goPackage) try(ctx context.Context, m mutant, work string, limit time.Duration) (o outcome, err error) {
	began := time.Now()
	changed, before, after, err := m.apply()
	o = outcome{Package: p.ImportPath, File: filepath.Base(m.File), Line: m.Line, Kind: m.Kind, Before: before, After: after}
	if err != nil {
		return o, err
	}
	defer func() { o.Took = time.Since(began).Round(time.Second).String() }()
	tests, err := p.through(m)
	if err != nil {
		return o, err
	}
	o.Tests = len(tests)
	binary, err := p.build(ctx, m, changed, work)
	switch {
	case err != nil:
		return o, err
	case binary == "":
		o.Verdict = broken
		return o, nil
	case len(tests) == 0:
		o.Verdict = unseen
		return o, nil
	}
	var first, second []string
	left := limit
	for _, t := range tests {
		if left -= t.Took; left < 0 {
			break
		}
		if t.Took < quick {
			first = append(first, t.Name)
		} else {
			second = append(second, t.Name)
		}
	}
	o.Verdict = survived
	for _, names := range [][]string{first, second} {
		for len(names) > 0 {
			failed, out := p.run(ctx, binary, names, patience*limit)
			if !failed {
				break
			}
			name, _ := failure(out)
			if name == "" { // the process as a whole: a race for memory, a lock that is not held
				o.Verdict, o.By = killed, "a crash"
				return o, nil
			}
			// Once more and alone: machines are busy, and tests that wait for something wait longer then.
			if again, out := p.run(ctx, binary, []string{name}, limit); again {
				o.Verdict, o.By = killed, name
				if _, stands := failure(out); stands {
					o.Verdict = hung
				}
				return o, nil
			}
			names = without(names, name)
		}
	}
	return o, nil
}

// build returns the path of the tests with the mutant, empty when that does not compile.
func (p *goPackage) build(ctx context.Context, m mutant, changed []byte, work string) (string, error) {
	replacement := filepath.Join(work, filepath.Base(m.File))
	if err := os.WriteFile(replacement, changed, 0o600); err != nil {
		return "", err
	}
	overlay := filepath.Join(work, "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {m.File: replacement}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return "", err
	}
	binary := filepath.Join(work, "mutant.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, p.ImportPath) //nolint:gosec // our own
	if err := build.Run(); err != nil {
		return "", ctx.Err()
	}
	return binary, nil
}

// run reports whether one of the tests fails.
func (p *goPackage) run(ctx context.Context, binary string, names []string, limit time.Duration) (failed bool, out string) {
	ctx, stop := context.WithTimeout(ctx, limit+10*time.Second)
	defer stop()
	pattern := "^(" + strings.Join(names, "|") + ")$"
	run := exec.CommandContext(ctx, binary, "-test.short", "-test.failfast", "-test.timeout", limit.String(), "-test.run", pattern) //nolint:gosec // built above
	run.Dir, run.WaitDelay = p.Dir, time.Second
	text, err := run.CombinedOutput()
	return err != nil, string(text)
}

// failure is the test that a run names as failed, or as still running when its time was over; empty when it names none.
func failure(out string) (name string, stands bool) {
	if _, running, is := strings.Cut(out, "running tests:\n"); is {
		name, _, _ = strings.Cut(strings.TrimSpace(running), " ")
		name, _, _ = strings.Cut(name, "/")
		return name, true
	}
	if named := regexp.MustCompile(`(?m)^--- FAIL: (\w+)`).FindStringSubmatch(out); named != nil {
		return named[1], false
	}
	return "", false
}

func without(names []string, name string) []string {
	var left []string
	for _, n := range names {
		if n != name {
			left = append(left, n)
		}
	}
	return left
}
