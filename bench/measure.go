//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// effort is how much is measured.
type effort struct {
	runs, starts int   // of the others, of first bytes
	fastUpload   int64 // bytes, where nothing but culvert itself limits the rate
	pacedUpload  int64 // bytes, where the plugin's own rests limit it
	download     int64 // bytes, where the agent's rests limit the rate
	lossy        int64 // bytes under loss
	flat         int64 // bytes each way while memory is watched
	echoes       int
	warm, beside time.Duration // of a bulk transfer: before the echoes begin, while they go on
	stall        time.Duration // without a byte before a transfer is given up
	lossLimit    time.Duration // for a transfer under loss
}

func fullEffort() effort {
	return effort{
		runs: 3, starts: 7, fastUpload: 64e6, pacedUpload: 8e6, download: 20e6, lossy: 8e6, flat: 1e9, echoes: 200,
		warm: 2 * time.Second, beside: 4 * time.Second, stall: 15 * time.Second, lossLimit: time.Minute,
	}
}

func quickEffort() effort {
	return effort{
		runs: 1, starts: 1, fastUpload: 4e6, pacedUpload: 5e5, download: 5e5, lossy: 5e5, flat: 20e6, echoes: 20,
		warm: 200 * time.Millisecond, beside: time.Second, stall: 4 * time.Second, lossLimit: 8 * time.Second,
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
	fewer := func(e effort) int { return max(1, e.runs-1) } // the slowest ones
	once := func(effort) int { return 1 }
	both := []subject{culvert(), plugin()}
	return []measurement{
		{"first-byte", func(e effort) int { return e.starts }, append(slices.Clone(both), cli()), (*bench).start},
		{stepMetric, usual, []subject{culvertUp(), recipe()}, (*bench).step},
		{"echo", usual, both, (*bench).idleEcho},
		{besideUpload, usual, both, besideBulk(besideUpload, wordUpload)},
		{besideDownload, usual, both, besideBulk(besideDownload, wordSource)},
		{"connections", usual, both, (*bench).crowd},
		{"upload1", usual, both, uploads("upload1", 1)},
		{"upload8", usual, both, uploads("upload8", manyConns)},
		{"download1", usual, both, downloads("download1", 1)},
		{"download8", fewer, both, downloads("download8", manyConns)},
		{"download8-lanes", fewer, []subject{culvert(lanesFlag, "4")}, downloads("download8-lanes", manyConns)},
		{"loss-upload", usual, both, lossy("loss-upload", wordUpload)},
		{"loss-download", usual, both, lossy("loss-download", wordSource)},
		{"flat", once, []subject{culvert()}, (*bench).flat},
	}
}

// bench is one run of this program.
type bench struct {
	world    *world
	effort   effort
	results  *results
	progress io.Writer
	block    []byte
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

// try measures a subject once; a try that fails is made again, and remarked on.
func (b *bench) try(ctx context.Context, m measurement, s subject) error {
	if (s.name == nameCLI || s.name == nameRecipe) && b.world.programs.cli == "" {
		b.results.remark(m.name, s.name, "not measured: there is no aws command here")
		return nil
	}
	var err error
	for range tries {
		err = errors.Join(m.do(b, ctx, s), b.world.set(b.world.usual), b.world.reap())
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

// start takes the time from the start of the process to the first byte.
func (b *bench) start(ctx context.Context, s subject) error {
	c, err := s.start(ctx, b.world)
	if err != nil {
		return err
	}
	defer c.stop()
	took, err := c.firstByte(ctx)
	if err != nil {
		return err
	}
	b.results.add("first-byte", s.name, milliseconds(took))
	return nil
}

func (b *bench) idleEcho(ctx context.Context, s subject) error {
	return b.with(ctx, s, func(ctx context.Context, c *client) error {
		var times []time.Duration
		return guarded(ctx, b.effort.stall, func() int64 { return 0 }, func(ctx context.Context) error {
			e, err := c.echo(ctx, b.block)
			if err != nil {
				return err
			}
			for range b.effort.echoes {
				took, err := e.once()
				if err != nil {
					return err
				}
				times = append(times, took)
			}
			b.addTimes("echo", s, times)
			return nil
		})
	})
}

func (b *bench) addTimes(metric string, s subject, times []time.Duration) {
	b.results.add(metric+"-p50", s.name, milliseconds(percentile(times, 50)))
	b.results.add(metric+"-p99", s.name, milliseconds(percentile(times, 99)))
}

// besideBulk takes echoes while another connection of the same forward transfers without end: on one connection that
// stays, and on a new one for each.
func besideBulk(metric, word string) func(*bench, context.Context, subject) error {
	return func(b *bench, ctx context.Context, s subject) error {
		return b.with(ctx, s, func(ctx context.Context, c *client) error {
			ctx, cancel := context.WithTimeoutCause(ctx, besideWithin, errors.New("not done within "+besideWithin.String()))
			defer cancel()
			if err := b.bulk(ctx, c, word); err != nil {
				return err
			}
			if err := pause(ctx, b.effort.warm); err != nil {
				return err
			}
			e, err := c.echo(ctx, b.block)
			if err != nil {
				return err
			}
			staying, err := b.echoes(e.once)
			if err != nil {
				return err
			}
			b.addTimes(metric, s, staying)
			fresh, err := b.echoes(func() (time.Duration, error) { return b.freshEcho(ctx, c) })
			if err != nil {
				return err
			}
			b.addTimes(metric+"-new", s, fresh)
			return nil
		})
	}
}

// echoes takes as many as there is time for, and at least one.
func (b *bench) echoes(one func() (time.Duration, error)) ([]time.Duration, error) {
	var times []time.Duration
	for began := time.Now(); len(times) == 0 || time.Since(began) < b.effort.beside && len(times) < b.effort.echoes; {
		took, err := one()
		if err != nil {
			return nil, err
		}
		times = append(times, took)
	}
	return times, nil
}

// freshEcho takes the time of an echo with its connection.
func (b *bench) freshEcho(ctx context.Context, c *client) (time.Duration, error) {
	began := time.Now()
	e, err := c.echo(ctx, b.block)
	if err != nil {
		return 0, err
	}
	_, err = e.once()
	took := time.Since(began)
	return took, errors.Join(err, e.conn.Close())
}

// bulk begins a transfer that ends with ctx.
func (b *bench) bulk(ctx context.Context, c *client, word string) error {
	const endless = int64(1) << 50
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "%s %d\n", word, endless); err != nil {
		return errors.Join(fmt.Errorf("begin the bulk transfer: %w", err), conn.Close())
	}
	go func() {
		if word == wordUpload {
			_ = pour(conn, b.block, endless) // until it is closed
			return
		}
		_, _ = io.Copy(io.Discard, conn)
	}()
	return nil
}

// crowd opens many connections at once; each has one echo.
func (b *bench) crowd(ctx context.Context, s subject) error {
	return b.with(ctx, s, func(ctx context.Context, c *client) error {
		ctx, cancel := context.WithTimeout(ctx, b.effort.stall)
		defer cancel()
		times := make(chan time.Duration)
		for range crowd {
			go func() {
				took, err := b.freshEcho(ctx, c)
				if err != nil {
					took = 0
				}
				times <- took
			}()
		}
		var served []time.Duration
		for range crowd {
			if took := <-times; took > 0 {
				served = append(served, took)
			}
		}
		b.results.add("connections-served", s.name, float64(len(served)))
		if len(served) > 0 {
			b.results.add("connections-p50", s.name, milliseconds(percentile(served, 50)))
		}
		return nil
	})
}

// uploads takes rate, CPU time and memory of an upload spread over some connections.
func uploads(metric string, connections int) func(*bench, context.Context, subject) error {
	return func(b *bench, ctx context.Context, s subject) error {
		size := b.effort.fastUpload
		if s.name == namePlugin {
			size = b.effort.pacedUpload
		}
		return b.with(ctx, s, func(ctx context.Context, c *client) error {
			return b.transfer(ctx, metric, s, c, size, b.world.received, func(ctx context.Context) error {
				return c.spread(ctx, connections, size, upload(b.block))
			})
		})
	}
}

// downloads does so for a download.
func downloads(metric string, connections int) func(*bench, context.Context, subject) error {
	return func(b *bench, ctx context.Context, s subject) error {
		size := b.effort.download
		return b.with(ctx, s, func(ctx context.Context, c *client) error {
			var moved atomic.Int64
			return b.transfer(ctx, metric, s, c, size, moved.Load, func(ctx context.Context) error {
				return c.spread(ctx, connections, size, download(&moved))
			})
		})
	}
}

// transfer adds what a transfer of size bytes took.
func (b *bench) transfer(ctx context.Context, metric string, s subject, c *client, size int64, progress func() int64, do func(context.Context) error) error {
	before, err := usageOf(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := guarded(ctx, b.effort.stall, progress, do); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := usageOf(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	b.results.add(metric, s.name, float64(size)/1e6/took.Seconds())
	b.results.add(metric+"-cpu", s.name, (after.cpu-before.cpu).Seconds()*1e8/float64(size))
	b.results.add(metric+"-memory", s.name, float64(after.peak)/1e6)
	return nil
}

// lossy takes the rate while messages and acknowledges get lost both ways. A transfer that stalls for good has the rate
// 0; one that is not done in time has the rate until then.
func lossy(metric, word string) func(*bench, context.Context, subject) error {
	return func(b *bench, ctx context.Context, s subject) error {
		return b.with(ctx, s, func(ctx context.Context, c *client) error {
			under := b.world.usual
			under.Loss = lossShare
			if err := b.world.set(under); err != nil {
				return err
			}
			var moved atomic.Int64
			progress, one := b.world.received, upload(b.block)
			if word == wordSource {
				progress, one = moved.Load, download(&moved)
			}
			size := b.effort.lossy
			first, began := progress(), time.Now()
			limited, cancel := context.WithTimeout(ctx, b.effort.lossLimit)
			defer cancel()
			err := guarded(limited, b.effort.stall, progress, func(ctx context.Context) error { return c.spread(ctx, 1, size, one) })
			took := time.Since(began)
			rate := float64(size) / 1e6 / took.Seconds()
			var stalled *stallError
			switch {
			case errors.As(err, &stalled):
				b.results.remark(metric, s.name, stalled.Error())
				rate = 0
			case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
				n := progress() - first
				rate = float64(n) / 1e6 / took.Seconds()
				b.results.remark(metric, s.name, fmt.Sprintf("called off after %s with %.1f of %.1f MB done", b.effort.lossLimit, float64(n)/1e6, float64(size)/1e6))
			case err != nil:
				return err
			}
			b.results.add(metric, s.name, rate)
			return nil
		})
	}
}

// flat watches the memory over a long upload and a long download of one process, the agent's rests left out.
func (b *bench) flat(ctx context.Context, s subject) error {
	unpaced := b.world.usual
	unpaced.Pacing = 0
	if err := b.world.set(unpaced); err != nil {
		return err
	}
	return b.with(ctx, s, func(ctx context.Context, c *client) error {
		growth := 0.0
		var moved atomic.Int64
		for _, way := range []struct {
			metric   string
			progress func() int64
			do       func(context.Context) error
		}{
			{"flat-upload", b.world.received, func(ctx context.Context) error { return c.spread(ctx, 1, b.effort.flat, upload(b.block)) }},
			{"flat-download", moved.Load, func(ctx context.Context) error { return c.spread(ctx, 1, b.effort.flat, download(&moved)) }},
		} {
			samples := sampleRSS(ctx, c.cmd.Process.Pid)
			err := b.transfer(ctx, way.metric, s, c, b.effort.flat, way.progress, way.do)
			rss := samples()
			if err != nil {
				return err
			}
			growth = max(growth, lateGrowth(rss))
		}
		used, err := usageOf(c.cmd.Process.Pid)
		if err != nil {
			return err
		}
		b.results.add("flat-peak", s.name, float64(used.peak)/1e6)
		b.results.add("flat-growth", s.name, growth)
		return nil
	})
}

// sampleRSS looks at a process's resident memory every now and then until the function it returns is called.
func sampleRSS(ctx context.Context, pid int) func() []int64 {
	ctx, cancel := context.WithCancel(ctx)
	samples := make(chan []int64)
	go func() {
		var all []int64
		for pause(ctx, sampleRSSEvery) == nil {
			if u, err := usageOf(pid); err == nil {
				all = append(all, u.rss)
			}
		}
		samples <- all
	}()
	return func() []int64 {
		cancel()
		return <-samples
	}
}

// lateGrowth is by how many MB the most of the last quarter is above the most of the second; the first is left out,
// because buffers fill up in it.
func lateGrowth(rss []int64) float64 {
	quarter := len(rss) / 4
	if quarter == 0 {
		return 0
	}
	return float64(slices.Max(rss[3*quarter:])-slices.Max(rss[quarter:2*quarter])) / 1e6
}
