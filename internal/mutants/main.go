// Command mutants breaks culvert on purpose, one line at a time, and looks whether a test of the package notices. No file is
// touched: each mutant is compiled in place of its file (go build's -overlay). docs/testing.md says what came of it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// options are what a run is asked for.
type options struct {
	packages string
	seed     uint64
	jobs     int
	limit    time.Duration
	slowest  time.Duration
	report   string
	at       string
}

// asked are the packages, each with how many mutants of it are tried.
const asked = "./tunnel=110,./tunnel/front=15,./aws=50,./aws/wire=15,./ui/headless=40"

func main() {
	var o options
	flag.StringVar(&o.packages, "packages", asked, "packages and how many mutants of each, as in ./tunnel=100,./aws=50")
	flag.Uint64Var(&o.seed, "seed", 1, "the same seed draws the same mutants of the same code")
	flag.IntVar(&o.jobs, "jobs", 3, "how many mutants are tried at a time: their tests wait more than they compute")
	flag.DurationVar(&o.limit, "limit", 30*time.Second, "for the tests of one mutant, as long as they take on a quiet machine")
	flag.DurationVar(&o.slowest, "slowest", 3*time.Second, "tests that take longer are left out")
	flag.StringVar(&o.report, "report", ".cache/mutants.jsonl", "a line of JSON for each mutant")
	flag.StringVar(&o.at, "at", "", "only the mutants of these lines, as in mux.go:272,sender.go:95")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := o.run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context, out io.Writer) error {
	work, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // it lies in the directory for what is temporary
	report, err := os.Create(o.report)
	if err != nil {
		return err
	}
	for each := range strings.SplitSeq(o.packages, ",") {
		pattern, number, _ := strings.Cut(each, "=")
		n, err := strconv.Atoi(number)
		if err != nil {
			return fmt.Errorf("-packages: %s has no number of mutants", each)
		}
		if err := o.mutate(ctx, out, report, work, pattern, n); err != nil {
			return err
		}
	}
	return report.Close()
}

// mutate tries n mutants of a package.
func (o options) mutate(ctx context.Context, out, report io.Writer, work, pattern string, n int) error {
	p, err := load(ctx, pattern)
	if err != nil {
		return err
	}
	var all []mutant
	for _, path := range p.files() {
		found, err := find(path)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	if err := p.learn(ctx, work, o.jobs, o.slowest); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "%s: %d mutants, %d quick tests\n", pattern, len(all), len(p.tests))
	if o.at != "" {
		all = slices.DeleteFunc(all, func(m mutant) bool { return !slices.Contains(strings.Split(o.at, ","), m.place()) })
	}
	drawn := draw(all, o.seed)
	count := map[verdict]int{}
	var mu sync.Mutex
	var workers sync.WaitGroup
	tried := 0
	for i := range o.jobs {
		workers.Go(func() {
			mine := filepath.Join(work, strconv.Itoa(i))
			_ = os.Mkdir(mine, 0o700)
			for {
				mu.Lock()
				if len(drawn) == 0 || tried == n || ctx.Err() != nil {
					mu.Unlock()
					return
				}
				m := drawn[0]
				drawn = drawn[1:]
				tried++
				mu.Unlock()
				result, err := p.try(ctx, m, mine, o.limit)
				mu.Lock()
				if ctx.Err() != nil || err != nil || result.Verdict == broken {
					tried-- // another one in its place
				} else {
					count[result.Verdict]++
					_ = json.NewEncoder(report).Encode(result)
					_, _ = fmt.Fprintf(out, "%-8s %s: %s => %s %s\n", result.Verdict, m, result.Before, result.After, result.By)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	noticed := count[killed] + count[hung]
	if total := noticed + count[survived] + count[unseen]; total > 0 {
		_, _ = fmt.Fprintf(out, "%s: %d of %d noticed (%d %%), %d of them by a test that does not end; %d survived, %d are run by no quick test\n\n",
			pattern, noticed, total, 100*noticed/total, count[hung], count[survived], count[unseen])
	}
	return ctx.Err()
}

// draw puts the mutants into the order in which they are tried: a shuffle in which those of heavy files have more chances.
func draw(all []mutant, seed uint64) []mutant {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it has to be repeatable
	var lots []int
	for i, m := range all {
		for range weight(m.File) {
			lots = append(lots, i)
		}
	}
	random.Shuffle(len(lots), func(i, j int) { lots[i], lots[j] = lots[j], lots[i] })
	taken := map[int]bool{}
	var drawn []mutant
	for _, i := range lots {
		if !taken[i] {
			taken[i] = true
			drawn = append(drawn, all[i])
		}
	}
	return drawn
}

// weight is how many chances a mutant of a file has: four where bytes are moved, states are told or sessions are spent.
func weight(path string) int {
	name := strings.TrimSuffix(filepath.Base(path), ".go")
	heavy := []string{
		"sender", "window", "channel", "mux", "basic", "stream", "connection", "socket", "handshake", "replay", "seal", "pause", "messagesize", "sending", // bytes
		"state", "feed", "health", "prove", "doubt", "silence", "standing", "hang", "event", "outbox", "printer", "ready", "board", "keep", "hold", // states
		"lane", "lanewatch", "farewell", "queue", "load", "spread", "seats", "pool", "reach", "verdicts", "runner", "reports", "resume", "renew", "handover", "remains", "left", "journal", "barred", // sessions
		"session", "share", "successor", "order", "wire", "message", "frame", "ack", "ondemand", "relay", "socks", "http",
	}
	if slices.Contains(heavy, name) {
		return 4
	}
	return 1
}
