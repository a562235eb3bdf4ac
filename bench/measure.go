//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// effort is how much is measured.
type effort struct {
	runs, starts int   // of the others, of first bytes
	fastUpload   int64 // bytes, where nothing but culvert itself limits the rate
	pacedUpload  int64 // bytes, where the plugin's own rests limit it
	crowded      int64 // bytes down with the plugin on several connections, which all share one session
	download     int64 // bytes, where the agent's rests limit the rate
	lossy        int64 // bytes under loss
	flat         int64 // bytes each way while memory is watched
	echoes       int
	warm, beside time.Duration // of a bulk transfer: before the echoes begin, while they go on
	stall        time.Duration // without a byte before a transfer is given up
	lossLimit    time.Duration // for a transfer under loss
	closing      int64         // bytes of a download whose sockets are closed
	closeEach    time.Duration
	again        int   // requests to a host that is known
	bonded       int64 // bytes down through a relay
	single       int64 // bytes down beside that, at the rate of one session
	harmed       int64 // bytes of a download through a relay in which something is harmed
	recovering   int64 // the same, where its rate is looked at that long after
	recovery     time.Duration
	served, gone time.Duration // after a task's death, before culvert is given up, and the plugin
}

func fullEffort() effort {
	return effort{
		runs: 5, starts: 10, fastUpload: 64e6, pacedUpload: 8e6, crowded: 6e6, download: 20e6, lossy: 8e6, flat: 1e9, echoes: 200,
		warm: 2 * time.Second, beside: 4 * time.Second, stall: 15 * time.Second, lossLimit: time.Minute,
		closing: 25e5, closeEach: time.Second, again: 10, served: 40 * time.Second, gone: 20 * time.Second,
		bonded: 40e6, single: 4e6, harmed: 20e6, recovering: 50e6, recovery: 3 * time.Second,
	}
}

func quickEffort() effort {
	return effort{
		runs: 1, starts: 1, fastUpload: 4e6, pacedUpload: 5e5, crowded: 5e5, download: 5e5, lossy: 5e5, flat: 20e6, echoes: 20,
		warm: 200 * time.Millisecond, beside: time.Second, stall: 4 * time.Second, lossLimit: 8 * time.Second,
		closing: 5e5, closeEach: 150 * time.Millisecond, again: 2, served: 40 * time.Second, gone: 3 * time.Second,
		bonded: 3e6, single: 5e5, harmed: 4e6, recovering: 8e6, recovery: 200 * time.Millisecond,
	}
}

const (
	lossShare      = 0.01
	manyConns      = 8
	crowd          = 200 // connections at once
	tries          = 3   // of a measurement that fails
	besideWithin   = time.Minute
	sampleRSSEvery = 100 * time.Millisecond
)

// measurement is something that is done to each subject in turn.
type measurement struct {
	name     string
	runs     func(effort) int
	subjects []subject
	do       func(*bench, context.Context, subject) error
}

// Measurements that bring several rows each.
const (
	besideUpload   = "echo-upload"
	besideDownload = "echo-download"
)

// measurements are all, in the order they are run.
func measurements() []measurement {
	usual := func(e effort) int { return e.runs }
	fewer := func(e effort) int { return (e.runs + 1) / 2 } // what takes long and hardly differs from run to run
	once := func(effort) int { return 1 }
	both := []subject{culvert(), plugin()}
	pages := remote{service, proxyPort}
	return append([]measurement{
		{"first-byte", func(e effort) int { return e.starts }, append(slices.Clone(both), cli()), firstByte("first-byte")},
		{stepMetric, usual, []subject{culvertUp(), recipe()}, steps(stepMetric)},
		{stepToSquid, usual, []subject{upToSquid()}, steps(stepToSquid)},
		{"echo", usual, both, idleEcho("echo")},
		{besideUpload, usual, both, besideBulk(besideUpload, wordUpload)},
		{besideDownload, usual, both, besideBulk(besideDownload, wordSource)},
		{dynamicMetric, usual, []subject{anyHost(), oneHost()}, (*bench).hosts},
		{"connections", usual, both, (*bench).crowd},
		{pageMetric, usual, []subject{culvert().at(pages), plugin().at(pages), straight()}, browse(overHTTP1, firstVisit, secondVisit)},
		{closesMetric, usual, both, (*bench).closings},
		{deadTask, usual, []subject{culvert().at(remote{mortal, port}), plugin().at(remote{mortal, port})}, (*bench).untilServed},
		{"upload1", fewer, both, uploads("upload1", 1)},
		{"upload8", fewer, both, uploads("upload8", manyConns)},
		{"download1", fewer, both, downloads("download1", 1)},
		{"download8", usual, both, downloads("download8", manyConns)},
		{"download8-lanes", usual, []subject{culvert(lanesFlag, "4")}, downloads("download8-lanes", manyConns)},
		{"download8-lanes8", usual, []subject{culvert(lanesFlag, "8")}, downloads("download8-lanes8", manyConns)},
		{"download16", usual, []subject{culvert(lanesFlag, "16"), plugin()}, downloads("download16", 2*manyConns)},
		{"loss-upload", fewer, both, lossy("loss-upload", wordUpload)},
		{"loss-download", fewer, both, lossy("loss-download", wordSource)},
		{"flat", once, []subject{culvert()}, (*bench).flat},
	}, relayMeasurements()...)
}

// bench is one run of this program.
type bench struct {
	world    *world
	effort   effort
	results  *results
	progress io.Writer
	block    []byte
	relay    int // the process of the relay, in what is measured through one
}

// measure takes the measurements. Subjects take turns, and every other run the other one begins, so that whatever else
// the machine does hits both.
func (b *bench) measure(ctx context.Context, chosen []measurement) error {
	b.block = randomBlock()
	for _, m := range chosen {
		runs := m.runs(b.effort)
		for run := range runs {
			turns := slices.Clone(m.subjects)
			if run%2 == 1 {
				slices.Reverse(turns)
			}
			for _, s := range turns {
				began := time.Now()
				err := b.try(ctx, m, s)
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				verdict := "done"
				if err != nil {
					verdict = err.Error()
				}
				_, _ = fmt.Fprintf(b.progress, "%-16s %d/%d %-8s %5.1fs %s\n", m.name, run+1, runs, s.name, time.Since(began).Seconds(), verdict)
			}
		}
	}
	return nil
}

// browses reports whether a measurement takes a browser, or its proxy.
func browses(name string) bool {
	return slices.Contains([]string{stepToSquid, pageMetric, relayedNew, relayedPage2, relayedPage}, name)
}

// try measures a subject once; a try that fails is made again, and remarked on.
func (b *bench) try(ctx context.Context, m measurement, s subject) error {
	if (s.name == nameCLI || s.name == nameRecipe) && b.world.programs.cli == "" {
		b.results.remark(m.name, s.name, "not measured: there is no aws command here")
		return nil
	}
	if missing := b.world.programs.browser.why; missing != nil && browses(m.name) {
		b.results.remark(m.name, s.name, "not measured: "+missing.Error())
		return nil // the report says so
	}
	var err error
	for range tries {
		err = m.do(b, ctx, s)
		opened, uncounted := b.world.opened()
		err = errors.Join(err, uncounted, b.world.set(b.world.usual), b.world.reap())
		if err == nil {
			b.results.addOpened(m.name, s.name, opened)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		b.results.remark(m.name, s.name, "a try failed: "+err.Error())
	}
	return err
}

// complete complains of what could not be measured at all.
func (b *bench) complete(chosen []measurement) error {
	var missing []string
	for _, w := range rows() {
		wanted := slices.ContainsFunc(chosen, func(m measurement) bool { return m.name == w.measuredBy })
		if b.world.programs.browser.why != nil && browses(w.measuredBy) {
			continue // the report says what is missing
		}
		if _, known := b.results.median(w.metric, nameCulvert); wanted && !known {
			missing = append(missing, w.title)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("culvert could not be measured: %s", strings.Join(missing, "; "))
	}
	return nil
}

// with runs something on a fresh client that is ready.
func (b *bench) with(ctx context.Context, s subject, do func(context.Context, *client) error) error {
	c, err := s.start(ctx, b.world)
	if err != nil {
		return err
	}
	defer c.stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.ready(ctx); err != nil {
		return err
	}
	return do(ctx, c)
}
