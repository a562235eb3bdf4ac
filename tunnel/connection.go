package tunnel

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// acquireWithin is how long a local connection waits for a session before it is closed: long enough for a new
	// session, short enough that no client seems to hang.
	acquireWithin = 15 * time.Second
	// halfClosedSilence ends a connection whose local side has finished writing and whose far side says nothing. It
	// must be long: a half-closed upload still gets its answer (protocol.md 6), and no FIN may be sent before.
	halfClosedSilence = 60 * time.Second
	// scarceSilence replaces halfClosedSilence while other connections wait for file descriptors, where the system does not tell
	// whether the local side has only finished writing or is gone.
	scarceSilence = 2 * time.Second
	// drainWithin is how long the local side may go on writing to a far side that has ended.
	drainWithin = 5 * time.Second
	// refusalWithin is how much later than the end of its stream the report of a refused dial may come.
	refusalWithin = 100 * time.Millisecond
	// A connection reads with a buffer of firstBuffer bytes until its client fills that, then with one of copyBuffer bytes.
	firstBuffer = 4 << 10
	copyBuffer  = 32 << 10
)

var (
	errNoSession = errors.New("no session within 15 s")
	errAllBehind = errors.New("every session that the tunnel may have is held up by a destination that does not read (more of them: --lanes)")
)

// source is where a connection comes from.
type source int

const (
	fromListener source = iota
	fromCulvert         // from Tunnel.Dial: culvert's own, so no user's traffic
	fromProxy           // from the proxy of a dynamic tunnel to a destination, on behalf of a client with a connection of its own
)

// connection is one local connection at work.
type connection struct {
	id       uint64 // 0 for culvert's own
	from     source
	local    net.Conn
	started  time.Time
	head     *head // what the client sent while there was no lane; nil when that was not read, or has been handed on
	received atomic.Uint64
	sent     atomic.Uint64
	sniff    sniffer
	kept     kept         // what the client has sent, see replay.go; only the goroutine that reads the local side touches it
	shown    int          // how many of the next bytes for the local side sniff has seen already; only hand touches it
	lastDown atomic.Int64 // unix nanoseconds of the last bytes from the far side

	trouble atomic.Pointer[error] // why a client of a dynamic tunnel did not get what it wanted; nil when it did
}

// own reports whether the connection is culvert's own and no user's traffic.
func (c *connection) own() bool { return c.from == fromCulvert }

// closeWriter is a connection of which one direction can be closed alone, as TCP and unix sockets can.
type closeWriter interface{ CloseWrite() error }

func (c *connection) record() Connection {
	record := Connection{ID: c.id, Started: c.started, Received: c.received.Load(), Sent: c.sent.Load()}
	c.sniff.describe(&record)
	return record
}

// reset closes a connection so that its client sees an error, not the clean end of an answer.
func reset(conn net.Conn) {
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// serve carries one local connection to its end and publishes that end.
func (t *Tunnel) serve(conn *connection) {
	t.engine.endings.publish(Ending{Tunnel: t.id, Connection: t.through(conn)})
}

// through carries a connection to its end and returns its record.
func (t *Tunnel) through(conn *connection) Connection {
	carry := t.carry
	if t.pool != nil {
		carry = t.proxy
	}
	err := carry(conn)
	if errors.Is(err, io.EOF) || errors.Is(err, errStreamDone) {
		err = nil // one of the two sides has ended the connection in order
	}
	if refusal := conn.sniff.refusedBy(); refusal != nil && conn.trouble.Load() == nil && (err == nil || refusal.final() || conn.hungUp(err)) {
		err = refusal
	}
	return t.connections.remove(conn, err)
}

// hungUp reports whether an error comes from the local side: the client has gone. Many clients do so by a reset after a refusal,
// as they leave the body of the answer unread.
func (c *connection) hungUp(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Source != nil && op.Source.String() == c.local.LocalAddr().String()
}

func (t *Tunnel) carry(conn *connection) error {
	if done, err := t.aside(conn); done {
		return err
	}
	for {
		l, s, err := t.acquire(conn)
		if err != nil {
			reset(conn.local)
			conn.head.wait()
			return err
		}
		again, err := t.convey(conn, l, s)
		if !again {
			return err
		}
		t.log.Info("connection is opened anew in another session", "connection", conn.id, "bytes", len(conn.kept.bytes), "error", err)
	}
}

// convey carries a connection on one stream. again reports whether it can be opened anew on another stream; if not, the
// connection is over, and the error says how.
func (t *Tunnel) convey(conn *connection, l *lane, s *stream) (again bool, _ error) {
	defer l.release()
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)

	s.inbox.onAbort(func() {
		if !s.spare.Load() {
			reset(conn.local)
		}
	})
	if direct := newDirectWriter(conn.local); direct != nil {
		s.inbox.through(func(p []byte) int {
			n, _ := conn.hand(p, func(p []byte) (int, error) { return direct.write(p), nil })
			return n
		})
	}
	var up sync.WaitGroup
	up.Go(func() {
		if err := conn.copyUp(ctx, s, t.engine); err != nil {
			if errors.Is(err, io.EOF) {
				err = cmp.Or(s.settle(ctx, true), err)
				s.left.Store(true)
			}
			s.inbox.finish(err)
			s.close()
		}
	})
	err := conn.copyDown(ctx, s)
	if failure := s.inbox.failure(); failure != nil {
		err = failure
	}
	_, silent := errors.AsType[*SilentError](err)
	if !silent { // a SilentError is no success anyway, about which there could be a doubt
		err = s.ending(ctx, err)
	}
	clean := errors.Is(err, io.EOF)
	if clean && conn.received.Load() == 0 && t.refused(ctx, s) {
		err, clean = &RefusedError{Target: l.target, Remote: t.spec.Remote}, false
		t.doubted(err)
	}
	s.inbox.onAbort(nil)
	s.close()
	if silent && s.spare.Load() {
		if cancel(errStreamDone); conn.again(&up) {
			return true, err
		}
	}
	if w, ok := conn.local.(closeWriter); ok && clean && w.CloseWrite() == nil {
		// What the local side still writes is read and dropped: closing on unread bytes would reset the connection and
		// could take the answer away from a client that has not read it yet.
		_ = conn.local.SetReadDeadline(time.Now().Add(drainWithin))
	} else {
		reset(conn.local)
	}
	cancel(errStreamDone)
	up.Wait()
	_ = conn.local.Close()
	return false, err
}

// refused reports whether the agent has reported a failed dial for a stream that ended without a byte. It waits refusalWithin for
// that.
func (t *Tunnel) refused(ctx context.Context, s *stream) bool {
	m, ok := s.carrier.(*mux)
	if !ok {
		return false
	}
	for end := time.Now().Add(refusalWithin); ; {
		if m.takeRefusal(time.Now()) {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		select {
		case <-time.After(refusalWithin / 10):
		case <-ctx.Done():
			return false
		}
	}
}

// acquire opens a stream for a connection on a lane that dispatch gives it. It waits for that up to acquireWithin.
func (t *Tunnel) acquire(conn *connection) (*lane, *stream, error) {
	ctx, cancel := context.WithTimeoutCause(t.ctx, acquireWithin, errNoSession)
	defer cancel()
	t.connections.queued.Add(1)
	defer t.connections.queued.Add(-1)
	w := t.join(conn.sent.Load() > 0)
	defer t.leave(w)
	t.dispatch()
	var heard <-chan struct{}
	for l := w.lane(); ; {
		if l != nil {
			s, err := l.connect(ctx)
			l.coming.Add(-1)
			if err == nil {
				return l, s, nil
			}
			t.log.Debug("lane took no connection", "connection", conn.id, "error", err)
			t.rejoin(w, l)
			t.dispatch()
			l = nil
		}
		if heard == nil && !w.spoke.Load() {
			heard = conn.listen()
		}
		select {
		case t.want <- struct{}{}:
		default:
		}
		select {
		case l = <-w.placed:
		case <-heard:
			heard = nil
			w.spoke.Store(true)
			t.dispatch()
		case <-time.After(time.Second): // a lane that was too busy a moment ago may have room by now
			t.dispatch()
		case <-ctx.Done():
			return nil, nil, t.why(context.Cause(ctx))
		}
	}
}

// why returns the error of a wait for a lane: instead of errNoSession what keeps the tunnel from having a session, where that is
// known.
func (t *Tunnel) why(err error) error {
	if !errors.Is(err, errNoSession) {
		return err
	}
	if _, trouble := t.State(); trouble != nil {
		return trouble
	}
	if hung := t.hung(); hung != nil {
		return hung
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lanes) > 0 && !slices.ContainsFunc(t.lanes, func(l *lane) bool { return !l.slow.Load() }) {
		return errAllBehind
	}
	return err
}

// copyUp sends what the local side writes. It returns nil when the far side has ended the stream, or the stream is to be
// replaced; an error ends the connection.
func (c *connection) copyUp(ctx context.Context, s *stream, e *Engine) error {
	if err := c.replay(ctx, s); err != nil {
		return err
	}
	buffer := make([]byte, firstBuffer)
	for {
		n, err := c.read(buffer)
		if n > 0 && (!s.done.Load() || s.spare.Load()) {
			c.sniff.up(buffer[:n])
			c.kept.add(s, buffer[:n])
			if werr := s.write(ctx, buffer[:n]); werr != nil && !errors.Is(werr, errStreamDone) && !s.spare.Load() {
				return werr
			}
			c.sent.Add(uint64(n))
		}
		if n == len(buffer) && n < copyBuffer {
			buffer = make([]byte, copyBuffer)
		}
		switch {
		case s.spare.Load(): // what has been read is sent again on another stream
			return nil
		case err == nil:
		case s.done.Load():
			return nil
		case errors.Is(err, io.EOF) && c.from == fromListener: // connections of culvert and of the proxy are pipes, without half-close
			return c.linger(ctx, s, e.scarcity.now, func() (gone, known bool) { return e.kernel.gone(c.local) })
		default:
			return err
		}
	}
}

// linger waits, after the local side has finished writing, for the far side to finish too: smux version 1 knows no half-close,
// and its FIN would cut off the answer (protocol.md 9, P11). It returns nil when the far side has ended the stream, or ctx has;
// io.EOF when the local side is gone altogether, or nothing has come for halfClosedSilence; and a *HalfCloseError when nothing
// has come since the local side finished, which is known to wait still: the far side cannot learn that all was sent, and probably
// waits for that.
func (c *connection) linger(ctx context.Context, s *stream, scarce func() bool, left func() (gone, known bool)) error {
	c.lastDown.Store(time.Now().UnixNano())
	before := c.received.Load()
	for wait := time.Millisecond; ; wait = min(wait*3, time.Second) {
		gone, known := left()
		patience := halfClosedSilence
		if !known && scarce() {
			patience = scarceSilence
		}
		switch silent := time.Since(time.Unix(0, c.lastDown.Load())) > patience; {
		case silent && known && !gone && c.received.Load() == before:
			return &HalfCloseError{After: patience}
		case silent, gone:
			return io.EOF
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		if s.done.Load() {
			return nil
		}
	}
}

// copyDown hands what comes from the far side to the local side until the far side ends (io.EOF) or something fails.
func (c *connection) copyDown(ctx context.Context, s *stream) error {
	for {
		chunk, err := s.inbox.next(ctx)
		if err != nil {
			return err
		}
		_, err = c.hand(chunk.bytes(), c.local.Write)
		s.inbox.drop(chunk)
		if err != nil {
			return err
		}
	}
}

// hand gives bytes to the local side by write, which may take only a part of them: the next call has to begin with the rest. The
// sniffer sees the bytes before they are written, as it could otherwise see the local side's answer to them first.
func (c *connection) hand(p []byte, write func([]byte) (int, error)) (int, error) {
	if c.shown < len(p) {
		c.sniff.down(p[c.shown:])
		c.shown = len(p)
	}
	n, err := write(p)
	c.shown -= n
	c.lastDown.Store(time.Now().UnixNano())
	c.received.Add(uint64(n)) //nolint:gosec // no write returns less than 0
	return n, err
}
