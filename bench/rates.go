//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

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
		if s.name == namePlugin && connections > 1 {
			size = b.effort.crowded
		}
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
