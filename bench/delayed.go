//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// delayed is a way to a server on which every byte takes its time, each way, and which has room for any number of them.
type delayed struct {
	listener net.Listener
	to       string
	delay    time.Duration
	ctx      context.Context //nolint:containedctx // its own life
	stop     context.CancelFunc
	running  sync.WaitGroup
}

func startDelayed(to string, delay time.Duration) (*delayed, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	if err != nil {
		return nil, fmt.Errorf("delay what goes to %s: %w", to, err)
	}
	d := &delayed{listener: l, to: to, delay: delay}
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			d.running.Go(func() { d.serve(conn) })
		}
	})
	return d, nil
}

func (d *delayed) address() string { return d.listener.Addr().String() }

func (d *delayed) close() {
	_ = d.listener.Close()
	d.stop()
	d.running.Wait()
}

func (d *delayed) serve(near net.Conn) {
	defer near.Close() //nolint:errcheck // the browser sees it
	var dialer net.Dialer
	far, err := dialer.DialContext(d.ctx, "tcp", d.to)
	if err != nil {
		return
	}
	defer far.Close()                       //nolint:errcheck // likewise
	defer context.AfterFunc(d.ctx, func() { // nothing is waited for after the end
		_, _ = near.Close(), far.Close()
	})()
	var ways sync.WaitGroup
	ways.Go(func() { _ = d.carry(far, near) })
	ways.Go(func() { _ = d.carry(near, far) })
	ways.Wait()
}

// late is a piece and when it is due.
type late struct {
	due   time.Time
	bytes []byte
}

// carry brings what comes from one side to the other, and its end.
func (d *delayed) carry(to, from net.Conn) error {
	const inFlight = 4096
	pieces := make(chan late, inFlight)
	var writing sync.WaitGroup
	writing.Go(func() {
		var failed error
		for p := range pieces {
			if failed == nil {
				failed = pause(d.ctx, time.Until(p.due))
			}
			if failed == nil {
				_, failed = to.Write(p.bytes)
			}
		}
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	})
	var err error
	for buffer := make([]byte, 16<<10); err == nil; {
		var n int
		n, err = from.Read(buffer)
		if n > 0 {
			pieces <- late{time.Now().Add(d.delay), append([]byte(nil), buffer[:n]...)}
		}
	}
	close(pieces)
	writing.Wait()
	return err
}
