//go:build linux

// Bench measures culvert beside AWS's own session-manager-plugin, both as processes of their own, on one emulated account
// in one run, and writes the table as Markdown. It reads /proc, so it is for Linux alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The words that make a process of this program a part of the bench instead of the bench itself.
const (
	partServe  = "serve"  // the far side: account, agent and destination
	partEngine = "engine" // culvert's engine with a profiler, for -profile
)

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, complaints io.Writer) int {
	var err error
	switch {
	case len(args) == 1 && args[0] == partServe:
		err = serve(in, out) //nolint:contextcheck // it ends with its input
	case len(args) == 7 && args[0] == partEngine:
		err = engine(ctx, args[1:], out)
	default:
		err = compare(ctx, args, out, complaints)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2
	}
	_, _ = fmt.Fprintln(complaints, "bench:", err)
	return 1
}

// options are the flags.
type options struct {
	only    string
	quick   bool
	runs    int
	delay   time.Duration
	out     string
	plugin  string
	culvert string
	profile string
	history string
}

// usualHistory is where the history is, seen from the repository's root.
const usualHistory = "docs/bench-history.tsv"

func parseOptions(args []string, complaints io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(complaints)
	f.StringVar(&o.only, "only", "", "measure these alone, separated by commas: "+strings.Join(measurementNames(), ", ")+"; "+relayGroup+" is all that begin so")
	f.BoolVar(&o.quick, "quick", false, "a minute's smoke run: every row, but no figure to rely on")
	f.IntVar(&o.runs, "runs", 0, "runs per measurement, of which the median counts (3, with -quick 1)")
	f.DurationVar(&o.delay, "delay", 10*time.Millisecond, "of the service, each way")
	f.StringVar(&o.out, "out", "", "Markdown `FILE` to write (docs/bench.md for a whole run, else none)")
	f.StringVar(&o.plugin, "plugin", "", "session-manager-plugin to use instead of building it")
	f.StringVar(&o.culvert, "culvert", "", "culvert to use instead of building it")
	f.StringVar(&o.profile, "profile", "", "`DIR` for CPU and heap profiles of culvert's engine, which then runs in a process of this program")
	f.StringVar(&o.history, "history", usualHistory, "`FILE` that the figures are appended to and compared with; none for a -quick run, one of another -culvert and one with a -profile")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.history == usualHistory && (o.quick || o.culvert != "" || o.profile != "") {
		o.history = ""
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.out == "" && o.only == "" && !o.quick {
		o.out = "docs/bench.md"
	}
	return o, nil
}

// compare runs the measurements and reports them.
func compare(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parseOptions(args, progress)
	if err != nil {
		return err
	}
	chosen, err := chooseMeasurements(o.only)
	if err != nil {
		return err
	}
	past, err := openHistory(o.history)
	if err != nil {
		return err
	}
	programs, err := findPrograms(ctx, o, progress)
	if err != nil {
		return err
	}
	w, err := openWorld(ctx, conditions{Delay: o.delay, Pacing: agentPacing}, programs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	about := describe(ctx, o, programs)
	b := &bench{world: w, effort: fullEffort(), results: newResults(), progress: progress}
	b.results.trip = 2 * o.delay
	if o.quick {
		b.effort = quickEffort()
	}
	if o.runs > 0 {
		b.effort.runs = o.runs
	}
	if err := b.measure(ctx, chosen); err != nil {
		return err
	}
	about.finish()
	records, losses := past.recordsOf(b.results, about)
	text := report(b.results, about, losses)
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(text), 0o644); err != nil { //nolint:gosec // a document
			return fmt.Errorf("write the table: %w", err)
		}
	}
	return errors.Join(past.add(records), lossError(losses, past.path), b.complete(chosen))
}

// chooseMeasurements returns those that -only names, in the order they are run; all for none.
func chooseMeasurements(only string) ([]measurement, error) {
	all := measurements()
	if only == "" {
		return all, nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(m measurement) bool { return m.is(name) }) {
			return nil, fmt.Errorf("-only %s: there are %s, and %s for all that begin so", name, strings.Join(measurementNames(), ", "), relayGroup)
		}
	}
	return slices.DeleteFunc(all, func(m measurement) bool { return !slices.ContainsFunc(wanted, m.is) }), nil
}

// is reports whether a word of -only means it.
func (m measurement) is(word string) bool {
	return m.name == word || word == relayGroup && strings.HasPrefix(m.name, relayGroup+"-")
}

func measurementNames() []string {
	var names []string
	for _, m := range measurements() {
		names = append(names, m.name)
	}
	return names
}
