package tunnel

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"culvert/tunnel/bond"
)

// aside carries a connection through the relay of the tunnel, if it has one, and reports whether it did: else it is to go on as it
// would without. What its client has said meanwhile is kept.
func (t *Tunnel) aside(conn *connection) (done bool, _ error) {
	if t.relays == nil {
		return false, nil
	}
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	u, err := t.relays.bundle(ctx)
	if err == nil {
		var s *bond.Stream
		if s, err = u.bond.Begin(t.spec.Remote.Port); err == nil {
			if done, err = t.stream(ctx, cancel, conn, s); done {
				return true, err
			}
			if errors.Is(err, bond.ErrForbidden) {
				u.of.stop(err)
			}
		}
	}
	if !t.relays.spec.Required || t.ctx.Err() != nil {
		t.log.Debug("a connection goes without the relay", "connection", conn.id, "error", err)
		return false, nil
	}
	reset(conn.local)
	return true, &RelayError{Target: t.Link().Target, Port: t.relays.spec.Port, Err: err}
}

// stream carries a connection as a stream of a bundle. It is not done when the stream was not opened for a reason that is the
// relay's own, and all is kept that its client has sent.
func (t *Tunnel) stream(ctx context.Context, cancel context.CancelCauseFunc, conn *connection, s *bond.Stream) (done bool, _ error) {
	defer func() { _ = s.Close() }()
	free := context.AfterFunc(ctx, func() { s.Reset() })
	defer free()
	u := &upload{conn: conn, to: s, over: make(chan struct{})}
	var up sync.WaitGroup
	up.Go(func() {
		if err := u.run(ctx, t.engine); err != nil {
			cancel(err)
		}
	})
	err := ofRelay(s.Opened(ctx))
	if u.opened(err == nil); err == nil {
		err = conn.pour(s)
	} else if unusable(err) {
		_ = conn.local.SetReadDeadline(time.Now()) // what has been read is kept
		up.Wait()
		_ = conn.local.SetReadDeadline(time.Time{})
		if u.unheard(err) {
			return false, err
		}
	}
	close(u.over)
	switch cause := context.Cause(ctx); {
	case errors.Is(err, bond.ErrRefused):
		err = &RefusedError{Target: t.Link().Target, Remote: t.spec.Remote}
	case !errors.Is(err, io.EOF) && cause != nil:
		err = cause
	}
	w, half := conn.local.(closeWriter)
	if errors.Is(err, io.EOF) && half && w.CloseWrite() == nil {
		conn.outlive(&up) // the other direction goes on
	} else {
		cancel(err)
		reset(conn.local)
		up.Wait()
	}
	_ = conn.local.Close()
	return true, err
}

// unusable reports whether a stream could not be opened for a reason that says nothing of what it was to lead to.
func unusable(err error) bool {
	return !errors.Is(err, bond.ErrRefused) && !errors.Is(err, bond.ErrTimeout)
}

// upload is what a client sends on a stream. What it has sent is kept until the stream is open.
type upload struct {
	conn *connection
	to   *bond.Stream

	over chan struct{} // closed when the far side is

	mu   sync.Mutex
	open bool
	lost bool // it has sent more than is kept
}

func (u *upload) opened(open bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open = open; open {
		u.conn.kept.bytes, u.conn.kept.gone = nil, true
	}
}

// unheard reports whether nothing that was sent can have reached the far side, when the stream was not opened, and all of it is
// kept.
func (u *upload) unheard(err error) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	never := errors.Is(err, bond.ErrForbidden) || errors.Is(err, bond.ErrBusy)
	return !u.lost && (never || len(u.conn.kept.bytes) == 0)
}

// keep takes in what is about to be sent.
func (u *upload) keep(p []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch k := &u.conn.kept; {
	case u.open:
	case u.lost, len(k.bytes)+len(p) > maxKept:
		u.lost = true
		k.bytes, k.gone = nil, true
	default:
		k.bytes = append(k.bytes, p...)
	}
}

// run sends what the local side writes, and its end. It returns an error when the connection is over.
func (u *upload) run(ctx context.Context, e *Engine) error {
	c := u.conn
	buffer := make([]byte, firstBuffer)
	for {
		n, err := c.read(buffer)
		if n > 0 {
			c.sniff.up(buffer[:n])
			u.keep(buffer[:n])
			c.sent.Add(uint64(n))
			if _, werr := u.to.Write(buffer[:n]); werr != nil {
				// What is still written is read and dropped, as to close on it would take
				// the answer away from a client that has not read it yet.
				_ = c.local.SetReadDeadline(time.Now().Add(drainWithin))
				_, _ = io.Copy(io.Discard, c.local)
				return nil //nolint:nilerr // the other direction says why
			}
		}
		if n == len(buffer) && n < copyBuffer {
			buffer = make([]byte, copyBuffer)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && c.from == fromListener:
			if u.to.CloseWrite() == nil && u.abandoned(ctx, e) {
				return io.EOF
			}
			return nil
		case u.kept(err):
			return nil
		default:
			return err
		}
	}
}

// kept reports whether an error is that of a read which was ended so that the connection can go another way.
func (u *upload) kept(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// abandoned waits, after the local side has finished writing, until the far side has too, and reports whether the local side
// is gone altogether before that. Where that cannot be known, one that gets nothing for long is taken to be.
func (u *upload) abandoned(ctx context.Context, e *Engine) bool {
	c := u.conn
	c.lastDown.Store(time.Now().UnixNano())
	for wait := time.Millisecond; ; wait = min(wait*3, time.Second) {
		gone, known := e.kernel.gone(c.local)
		silent := time.Since(time.Unix(0, c.lastDown.Load())) > halfClosedSilence
		if gone || !known && silent {
			return true
		}
		select {
		case <-time.After(wait):
		case <-u.over:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// outlive waits for the end of what a local side writes whose far side has ended, as long as it writes.
func (c *connection) outlive(up *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		up.Wait()
	}()
	for sent := c.sent.Load(); ; sent = c.sent.Load() {
		select {
		case <-done:
			return
		case <-time.After(halfClosedSilence):
		}
		if c.sent.Load() == sent {
			reset(c.local)
			<-done
			return
		}
	}
}

// pour hands what comes on a stream to the local side, until the far side ends (io.EOF) or something fails.
func (c *connection) pour(s *bond.Stream) error {
	buffer := make([]byte, copyBuffer)
	for {
		n, err := s.Read(buffer)
		err = ofRelay(err)
		for p := buffer[:n]; len(p) > 0; {
			k, werr := c.hand(p, c.local.Write)
			if werr != nil {
				return werr
			}
			p = p[k:]
		}
		if err != nil {
			return err
		}
	}
}
