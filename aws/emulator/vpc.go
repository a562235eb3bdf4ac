package emulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// closedAddress is an address on which nobody listens. It stands for ports that an existing host does not serve.
const closedAddress = "127.0.0.1:1"

// vpc is the account's private network: names that only it resolves, and the servers behind them. The set of servers does not
// change once it runs.
type vpc struct {
	mu      sync.Mutex
	hosts   map[string]string // "name" or "name:port" → loopback address; "name" → an address of the private network
	servers map[string]string // Proxy, Orders, … → loopback address
	ca      []byte            // PEM
	shop    *shop
	login   func(user, token string) error // checks a token for the database

	closers []func()
	running sync.WaitGroup
	conns   connections
}

// startVPC starts the private network that the fleet describes. The names in Fleet.Hosts work without the servers of Fleet.VPC.
// login checks the token of whoever logs in to the database.
func startVPC(f Fleet, login func(user, token string) error) (*vpc, error) {
	v := &vpc{hosts: map[string]string{}, servers: map[string]string{}, login: login}
	if f.VPC {
		if err := v.open(); err != nil {
			v.close()
			return nil, fmt.Errorf("open private network: %w", err)
		}
	}
	for name, address := range f.Hosts {
		if err := v.move(name, address); err != nil {
			v.close()
			return nil, fmt.Errorf("open private network: %w", err)
		}
	}
	return v, nil
}

// move sets the address of a name.
func (v *vpc) move(name, address string) error {
	_, notAddr := netip.ParseAddr(address)
	if at, err := netip.ParseAddrPort(address); notAddr != nil && (err != nil || !at.Addr().IsLoopback()) {
		return fmt.Errorf("host %s: %q is no loopback address with a port, nor an address of the private network without one", name, address)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hosts[name] = address
	return nil
}

func (v *vpc) open() error {
	signs, err := newAuthority()
	if err != nil {
		return err
	}
	v.ca = signs.pem()
	certificate, err := signs.issue("billing.internal", 2)
	if err != nil {
		return err
	}
	databases, err := signs.issue(databaseHost, 3)
	if err != nil {
		return err
	}
	v.shop = newShop()
	proxy := v.newProxy()
	for name, handler := range map[string]http.Handler{Proxy: proxy, Orders: v.shop.handler(), Billing: newBilling(), Web: newWeb(), TaskRole: newTaskRole()} {
		if err := v.serveHTTP(name, handler, certificate); err != nil {
			return err
		}
	}
	if err := v.servePostgres(databases); err != nil {
		return err
	}
	maps.Copy(v.hosts, map[string]string{
		"orders.internal:80":      v.servers[Orders],
		"billing.internal:443":    v.servers[Billing],
		"orders-db.internal:5432": v.servers[Postgres],
		"proxy.internal:3128":     v.servers[Proxy],
		"web.internal:80":         v.servers[Web],
		"169.254.170.2:80":        v.servers[TaskRole],
	})
	return nil
}

// serveHTTP serves a handler on a free port, with TLS if it is Billing.
func (v *vpc) serveHTTP(name string, handler http.Handler, certificate tls.Certificate) error {
	listener, err := v.listen(name)
	if err != nil {
		return err
	}
	if name == Billing {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second, ErrorLog: log.New(nowhere{}, "", 0)}
	v.closers = append(v.closers, func() { _ = server.Close() })
	v.running.Go(func() { _ = server.Serve(listener) }) // returns ErrServerClosed
	return nil
}

// nowhere drops what the servers of the private network would log, which is their clients' errors.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func (v *vpc) listen(name string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	v.servers[name] = listener.Addr().String()
	v.closers = append(v.closers, func() { _ = listener.Close() })
	return &trackedListener{Listener: listener, conns: &v.conns}, nil
}

// close ends every server and connection of the private network and waits for them.
func (v *vpc) close() {
	for _, c := range v.closers {
		c()
	}
	v.conns.close()
	v.running.Wait()
}

func (v *vpc) certificate() []byte { return v.ca }

// locate replaces a name such as Proxy by the address of its server, and returns other addresses unchanged.
func (v *vpc) locate(address string) (string, error) {
	if !strings.HasPrefix(address, "vpc:") {
		return address, nil
	}
	if at := v.servers[address]; at != "" {
		return at, nil
	}
	return "", syscall.ECONNREFUSED
}

// point is the address of the private network that a name stands for, like an A record; a name that has none is returned
// unchanged.
func (v *vpc) point(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := netip.ParseAddr(v.hosts[host]); err == nil {
		return v.hosts[host]
	}
	return host
}

// resolve is the private DNS. A loopback address stands for itself; any other address is looked up like a name.
func (v *vpc) resolve(host string, port uint16) (string, error) {
	host = v.point(host)
	text := strconv.Itoa(int(port))
	addr, err := netip.ParseAddr(host)
	literal := err == nil
	switch {
	case literal && addr.IsLoopback():
		return netip.AddrPortFrom(addr, port).String(), nil
	case literal:
		host = addr.Unmap().String()
	case host == "localhost":
		return net.JoinHostPort("127.0.0.1", text), nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if address, ok := v.hosts[host+":"+text]; ok {
		return address, nil
	}
	if address, ok := v.hosts[host]; ok {
		return address, nil
	}
	for name := range v.hosts {
		if strings.HasPrefix(name, host+":") {
			return closedAddress, nil
		}
	}
	if literal {
		return "", &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, port)), Err: syscall.EHOSTUNREACH}
	}
	return "", &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// dial connects from within the private network.
func (v *vpc) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	at, err := v.resolve(host, uint16(port))
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return v.conns.track(conn)
}

// connections knows the open connections, so that none is left when the network closes: a server does not know of connections
// that were hijacked.
type connections struct {
	mu     sync.Mutex
	open   map[*trackedConn]struct{}
	closed bool
}

func (c *connections) track(conn net.Conn) (net.Conn, error) {
	raw, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.New("track connection: it is not TCP")
	}
	tracked := &trackedConn{TCPConn: raw, conns: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	if c.open == nil {
		c.open = map[*trackedConn]struct{}{}
	}
	c.open[tracked] = struct{}{}
	return tracked, nil
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for conn := range c.open {
		_ = conn.TCPConn.Close()
	}
	clear(c.open)
}

// trackedConn is a TCP connection, with half-close, that is in connections until it is closed.
type trackedConn struct {
	*net.TCPConn

	conns *connections
}

// Close implements net.Conn.
func (t *trackedConn) Close() error {
	t.conns.mu.Lock()
	delete(t.conns.open, t)
	t.conns.mu.Unlock()
	return t.TCPConn.Close()
}

type trackedListener struct {
	net.Listener

	conns *connections
}

// Accept implements net.Listener.
func (l *trackedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.track(conn)
}
