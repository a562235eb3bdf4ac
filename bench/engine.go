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

const lanesFlag = "--lanes"

// engine runs culvert's engine until ctx ends, as culvert --headless does but without its face, and writes its profiles.
func engine(ctx context.Context, local, lanes, profile string, out io.Writer) (err error) {
	at, err := netip.ParseAddrPort("127.0.0.1:" + local)
	if err != nil {
		return fmt.Errorf("parse the local port: %w", err)
	}
	count, err := strconv.Atoi(lanes)
	if err != nil {
		return fmt.Errorf("parse the number of lanes: %w", err)
	}
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
	target, err := c.Lookup(ctx, aws.Query{Cluster: cluster, Service: service, Container: container, Port: port})
	if err != nil {
		return err
	}
	e := tunnel.New(tunnel.Options{Client: c, Lanes: count})
	events := e.Watch(ctx)
	if _, err := e.Open(tunnel.Spec{Target: target, Remote: tunnel.Endpoint{Port: port}, Local: at}); err != nil { //nolint:contextcheck // lives until the engine is closed
		return err
	}
	ready := false
	for event := range events {
		if event.State == tunnel.Open && !ready {
			ready = true
			_, _ = fmt.Fprintln(out, `"ready"`) // nobody reads on: the bench is gone
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
