//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

const (
	lanesFlag = "--lanes"
	relayFlag = "--relay"
)

// engine runs culvert's engine until ctx ends, as culvert --headless does but without its face, and writes its profiles. It is
// given a local port, a service, a port of its task, the two flags, and the beginning of the profiles' names.
func engine(ctx context.Context, args []string, out io.Writer) (err error) {
	at, err := netip.ParseAddrPort("127.0.0.1:" + args[0])
	if err != nil {
		return fmt.Errorf("parse the local port: %w", err)
	}
	remote, err := strconv.ParseUint(args[2], 10, 16)
	if err != nil {
		return fmt.Errorf("parse the remote port: %w", err)
	}
	count, err := strconv.Atoi(args[3])
	if err != nil {
		return fmt.Errorf("parse the number of lanes: %w", err)
	}
	options := tunnel.Options{Lanes: count}
	if args[4] == "no" {
		options.Relay = tunnel.RelayNo
	}
	profile := args[5]
	cpu, err := os.Create(profile + ".cpu.prof") //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	defer func() { err = errors.Join(err, cpu.Close()) }()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	defer pprof.StopCPUProfile()
	c, err := aws.Connect(ctx, aws.Options{})
	if err != nil {
		return err
	}
	target, err := c.Lookup(ctx, aws.Query{Cluster: cluster, Service: args[1], Container: container, Port: uint16(remote)})
	if err != nil {
		return err
	}
	options.Client = c
	e := tunnel.New(options)
	events := e.Watch(ctx)
	s := tunnel.Spec{Target: target, Remote: tunnel.Endpoint{Port: uint16(remote)}, Local: at}
	if err := e.SeekRelay(ctx, &s); err != nil {
		return err
	}
	if _, err := e.Open(s); err != nil { //nolint:contextcheck // lives until the engine is closed
		return err
	}
	ready, on := false, false
	for event := range events {
		if event.State == tunnel.Open && !ready {
			ready = true
			_, _ = fmt.Fprintln(out, culvertReady) // nobody reads on: the bench is gone
		}
		if event.Link.Relay.On && !on {
			on = true
			_, _ = fmt.Fprintln(out, relayOn) // likewise
		}
	}
	heap, err := os.Create(profile + ".heap.prof") //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	defer func() { err = errors.Join(err, heap.Close()) }()
	runtime.GC()
	if err := pprof.WriteHeapProfile(heap); err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return e.Close(closing)
}
