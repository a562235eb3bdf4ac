//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	closesMetric = "closes"
	undisturbed  = closesMetric + "-undisturbed"
	oneClose     = closesMetric + "-one"
	threeCloses  = closesMetric + "-three"
)

// closings takes the time of a download without and with websockets that are closed in the middle of it. What counts is
// by how much the second is above the first, on the same client.
func (b *bench) closings(ctx context.Context, s subject) error {
	err := b.with(ctx, s, func(ctx context.Context, c *client) error {
		usual, err := b.closing(ctx, c, 0)
		if err != nil {
			return err
		}
		b.results.add(undisturbed, s.name, usual.Seconds())
		for _, one := range []struct {
			metric string
			closes int
		}{{oneClose, 1}, {threeCloses, 3}} {
			took, err := b.closing(ctx, c, one.closes)
			if err != nil {
				return fmt.Errorf("sockets closed: %d: %w", one.closes, err)
			}
			b.results.add(one.metric, s.name, (took - usual).Seconds())
		}
		return nil
	})
	if err != nil && s.name == namePlugin && ctx.Err() == nil {
		b.results.remark(closesMetric, s.name, "did not survive: "+err.Error())
		return nil
	}
	return err
}

// closing is one download; every closeEach of it a socket is closed, until so many have been.
func (b *bench) closing(ctx context.Context, c *client, closes int) (time.Duration, error) {
	var moved atomic.Int64
	var failed error
	var closer sync.WaitGroup
	ending, end := context.WithCancel(ctx)
	defer end()
	began := time.Now()
	closer.Go(func() {
		for range closes {
			if pause(ending, b.effort.closeEach) != nil {
				failed = errors.New("the download was over before the sockets were closed")
				return
			}
			if failed = b.world.closeSockets(); failed != nil {
				return
			}
		}
	})
	err := guarded(ctx, b.effort.stall, moved.Load, func(ctx context.Context) error {
		return c.spread(ctx, 1, b.effort.closing, download(&moved))
	})
	took := time.Since(began)
	end()
	closer.Wait()
	if err != nil {
		return 0, err
	}
	return took, failed
}
