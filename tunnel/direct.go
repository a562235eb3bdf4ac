package tunnel

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/tunnel/front"
)

// maxStraight is how many of the hosts that are reached directly a dynamic tunnel remembers, for Destinations to list.
const maxStraight = 200

// direct connects a dynamic tunnel's clients to hosts from this machine, not through a task, and keeps account of these hosts.
// Its methods are safe for concurrent use.
type direct struct {
	pool *pool

	mu     sync.Mutex
	open   map[Endpoint]*straight
	order  []*straight // the same, in the order in which they were first asked for
	closed bool
}

// straight is a host that is reached directly.
type straight struct {
	endpoint     Endpoint
	opened, used time.Time
	err          error           // of the last attempt to connect; nil when that worked
	last         uint64          // the number of the last connection
	conns        []*straightConn // that are open
	past         Stats           // the sums of those that have ended
	ended        []Connection    // the last keepEnded of these
}

// Dial connects from this machine. Package front has refused the addresses that no client may reach. The tunnel's own listener is
// refused here: a proxy that connects to itself would do so for ever.
func (s *direct) Dial(ctx context.Context, host string, port uint16) (net.Conn, error) {
	e := Endpoint{Host: host, Port: port}.normal()
	conn, err := front.Direct{}.Dial(ctx, e.Host, e.Port)
	if err == nil {
		if at, ok := conn.RemoteAddr().(*net.TCPAddr); ok && s.pool.engine().listensAt(Endpoint{Host: at.AddrPort().Addr().Unmap().String(), Port: e.Port}) {
			_ = conn.Close()
			err = &DestinationError{Destination: e, Err: &OwnError{Destination: e}}
		}
	}
	if conn, err = s.note(e, conn, err); err != nil {
		if ctx.Err() == nil {
			clientOf(ctx).note(err)
		}
		return nil, err
	}
	return conn, nil
}

// note keeps account of an attempt to connect, and returns the connection so that it is counted.
func (s *direct) note(e Endpoint, conn net.Conn, err error) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		if conn != nil {
			_ = conn.Close()
		}
		return nil, net.ErrClosed
	}
	h := s.open[e]
	if h == nil {
		h = &straight{endpoint: e, opened: time.Now()}
		s.open[e] = h
		s.order = append(s.order, h)
	}
	h.used, h.err = time.Now(), err
	s.bound()
	if err != nil {
		return nil, err
	}
	h.last++
	c := &straightConn{Conn: conn, of: s, host: h, record: Connection{ID: h.last, Started: time.Now()}}
	h.conns = append(h.conns, c)
	return c, nil
}

// bound forgets the hosts that have not been used for the longest time while there are more than maxStraight, but none with open
// connections. s.mu is held.
func (s *direct) bound() {
	for len(s.order) > maxStraight {
		var oldest *straight
		for _, h := range s.order {
			if len(h.conns) == 0 && (oldest == nil || h.used.Before(oldest.used)) {
				oldest = h
			}
		}
		if oldest == nil {
			return // every host is in use
		}
		s.forget(oldest)
	}
}

func (s *direct) forget(h *straight) {
	delete(s.open, h.endpoint)
	s.order = slices.DeleteFunc(s.order, func(other *straight) bool { return other == h })
}

// look forgets the hosts that nobody has used for idleFor.
func (s *direct) look(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range slices.Clone(s.order) {
		if len(h.conns) == 0 && now.Sub(h.used) >= idleFor {
			s.forget(h)
		}
	}
}

func (s *direct) list() (all []Destination) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.order {
		d := Destination{Endpoint: h.endpoint, Direct: true, State: Open, Err: h.err, Stats: h.past, Opened: h.opened, Used: h.used}
		d.Stats.Connections, d.Stats.Accepted = len(h.conns), h.last
		for _, c := range h.conns {
			d.Stats.Received += c.received.Load()
			d.Stats.Sent += c.sent.Load()
		}
		if len(h.conns) > 0 {
			d.Used = time.Now()
		}
		all = append(all, d)
	}
	return all
}

func (s *direct) connections(e Endpoint) []Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.open[e]
	if h == nil {
		return nil
	}
	all := slices.Clone(h.ended)
	for _, c := range h.conns {
		all = append(all, c.described())
	}
	return all
}

func (s *direct) end(e Endpoint) bool {
	s.mu.Lock()
	h := s.open[e]
	var conns []*straightConn
	if h != nil {
		conns = slices.Clone(h.conns)
		s.forget(h)
	}
	s.mu.Unlock()
	for _, c := range conns {
		reset(c.Conn)
	}
	return h != nil
}

func (s *direct) close() {
	s.mu.Lock()
	s.closed = true
	var conns []*straightConn
	for _, h := range s.order {
		conns = append(conns, h.conns...)
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// straightConn is a connection to a host that is reached directly, whose bytes are counted.
type straightConn struct {
	net.Conn

	of             *direct
	host           *straight
	record         Connection
	received, sent atomic.Uint64
	sniff          sniffer
	once           sync.Once
}

func (c *straightConn) described() Connection {
	r := c.record
	r.Received, r.Sent = c.received.Load(), c.sent.Load()
	c.sniff.describe(&r)
	return r
}

func (c *straightConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.sniff.down(p[:n])
		c.received.Add(uint64(n))
	}
	return n, err //nolint:wrapcheck // the error of the connection below
}

func (c *straightConn) Write(p []byte) (int, error) {
	c.sniff.up(p)
	n, err := c.Conn.Write(p)
	c.sent.Add(uint64(n)) //nolint:gosec // no write returns less than 0
	return n, err         //nolint:wrapcheck // as above
}

// CloseWrite ends the client's half of the connection.
func (c *straightConn) CloseWrite() error {
	if w, ok := c.Conn.(closeWriter); ok {
		return w.CloseWrite() //nolint:wrapcheck // as above
	}
	return nil
}

func (c *straightConn) Close() error {
	c.once.Do(func() {
		s, h := c.of, c.host
		s.mu.Lock()
		defer s.mu.Unlock()
		r := c.described()
		r.Ended = time.Now()
		h.used = r.Ended
		h.conns = slices.DeleteFunc(h.conns, func(other *straightConn) bool { return other == c })
		h.past.Received += r.Received
		h.past.Sent += r.Sent
		if h.ended = append(h.ended, r); len(h.ended) > keepEnded {
			h.ended = slices.Delete(h.ended, 0, len(h.ended)-keepEnded)
		}
	})
	return c.Conn.Close() //nolint:wrapcheck // as above
}
