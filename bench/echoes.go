//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// firstByte takes the time from the start of the process to the first byte.
func firstByte(metric string) func(*bench, context.Context, subject) error {
	return func(b *bench, ctx context.Context, s subject) error {
		c, err := s.start(ctx, b.world)
		if err != nil {
			return err
		}
		defer c.stop()
		took, err := c.firstByte(ctx)
		if err != nil {
			return err
		}
		b.results.add(metric, s.name, milliseconds(took))
		return nil
	}
}

// idleEcho takes echoes while nothing else goes on.
func idleEcho(metric string) func(*bench, context.Context, subject) error {
	return func(b *bench, ctx context.Context, s subject) error {
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
				b.addTimes(metric, s, times)
				return nil
			})
		})
	}
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
			began := time.Now()
			e, err := c.echo(ctx, b.block)
			if err != nil {
				return err
			}
			first, err := e.once()
			if err != nil {
				return err
			}
			b.results.add(metric+"-first", s.name, milliseconds(time.Since(began)))
			staying, err := b.echoes(e.once)
			if err != nil {
				return err
			}
			b.addTimes(metric, s, append(staying, first))
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

// crowd has many connections at once, and as many again when those have ended.
func (b *bench) crowd(ctx context.Context, s subject) error {
	return b.with(ctx, s, func(ctx context.Context, c *client) error {
		served := b.flock(ctx, c)
		b.results.add("connections-served", s.name, float64(len(served)))
		if len(served) == 0 {
			return nil
		}
		b.results.add("connections-p50", s.name, milliseconds(percentile(served, 50)))
		b.results.add("connections-last", s.name, milliseconds(percentile(served, 100)))
		if again := b.flock(ctx, c); len(again) > 0 {
			b.results.add("connections-again", s.name, milliseconds(percentile(again, 50)))
		}
		return nil
	})
}

// flock opens many connections at once, each of which has one echo, and returns what that took those that were served.
func (b *bench) flock(ctx context.Context, c *client) (served []time.Duration) {
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
	for range crowd {
		if took := <-times; took > 0 {
			served = append(served, took)
		}
	}
	return served
}
