// Package memnet is, for tests, a network in memory: addresses on loopback, half-closes, resets and deadlines as TCP has them.
// A wait on it is one that testing/synctest knows of, so what runs over it runs in virtual time.
package memnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

const (
	firstPort = 20_000 // that is given away
	backlog   = 128    // connections that nobody has accepted
)

// Network is one machine's loopback. The zero value is ready, and its methods are safe for concurrent use.
type Network struct {
	mu        sync.Mutex
	listeners map[netip.AddrPort]*listener
	ports     map[uint16]int // how many listeners have each
	last      uint16
	open      int
}

// Open is how many listeners and ends of connections are not closed: what would be file descriptors.
func (n *Network) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open
}

// count adds to what is open.
func (n *Network) count(by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open += by
}

// free is a port that nobody has. n.mu is held.
func (n *Network) free() uint16 {
	for {
		n.last++
		if n.last < firstPort {
			n.last = firstPort
		}
		if n.ports[n.last] == 0 {
			return n.last
		}
	}
}

// Listen opens a listener on a port of loopback, 0 being any.
func (n *Network) Listen(_ context.Context, network, address string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", address, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), n.free())
	}
	addr := net.TCPAddrFromAddrPort(at)
	if n.listeners[at] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: addr, Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &listener{network: n, addr: addr, coming: make(chan *Conn, backlog), over: make(chan struct{})}
	if n.listeners == nil {
		n.listeners, n.ports = map[netip.AddrPort]*listener{}, map[uint16]int{}
	}
	n.listeners[at] = l
	n.ports[at.Port()]++
	n.open++
	return l, nil
}

// DialContext connects to a listener. Where there is none the connection is refused, as when nobody has accepted for long.
func (n *Network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", address, err)
	}
	n.mu.Lock()
	l := n.listeners[at]
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(n.free())}
	n.mu.Unlock()
	to := net.TCPAddrFromAddrPort(at)
	if l != nil {
		near, far := n.pair(from, to)
		if l.take(far) {
			return near, nil
		}
		_ = far.Close()
		_ = near.Close()
	}
	return nil, &net.OpError{Op: "dial", Net: network, Source: from, Addr: to, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

type listener struct {
	network *Network
	addr    *net.TCPAddr

	mu     sync.Mutex
	coming chan *Conn
	over   chan struct{}
	closed bool
}

// take puts a connection into the queue, if there is room.
func (l *listener) take(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	select {
	case l.coming <- c:
		return true
	default:
		return false
	}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.coming:
		return c, nil
	case <-l.over:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
}

// Close implements net.Listener. Connections that nobody has accepted are reset.
func (l *listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	l.closed = true
	close(l.over)
	l.mu.Unlock()
	l.network.mu.Lock()
	at := l.addr.AddrPort()
	delete(l.network.listeners, at)
	l.network.ports[at.Port()]--
	l.network.open--
	l.network.mu.Unlock()
	for {
		select {
		case c := <-l.coming:
			_ = c.SetLinger(0)
			_ = c.Close()
		default:
			return nil
		}
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr }
