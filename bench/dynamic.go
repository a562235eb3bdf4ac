//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

// A dynamic tunnel is measured beside a plain one to the same host, both of an engine in this process: what they differ by is the
// pool of destinations and the proxy, which a process of its own would hide in its start.
const (
	dynamicMetric = "dynamic"
	dynamicCold   = "dynamic-cold"  // from asking for a new host to its first answer
	dynamicLeast  = "dynamic-least" // what that must take: StartSession, the handshake and one round trip
	dynamicWarm   = "dynamic-warm"  // a new connection to a known host, to its first answer
	dynamicPlain  = "dynamic-plain" // the same through a plain tunnel
	anyHost       = "far.internal"  // is the destination, at any port
	warmTimes     = 20
)

func (b *bench) dynamic(ctx context.Context, _ subject) (err error) {
	target, err := b.world.lookup(ctx, place{service, port})
	if err != nil {
		return err
	}
	target.Task, target.RuntimeID = "", "" // any of the service's
	e := tunnel.New(tunnel.Options{Client: b.world.client})
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, e.Close(closing))
	}()
	free := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	dynamic, err := e.Open(tunnel.Spec{Target: target, Local: free, Dynamic: &tunnel.Dynamic{}}) //nolint:contextcheck // lives until the engine is closed
	if err != nil {
		return err
	}
	if _, err := dynamic.Prove(ctx); err != nil {
		return err
	}
	if err := pause(ctx, time.Second); err != nil { // the session that proved it ends
		return err
	}
	to := tunnel.Endpoint{Host: anyHost, Port: port}
	began := time.Now()
	if err := b.answer(ctx, dynamic, &to); err != nil {
		return err
	}
	b.results.add(dynamicCold, nameCulvert, milliseconds(time.Since(began)))
	return b.beside(ctx, e, dynamic, to, target, free)
}

// beside takes the other times: those of a plain tunnel, and of both once they are known.
func (b *bench) beside(ctx context.Context, e *tunnel.Engine, dynamic *tunnel.Tunnel, to tunnel.Endpoint, target aws.Target, free netip.AddrPort) error {
	events := e.Watch(ctx)
	began := time.Now()
	plain, err := e.Open(tunnel.Spec{Target: target, Local: free, Remote: to}) //nolint:contextcheck // as above
	if err != nil {
		return err
	}
	for event := range events {
		if event.Tunnel == plain.ID() && event.State == tunnel.Open {
			break
		}
	}
	open := time.Since(began)
	if err := pause(ctx, 100*time.Millisecond); err != nil { // the agent has settled
		return err
	}
	var direct, known []time.Duration
	for range warmTimes {
		began = time.Now()
		if err := b.answer(ctx, plain, nil); err != nil {
			return err
		}
		direct = append(direct, time.Since(began))
		began = time.Now()
		if err := b.answer(ctx, dynamic, &to); err != nil {
			return err
		}
		known = append(known, time.Since(began))
	}
	trip := percentile(direct, 50)
	b.results.add(dynamicLeast, nameCulvert, milliseconds(open+trip))
	b.results.add(dynamicPlain, nameCulvert, milliseconds(trip))
	b.results.add(dynamicWarm, nameCulvert, milliseconds(percentile(known, 50)))
	return nil
}

// answer connects through a tunnel, to a host by its proxy if one is named, and waits for the echo of 1 KiB.
func (b *bench) answer(ctx context.Context, t *tunnel.Tunnel, to *tunnel.Endpoint) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", t.Addr().String())
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close() //nolint:errcheck // it is over
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if to != nil {
		if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to); err != nil {
			return fmt.Errorf("connect to %s: %w", to, err)
		}
		said, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // it has none
		if err != nil {
			return fmt.Errorf("connect to %s: %w", to, err)
		}
		if said.StatusCode != http.StatusOK {
			return fmt.Errorf("connect to %s: %s", to, said.Status)
		}
	}
	if _, err := fmt.Fprintln(conn, wordEcho); err != nil {
		return fmt.Errorf("begin an echo: %w", err)
	}
	one := &echo{conn: conn, sent: b.block[:echoSize], found: make([]byte, echoSize)}
	_, err = one.once()
	return err
}

func within(times float64) func(*results, float64, float64) bool {
	return func(_ *results, c, other float64) bool { return c <= times*other }
}
