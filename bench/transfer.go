//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	echoSize = 1 << 10
	lookEach = 100 * time.Millisecond // for progress
	dialEach = time.Millisecond       // until the forward listens
)

// stallError says that a transfer stopped moving.
type stallError struct {
	moved int64
	after time.Duration
}

func (e *stallError) Error() string {
	return fmt.Sprintf("stalled after %.1f MB: no byte for %s", float64(e.moved)/1e6, e.after)
}

// guarded runs a transfer and calls it off when progress, a count of bytes, stands still for that long.
func guarded(ctx context.Context, stall time.Duration, progress func() int64, transfer func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	first := progress()
	var watching sync.WaitGroup
	watching.Go(func() {
		last, since := first, time.Now()
		for pause(ctx, lookEach) == nil {
			if n := progress(); n != last {
				last, since = n, time.Now()
			} else if time.Since(since) > stall {
				cancel(&stallError{moved: n - first, after: stall})
			}
		}
	})
	err := transfer(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // the connections were closed for it
	}
	cancel(nil)
	watching.Wait()
	return err
}

// spread runs a transfer of n bytes over several connections at once.
func (c *client) spread(ctx context.Context, connections int, n int64, one func(context.Context, net.Conn, int64) error) error {
	failed := make([]error, connections)
	var running sync.WaitGroup
	for i := range connections {
		running.Go(func() {
			conn, err := c.dial(ctx)
			if err == nil {
				err = errors.Join(one(ctx, conn, n/int64(connections)), conn.Close())
			}
			failed[i] = err
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

// upload sends n bytes and waits until the destination has them all, with the right digest.
func upload(block []byte) func(context.Context, net.Conn, int64) error {
	return func(_ context.Context, conn net.Conn, n int64) error {
		if _, err := fmt.Fprintf(conn, "%s %d\n", wordUpload, n); err != nil {
			return fmt.Errorf("upload: %w", err)
		}
		digest := sha256.New()
		if err := pour(io.MultiWriter(conn, digest), block, n); err != nil {
			return fmt.Errorf("upload: %w", err)
		}
		return checkDigest(conn, digest.Sum(nil))
	}
}

// download takes n bytes and checks their digest; moved counts them.
func download(moved *atomic.Int64) func(context.Context, net.Conn, int64) error {
	return func(_ context.Context, conn net.Conn, n int64) error {
		if _, err := fmt.Fprintf(conn, "%s %d\n", wordSource, n); err != nil {
			return fmt.Errorf("download: %w", err)
		}
		digest, buffer := sha256.New(), make([]byte, 64<<10)
		for n > 0 {
			k, err := conn.Read(buffer[:min(n, int64(len(buffer)))])
			digest.Write(buffer[:k])
			moved.Add(int64(k))
			if n -= int64(k); err != nil {
				return fmt.Errorf("download: %w", err)
			}
		}
		return checkDigest(conn, digest.Sum(nil))
	}
}

// checkDigest compares with the digest that the destination sends at the end.
func checkDigest(conn net.Conn, want []byte) error {
	got := make([]byte, hex.EncodedLen(len(want)))
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("wait for the digest: %w", err)
	}
	if string(got) != hex.EncodeToString(want) {
		return errors.New("the bytes that arrived are not those that were sent")
	}
	return nil
}

// echo is a connection whose other end sends back what it gets.
type echo struct {
	conn        net.Conn
	sent, found []byte
}

func (c *client) echo(ctx context.Context, block []byte) (*echo, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, wordEcho+"\n"); err != nil {
		return nil, errors.Join(fmt.Errorf("begin an echo: %w", err), conn.Close())
	}
	return &echo{conn: conn, sent: block[:echoSize], found: make([]byte, echoSize)}, nil
}

// once takes the time of 1 KiB there and back.
func (e *echo) once() (time.Duration, error) {
	began := time.Now()
	if _, err := e.conn.Write(e.sent); err != nil {
		return 0, fmt.Errorf("echo: %w", err)
	}
	if _, err := io.ReadFull(e.conn, e.found); err != nil {
		return 0, fmt.Errorf("echo: %w", err)
	}
	took := time.Since(began)
	if !bytes.Equal(e.sent, e.found) {
		return 0, errors.New("echo: other bytes came back")
	}
	return took, nil
}

// firstByte waits for the first byte that the forward carries there and back, from the process's start.
func (c *client) firstByte(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, errors.New("no byte was forwarded"))
	defer cancel()
	for {
		conn, err := c.dial(ctx)
		if err == nil {
			err = beginEcho(conn)
			took := time.Since(c.began)
			if err = errors.Join(err, conn.Close()); err == nil {
				return took, nil
			}
		}
		select {
		case <-c.ended:
			return 0, fmt.Errorf("the client ended: %s", c.said.tail())
		default:
		}
		if stop := pause(ctx, dialEach); stop != nil {
			return 0, fmt.Errorf("%w: %w", stop, err)
		}
	}
}

func beginEcho(conn net.Conn) error {
	if _, err := io.WriteString(conn, wordEcho+"\n!"); err != nil {
		return fmt.Errorf("first byte: %w", err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return fmt.Errorf("first byte: %w", err)
	}
	return nil
}
