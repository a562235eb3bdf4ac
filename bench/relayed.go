//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// What is measured through a relay, beside the same without it and beside the plugin.
const (
	relayGroup = "relay"

	relayedMetric  = "relay-download"
	relayed8       = "relay-download8"
	relayed16      = "relay-download16"
	relayedFar     = "relay-download-far"
	relayedEcho    = "relay-echo"
	relayedBeside  = "relay-echo-download"
	relayedNew     = "relay-new"
	relayedRefused = "relay-refused"
	relayedPage    = "relay-page"
	relayedPage2   = "relay-page-h2"
	relayedFaults  = "relay-faults"
	relayedAbsent  = "relay-absent"

	relayCPU    = "-relay-cpu"
	relayMemory = "-relay-memory"
	relayBarred = "-barred"

	namePlain   = "culvert --relay no"
	nameEight   = "culvert --relay no, 8 connections"
	nameDynamic = "culvert -D"

	farDelay = 50 * time.Millisecond // each way, of relayedFar
)

// proxiedHost is a name that the page's proxy resolves; all lead to loopback.
func proxiedHost(i int) string { return "h" + strconv.Itoa(i) + ".internal" }

// throughRelay is culvert as people start it, where the task has a relay.
func throughRelay(to remote, extra ...string) subject {
	return subject{nameCulvert, to, func(ctx context.Context, w *world, to remote) (*client, error) {
		return startCulvert(ctx, w, to, marks{culvertReady, relayOn}, extra)
	}}
}

// withoutRelay is culvert that is told not to use it.
func withoutRelay(name string, to remote, extra ...string) subject {
	return subject{name, to, culvert(append(extra, relayFlag, "no")...).begin}
}

func relayMeasurements() []measurement {
	usual := func(e effort) int { return e.runs }
	app, big := remote{bonded, port}, remote{bondedBig, port}
	pages, door := remote{bonded, proxyPort}, remote{bonded, doorPort}
	anyHost := subject{nameDynamic, usualRemote(), anyHost().begin}
	eight := withoutRelay(nameEight, app, lanesFlag, "8")
	all := []measurement{
		{relayedMetric, usual, []subject{throughRelay(app), withoutRelay(namePlain, app), plugin().at(app)}, relayedDownload(relayedMetric, 0)},
		{relayed8, usual, []subject{throughRelay(app, lanesFlag, "8"), eight, plugin().at(app)}, relayedDownload(relayed8, 0)},
		{relayed16, usual, []subject{throughRelay(big, lanesFlag, "16"), plugin().at(big)}, relayedDownload(relayed16, 0)},
		{relayedFar, usual, []subject{throughRelay(app), plugin().at(app)}, relayedDownload(relayedFar, farDelay)},
		{relayedEcho, usual, []subject{throughRelay(app), withoutRelay(namePlain, app), plugin().at(app)}, idleEcho(relayedEcho)},
		{relayedBeside, usual, []subject{throughRelay(app), withoutRelay(namePlain, app)}, (*bench).besideChecked},
		{relayedNew, usual, []subject{throughRelay(pages), withoutRelay(namePlain, pages), anyHost}, (*bench).newHosts},
		{relayedRefused, usual, []subject{throughRelay(door), withoutRelay(namePlain, door)}, (*bench).refusals},
		{relayedPage2, usual, []subject{throughRelay(pages), withoutRelay(namePlain, pages), straight()}, browse(overHTTP2, relayedPage2)},
		{relayedPage, usual, []subject{throughRelay(pages), withoutRelay(namePlain, pages), straight()}, browse(overHTTP1, relayedPage)},
		{relayedFaults, usual, []subject{throughRelay(app, lanesFlag, "8")}, (*bench).harms},
	}
	for i := range all {
		if all[i].name != relayedFaults { // each of them has its own
			all[i].do = besideARelay(all[i].do)
		}
	}
	return append(all, measurement{relayedAbsent, usual, []subject{culvert().at(app), withoutRelay(namePlain, app)}, firstByte(relayedAbsent)})
}

// besideARelay measures with a relay of its own, whose process is b.relay meanwhile, and sees to it that culvert has used it.
func besideARelay(do func(*bench, context.Context, subject) error) func(*bench, context.Context, subject) error {
	return func(b *bench, ctx context.Context, s subject) (err error) {
		if s.name != nameCulvert {
			return do(b, ctx, s)
		}
		if b.relay, err = b.world.startRelay(); err != nil {
			return err
		}
		err = do(b, ctx, s)
		streams, failed := b.world.endRelay()
		if err = errors.Join(err, failed); err == nil && streams == 0 {
			return errors.New("nothing went through the relay")
		}
		return err
	}
}

// relayedDownload takes one download through the relay, and as much on eight connections without it; others get less, as their
// rate is that of a session. At another delay than the usual one if it is named.
func relayedDownload(metric string, delay time.Duration) func(*bench, context.Context, subject) error {
	return func(b *bench, ctx context.Context, s subject) error {
		if delay > 0 {
			under := b.world.usual
			under.Delay = delay
			if err := b.world.set(under); err != nil {
				return err
			}
		}
		size, connections := b.effort.single, 1
		switch s.name {
		case nameCulvert:
			size = b.effort.bonded
		case nameEight:
			size, connections = b.effort.bonded, manyConns
		}
		return b.with(ctx, s, func(ctx context.Context, c *client) error {
			var moved atomic.Int64
			whole := func() error {
				return b.transfer(ctx, metric, s, c, size, moved.Load, func(ctx context.Context) error {
					return c.spread(ctx, connections, size, download(&moved))
				})
			}
			if s.name != nameCulvert {
				return whole()
			}
			before, err := usageOf(b.relay)
			if err != nil {
				return err
			}
			if err := whole(); err != nil {
				return err
			}
			after, err := usageOf(b.relay)
			if err != nil {
				return err
			}
			b.results.add(metric+relayCPU, s.name, (after.cpu-before.cpu).Seconds()*1e8/float64(size))
			b.results.add(metric+relayMemory, s.name, float64(after.peak)/1e6)
			return nil
		})
	}
}

// besideChecked takes echoes beside a download whose bytes are all looked at, and the download's rate before and meanwhile.
func (b *bench) besideChecked(ctx context.Context, s subject) error {
	return b.with(ctx, s, func(ctx context.Context, c *client) error {
		ctx, cancel := context.WithTimeoutCause(ctx, besideWithin, errors.New("not done within "+besideWithin.String()))
		defer cancel()
		var moved atomic.Int64
		wrong := make(chan error, 1)
		if err := b.endless(ctx, c, &moved, wrong); err != nil {
			return err
		}
		if err := pause(ctx, b.effort.warm); err != nil {
			return err
		}
		began, first := time.Now(), moved.Load()
		rate := func() float64 { return float64(moved.Load()-first) / time.Since(began).Seconds() }
		if err := pause(ctx, b.effort.beside); err != nil {
			return err
		}
		alone := rate()
		began, first = time.Now(), moved.Load()
		e, err := c.echo(ctx, b.block)
		if err != nil {
			return err
		}
		times, err := b.echoes(e.once)
		if err != nil {
			return err
		}
		beside := rate()
		select {
		case err := <-wrong:
			return err
		default:
		}
		b.addTimes(relayedBeside, s, times)
		b.results.add(relayedBeside+"-share", s.name, 100*beside/alone)
		return nil
	})
}

// endless begins a download that ends with ctx, counts its bytes and compares them with what the destination repeats.
func (b *bench) endless(ctx context.Context, c *client, moved *atomic.Int64, wrong chan<- error) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "%s %d\n", wordSource, int64(1)<<50); err != nil {
		return errors.Join(fmt.Errorf("begin the download: %w", err), conn.Close())
	}
	go func() {
		for buffer, at := make([]byte, 64<<10), 0; ; {
			n, err := conn.Read(buffer[:min(len(buffer), len(b.block)-at)])
			moved.Add(int64(n))
			switch {
			case !bytes.Equal(buffer[:n], b.block[at:at+n]):
				wrong <- errors.New("other bytes have come than were sent")
				return
			case err != nil:
				wrong <- fmt.Errorf("the download ended: %w", err)
				return
			}
			at = (at + n) % len(b.block)
		}
	}()
	return nil
}

// newHosts takes the round trips until hosts answer that nobody has asked for before: CONNECT to the proxy and a byte there and
// back. Beside that, culvert -D has sessions for hosts. And those of a host that the proxy refuses.
func (b *bench) newHosts(ctx context.Context, s subject) error {
	trip := b.results.trip
	if trip == 0 {
		return errors.New("round trips are counted: there is none with -delay 0")
	}
	host := func(i int) string { return net.JoinHostPort(benchHost(i), strconv.Itoa(port)) }
	if s.name != nameDynamic {
		if _, err := b.world.openSite(b.world.programs.browser.squid); err != nil {
			return err
		}
		host = func(i int) string { return net.JoinHostPort(proxiedHost(i), strconv.Itoa(int(b.world.Real[port]))) }
	}
	return b.with(ctx, s, func(ctx context.Context, c *client) error {
		var answers, refusals []time.Duration
		for i := range dynamicHosts {
			took, err := c.ask(ctx, host(i))
			if err != nil {
				return err
			}
			answers = append(answers, took)
			if s.name == nameDynamic {
				continue
			}
			if took, err = c.askBarred(ctx); err != nil {
				return err
			}
			refusals = append(refusals, took)
		}
		b.results.add(relayedNew, s.name, percentile(answers, 50).Seconds()/trip.Seconds())
		if len(refusals) > 0 {
			b.results.add(relayedNew+relayBarred, s.name, percentile(refusals, 50).Seconds()/trip.Seconds())
		}
		return nil
	})
}

// askBarred asks the page's proxy for a host that its rules refuse, and takes the time to the answer.
func (c *client) askBarred(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	began := time.Now()
	conn, err := c.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close() //nolint:errcheck // it has answered
	if err := request(conn, bufio.NewReader(conn), "elsewhere.example:443", http.StatusForbidden); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// refusals takes the round trips until a connection ends whose port nobody listens on any more.
func (b *bench) refusals(ctx context.Context, s subject) error {
	trip := b.results.trip
	if trip == 0 {
		return errors.New("round trips are counted: there is none with -delay 0")
	}
	return b.with(ctx, s, func(ctx context.Context, c *client) error {
		if err := b.world.shut(); err != nil {
			return err
		}
		var times []time.Duration
		for range dynamicHosts {
			began := time.Now()
			conn, err := c.dial(ctx)
			if err != nil {
				return err
			}
			if err := conn.SetReadDeadline(began.Add(b.effort.stall)); err != nil {
				return err
			}
			n, err := conn.Read(make([]byte, 1))
			took := time.Since(began)
			_ = conn.Close()
			if timeout, is := errors.AsType[net.Error](err); n > 0 || is && timeout.Timeout() {
				return fmt.Errorf("a port that nobody listens on: %d bytes, %w", n, err)
			}
			times = append(times, took)
		}
		b.results.add(relayedRefused, s.name, percentile(times, 50).Seconds()/trip.Seconds())
		return nil
	})
}
