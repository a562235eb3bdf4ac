package tunnel

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"culvert/tunnel/bond"
)

// aside carries a connection to its end through the tunnel's relay, if there is one, and reports whether it did. If not, the
// connection goes on as in a tunnel without a relay; what its client has sent meanwhile is kept for that.
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
			done, err = t.stream(ctx, cancel, conn, s)
			if err = u.because(err); done {
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

// stream carries a connection to its end as a stream of a bundle. done is false when the stream could not be opened for a reason
// that is the relay's own, while all that the client has sent is kept: then the connection can still go another way.
func (t *Tunnel) stream(ctx context.Context, cancel context.CancelCauseFunc, conn *connection, s *bond.Stream) (done bool, _ error) {
	defer func() { _ = s.Close() }()
	free := context.AfterFunc(ctx, func() { s.Reset() })
	defer free()
	u := &upload{conn: conn, to: s, over: make(chan struct{}), decided: make(chan struct{})}
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
		_ = conn.local.SetReadDeadline(time.Now()) // ends the read under way; what was read before is kept
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
		conn.outlive(&up) // the client may go on sending
	} else {
		cancel(err)
		reset(conn.local)
		up.Wait()
	}
	_ = conn.local.Close()
	return true, err
}

// unusable reports whether an error of opening a stream says nothing of the port that it was to lead to.
func unusable(err error) bool {
	return !errors.Is(err, bond.ErrRefused) && !errors.Is(err, bond.ErrTimeout)
}

// upload sends what a client writes on a stream of a bundle. What it has sent is also kept in conn.kept until the stream is open.
type upload struct {
	conn *connection
	to   *bond.Stream

	over    chan struct{} // closed when the far side has ended the connection
	decided chan struct{} // closed when it is known whether the stream could be opened

	mu   sync.Mutex
	open bool // the stream is open, and nothing is kept any more
	lost bool // more than maxKept bytes were sent, so that they are not kept
}

// opened notes the outcome of opening the stream. Of an open stream nothing needs to be kept.
func (u *upload) opened(open bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	defer close(u.decided)
	if u.open = open; open {
		u.conn.kept.bytes, u.conn.kept.gone = nil, true
	}
}

// awaitOpen waits until it is known whether the stream could be opened, and reports whether it could. If not, what the client still
// writes is not this upload's: the connection may go another way.
func (u *upload) awaitOpen() bool {
	<-u.decided
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.open
}

// unheard reports, of a stream that could not be opened, whether nothing that was sent can have reached the far side and all of
// it is kept.
func (u *upload) unheard(err error) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	never := errors.Is(err, bond.ErrForbidden) || errors.Is(err, bond.ErrBusy)
	return !u.lost && (never || len(u.conn.kept.bytes) == 0)
}

// keep keeps bytes that are about to be sent, as long as the stream is not open.
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

// run sends what the local side writes, and then its end of file. An error that it returns ends the whole connection; nil leaves
// the other direction as it is.
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
				if !u.awaitOpen() {
					return nil
				}
				// What the client still writes is read and dropped: closing on unread bytes would reset the connection
				// and could take the answer away from a client that has not read it yet.
				_ = c.local.SetReadDeadline(time.Now().Add(drainWithin))
				_, _ = io.Copy(io.Discard, c.local)
				return nil // the other direction says why
			}
		}
		if n == len(buffer) && n < copyBuffer {
			buffer = make([]byte, copyBuffer)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && c.from == fromListener:
			if u.to.CloseWrite() == nil && u.awaitOpen() && u.abandoned(ctx, e) {
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

// kept reports whether an error is that of a read which stream has ended by a deadline so that the connection can go another way.
func (u *upload) kept(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// abandoned waits, after the local side has finished writing, until the far side has finished too. It reports whether the local
// side has gone altogether before that; where the system does not tell, a local side that has received nothing for
// halfClosedSilence counts as gone.
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

// outlive waits until the local side, whose far side has ended, has finished writing too. A local side that writes nothing for
// halfClosedSilence is reset.
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

// pour hands what comes on a stream to the local side until the far side ends (io.EOF) or something fails.
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
