//go:build linux

package main

import (
	"context"
	"slices"
	"sync/atomic"
)

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
