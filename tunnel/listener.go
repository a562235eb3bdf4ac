package tunnel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// portTries is how many free ports are tried to find one that is free on both loopback addresses.
const portTries = 20

// listener is where a tunnel's clients come in: one or two TCP addresses, or a unix socket.
type listener struct {
	sockets []net.Listener
	path    string          // of the unix socket; empty for TCP
	taken   *PortTakenError // why the local port is not the remote port's number; nil when it is, or another port was asked for
	once    sync.Once       // done when the listener is closed
	closed  bool            // likewise; the engine's lock guards it
}

// listenFunc opens TCP listeners as net.ListenConfig.Listen does.
type listenFunc func(ctx context.Context, network, address string) (net.Listener, error)

// listen opens the local side of a spec.
func listen(s Spec) (*listener, error) { return listenBy(new(net.ListenConfig).Listen, s) }

// listenBy is listen with another function for TCP.
func listenBy(open listenFunc, s Spec) (*listener, error) {
	if s.Unlistened {
		return &listener{}, nil
	}
	if s.Socket != "" {
		return listenUnix(s.Socket)
	}
	if s.Local.Port() != 0 {
		return listenTCP(open, s.Local.Addr(), s.Local.Port())
	}
	l, err := listenTCP(open, s.Local.Addr(), s.Remote.Port)
	if err == nil {
		return l, nil
	}
	taken, _ := errors.AsType[*PortTakenError](err)
	for range portTries {
		if l, err = listenTCP(open, s.Local.Addr(), 0); err == nil {
			l.taken = taken
			return l, nil
		}
	}
	return nil, err
}

// listenTCP listens on one address, or on both loopback addresses when none is given.
func listenTCP(open listenFunc, address netip.Addr, port uint16) (*listener, error) {
	addresses := []netip.Addr{address}
	if !address.IsValid() {
		addresses = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	l := &listener{}
	for i, a := range addresses {
		at := netip.AddrPortFrom(a, port)
		network := "tcp"
		if a.Is4() {
			network = "tcp4" // "tcp" takes 0.0.0.0 for every address of both kinds
		}
		socket, err := open(context.Background(), network, at.String())
		if err != nil {
			if i > 0 && obstacleOf(err) == noAddress {
				continue // a system without IPv6
			}
			l.close()
			return nil, bindError(at, err)
		}
		l.sockets = append(l.sockets, socket)
		port = socket.Addr().(*net.TCPAddr).AddrPort().Port() //nolint:forcetypeassert // a TCP listener has one
	}
	return l, nil
}

// address is the first TCP address that the listener has; zero for a unix socket.
func (l *listener) address() netip.AddrPort {
	if a := l.addresses(); len(a) > 0 {
		return a[0]
	}
	return netip.AddrPort{}
}

func (l *listener) addresses() []netip.AddrPort {
	var all []netip.AddrPort
	for _, s := range l.sockets {
		if a, ok := s.Addr().(*net.TCPAddr); ok {
			all = append(all, a.AddrPort())
		}
	}
	return all
}

func (l *listener) close() {
	l.once.Do(func() {
		for _, s := range l.sockets {
			_ = s.Close()
		}
		if l.path != "" {
			_ = os.Remove(l.path)
		}
	})
}

// accept takes connections in until the listener is closed.
func (t *Tunnel) accept() {
	var all sync.WaitGroup
	for _, socket := range t.local.sockets {
		all.Go(func() { t.acceptFrom(socket) })
	}
	all.Wait()
}

func (t *Tunnel) acceptFrom(socket net.Listener) {
	var wait time.Duration
	for t.ctx.Err() == nil {
		conn, err := t.next(socket)
		switch {
		case err == nil:
			wait = 0
			// The connection is counted before the next one is accepted, as next looks at that count.
			if taken := t.connections.add(conn, fromListener); taken != nil {
				t.connections.pending.Go(func() { t.serve(taken) })
			} else {
				reset(conn)
			}
		case errors.Is(err, net.ErrClosed):
			return
		default: // probably out of file descriptors: the listener stays, and the open connections go on
			t.engine.scarcity.note(t.log, err)
			wait = min(max(2*wait, acceptAgain), time.Second)
			select {
			case <-time.After(wait):
			case <-t.ctx.Done():
			}
		}
	}
}

// next accepts a connection. Connections for which hardly a file descriptor is left stay in the system's queue (errCrowded) until
// others have ended, unless the tunnel has no connection at all.
func (t *Tunnel) next(socket net.Listener) (net.Conn, error) {
	if t.connections.some() && crowded(socket) {
		return nil, errCrowded
	}
	return socket.Accept()
}
