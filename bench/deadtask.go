//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const deadTask = "task-killed"

// untilServed takes the time from a task's death to the first answer of a connection that is opened after it. A connection
// that ends without an answer is followed by the next one.
func (b *bench) untilServed(ctx context.Context, s subject) error {
	if b.results.remarked(deadTask, s.name) {
		return nil // it has shown what it does
	}
	limit := b.effort.served
	if s.name == namePlugin {
		limit = b.effort.gone
	}
	err := b.with(ctx, s, func(ctx context.Context, c *client) error {
		ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no connection was served within %s of the task's death", limit))
		defer cancel()
		before, err := c.echo(ctx, b.block)
		if err != nil {
			return err
		}
		if _, err := before.once(); err != nil {
			return err
		}
		if err := b.world.kill(); err != nil {
			return err
		}
		killed := time.Now()
		for {
			_, err := b.freshEcho(ctx, c)
			if err == nil {
				b.results.add(deadTask, s.name, time.Since(killed).Seconds())
				return nil
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			select {
			case <-c.ended:
				return errors.New("the client ended: " + c.said.tail())
			default:
			}
			if err := pause(ctx, dialEach); err != nil {
				return err
			}
		}
	})
	if err != nil && s.name == namePlugin && ctx.Err() == nil {
		b.results.remark(deadTask, s.name, err.Error())
		return nil
	}
	return err
}
