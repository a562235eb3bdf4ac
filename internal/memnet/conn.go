package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes one end may have written that the other has not read.
const window = 256 << 10

// Conn is one end of a connection.
type Conn struct {
	network     *Network
	local, peer *net.TCPAddr
	in, out     *half

	mu     sync.Mutex
	closed bool
	abrupt bool // Close is to reset
}

// half carries the bytes of one direction.
type half struct {
	mu      sync.Mutex
	changed sync.Cond
	waiting []byte
	ended   bool // the writer has finished
	reset   bool // the connection was, by either end
	deaf    bool // the reader has closed
	mute    bool // the writer has closed
	read    deadline
	write   deadline
}

// deadline is the reader's or the writer's.
type deadline struct {
	timer *time.Timer
	past  bool
}

func newHalf() *half {
	h := &half{}
	h.changed.L = &h.mu
	return h
}

func (n *Network) pair(from, to *net.TCPAddr) (near, far *Conn) {
	up, down := newHalf(), newHalf()
	n.count(2)
	return &Conn{network: n, local: from, peer: to, in: down, out: up}, &Conn{network: n, local: to, peer: from, in: up, out: down}
}

func (c *Conn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.peer, Err: err}
}

// Read implements net.Conn. What had arrived before a reset can still be read, as on Linux.
func (c *Conn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.deaf:
			return 0, c.failed("read", net.ErrClosed)
		case h.read.past:
			return 0, c.failed("read", os.ErrDeadlineExceeded)
		case len(p) == 0:
			return 0, nil
		case len(h.waiting) > 0:
			n := copy(p, h.waiting)
			if h.waiting = h.waiting[n:]; len(h.waiting) == 0 {
				h.waiting = nil
			}
			h.changed.Broadcast()
			return n, nil
		case h.reset:
			return 0, c.failed("read", os.NewSyscallError("read", syscall.ECONNRESET))
		case h.ended:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

// Write implements net.Conn. It waits while the window is full.
func (c *Conn) Write(p []byte) (int, error) {
	n, h := 0, c.out
	h.mu.Lock()
	for {
		switch {
		case h.mute:
			h.mu.Unlock()
			return n, c.failed("write", net.ErrClosed)
		case h.write.past:
			h.mu.Unlock()
			return n, c.failed("write", os.ErrDeadlineExceeded)
		case h.ended || h.reset || h.deaf:
			gone := h.deaf && !h.reset
			h.mu.Unlock()
			if gone { // who writes to an end that has closed is answered by a reset
				c.in.sever()
			}
			return n, c.failed("write", os.NewSyscallError("write", syscall.EPIPE))
		case len(p) == 0:
			h.mu.Unlock()
			return n, nil
		}
		if room := window - len(h.waiting); room > 0 {
			some := min(room, len(p))
			h.waiting = append(h.waiting, p[:some]...)
			n, p = n+some, p[some:]
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
}

// sever resets a direction.
func (h *half) sever() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reset = true
	h.changed.Broadcast()
}

// CloseWrite ends what this end has to say.
func (c *Conn) CloseWrite() error {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mute || h.reset || h.deaf {
		return c.failed("close", os.NewSyscallError("shutdown", syscall.ENOTCONN))
	}
	h.ended = true
	h.changed.Broadcast()
	return nil
}

// SetLinger with 0 has Close reset the connection.
func (c *Conn) SetLinger(seconds int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abrupt = seconds == 0
	return nil
}

// Close implements net.Conn. As in TCP the other end sees a reset when there is something that this one has not read.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.failed("close", net.ErrClosed)
	}
	c.closed = true
	abrupt := c.abrupt
	c.mu.Unlock()
	c.network.count(-1)

	c.in.mu.Lock()
	c.in.deaf = true
	abrupt = abrupt || len(c.in.waiting) > 0
	c.in.waiting = nil
	c.in.read.stop()
	c.in.changed.Broadcast()
	c.in.mu.Unlock()

	c.out.mu.Lock()
	c.out.mute, c.out.ended = true, true
	c.out.reset = c.out.reset || abrupt
	c.out.write.stop()
	c.out.changed.Broadcast()
	c.out.mu.Unlock()
	if abrupt {
		c.in.sever()
	}
	return nil
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.peer }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.limit(c.in, &c.in.read, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.limit(c.out, &c.out.write, t) }

func (c *Conn) limit(h *half, d *deadline, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.failed("set", net.ErrClosed)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	d.stop()
	switch in := time.Until(t); {
	case t.IsZero():
	case in <= 0:
		d.past = true
		h.changed.Broadcast()
	default:
		var timer *time.Timer
		timer = time.AfterFunc(in, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if d.timer == timer { // else another one has taken its place
				d.past = true
				h.changed.Broadcast()
			}
		})
		d.timer = timer
	}
	return nil
}

// stop takes a deadline back. The half's lock is held.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer, d.past = nil, false
}
