//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// harmMetric is that of a harm to a download through the relay: the longest silence in it, for two sessions the rate after it, for
// the relay the time until the connection ends.
func harmMetric(h harm) string { return relayedFaults + "-" + string(h) }

const servedAgain = relayedFaults + "-again" // a connection after the relay's end

// harms takes what each harm costs, each with a client and a relay of its own.
func (b *bench) harms(ctx context.Context, s subject) error {
	for _, what := range []harm{harmSession, harmSocket, harmTwo, harmAll, harmRelay} {
		if err := b.world.reap(); err != nil {
			return err
		}
		err := besideARelay(func(b *bench, ctx context.Context, s subject) error {
			return b.with(ctx, s, func(ctx context.Context, c *client) error { return b.suffer(ctx, s, c, what) })
		})(b, ctx, s)
		if err != nil {
			return fmt.Errorf("harm to the %s: %w", what, err)
		}
	}
	return nil
}

// suffer has one harm done in the middle of a download.
func (b *bench) suffer(ctx context.Context, s subject, c *client, what harm) error {
	metric := harmMetric(what)
	size := b.effort.harmed
	if what == harmTwo {
		size = b.effort.recovering
	}
	var moved atomic.Int64
	var seen *watched
	var harmedAt time.Time
	harmed := make(chan error, 1)
	ending, end := context.WithCancel(ctx)
	defer end()
	go func() {
		for moved.Load() < size/3 {
			if pause(ending, dialEach) != nil {
				harmed <- errors.New("the download was over before")
				return
			}
		}
		harmedAt = time.Now()
		harmed <- b.world.harm(what)
	}()
	err := guarded(ctx, b.effort.stall, moved.Load, func(ctx context.Context) error {
		return c.spread(ctx, 1, size, func(ctx context.Context, conn net.Conn, n int64) error {
			seen = &watched{Conn: conn}
			return download(&moved)(ctx, seen, n)
		})
	})
	over := time.Now()
	end()
	if failed := <-harmed; failed != nil {
		return errors.Join(failed, err)
	}
	switch {
	case what == harmRelay && err == nil:
		return errors.New("the download went on without the relay")
	case what == harmRelay:
		b.results.add(metric, s.name, milliseconds(over.Sub(harmedAt)))
		return b.serveAgain(ctx, s, c, harmedAt)
	case err != nil:
		return err
	case what == harmTwo:
		before, after := seen.rate(harmedAt.Add(-time.Second), harmedAt), seen.rate(harmedAt.Add(b.effort.recovery), over)
		if before == 0 || after == 0 {
			return errors.New("the download was too short")
		}
		b.results.add(metric, s.name, 100*after/before)
	default:
		b.results.add(metric, s.name, milliseconds(seen.silence(harmedAt)))
	}
	return nil
}

// serveAgain takes the time until a connection is served after the relay's end.
func (b *bench) serveAgain(ctx context.Context, s subject, c *client, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, b.effort.served)
	defer cancel()
	for {
		_, err := b.freshEcho(ctx, c)
		if err == nil {
			b.results.add(servedAgain, s.name, milliseconds(time.Since(since)))
			return nil
		}
		if pause(ctx, dialEach) != nil {
			return fmt.Errorf("no connection is served without the relay: %w", err)
		}
	}
}

// watched is a connection that notes when bytes come. One goroutine reads, and who asks does so afterwards.
type watched struct {
	net.Conn

	came []arrival
}

type arrival struct {
	at    time.Time
	bytes int
}

// Read implements net.Conn.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.came = append(w.came, arrival{time.Now(), n})
	}
	return n, err
}

// silence is the longest time without a byte that ends after a moment.
func (w *watched) silence(after time.Time) (longest time.Duration) {
	for i := range w.came {
		if i > 0 && w.came[i].at.After(after) {
			longest = max(longest, w.came[i].at.Sub(w.came[i-1].at))
		}
	}
	return longest
}

// rate is that of what comes between two moments, the first byte of all not being before; 0 where that is no time.
func (w *watched) rate(from, to time.Time) float64 {
	if len(w.came) > 0 && w.came[0].at.After(from) {
		from = w.came[0].at
	}
	total := 0
	for _, a := range w.came {
		if a.at.After(from) && !a.at.After(to) {
			total += a.bytes
		}
	}
	if !to.After(from) {
		return 0
	}
	return float64(total) / to.Sub(from).Seconds()
}
