package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"
)

// The connections of a dynamic tunnel's clients are served by culvert's own proxy (package front). A sniffer between client and
// proxy tells about them what it would tell if the proxy were one in the VPC. Behind the proxy are the connections to the
// destinations, whose inner tunnels have sniffers of their own.

// run owns the state of a dynamic tunnel, which it works out from its destinations, until the tunnel is told to stop.
func (p *pool) run() {
	t := p.tunnel
	defer close(t.done)
	defer t.later.Stop()
	var accepting sync.WaitGroup
	accepting.Go(func() { t.accept() })
	p.warm()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for t.ctx.Err() == nil {
		p.show()
		select {
		case <-p.health:
		case <-t.again:
			p.reconnect()
		case now := <-tick.C:
			p.look(now)
		case <-t.ctx.Done():
		}
	}
	t.engine.unlisten(t.local)
	t.connections.abort()
	p.close()
	accepting.Wait()
	t.connections.wait()
	t.wake()
	if why := context.Cause(t.ctx); errors.Is(why, errStopped) {
		t.record(Event{State: Closed})
	} else {
		t.record(Event{State: Failed, Err: why})
	}
}

// reconnect ends the destinations that nobody uses, and has the others replace their sessions.
func (p *pool) reconnect() {
	p.mu.Lock()
	clear(p.verdicts)
	p.proofAt = p.proofAt.Add(-vouchedFor) // an earlier session is no proof any more that sessions can be opened
	for _, d := range append([]*destination(nil), p.order...) {
		if d.idle() && !d.warm {
			p.drop(d)
		} else {
			d.proved = false
			d.inner.Reconnect()
		}
	}
	p.scoutAt = time.Time{}
	p.mu.Unlock()
}

// proxy serves one client to its end.
func (t *Tunnel) proxy(conn *connection) error {
	ctx := context.WithValue(t.ctx, clientKey{}, conn)
	err := t.pool.server.Serve(ctx, &tapped{Conn: conn.local, connection: conn})
	_ = conn.local.Close()
	if why := conn.trouble.Load(); why != nil {
		return *why
	}
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	return err
}

// names returns the hosts, with their ports, by which clients may address the listener.
func (l *listener) names() (all []string) {
	for _, a := range l.addresses() {
		port := strconv.Itoa(int(a.Port()))
		all = append(all, a.String())
		switch {
		case a.Addr().IsLoopback():
			all = append(all, net.JoinHostPort("localhost", port))
		case a.Addr().IsUnspecified():
			for _, name := range thisMachinesNames() {
				all = append(all, net.JoinHostPort(name, port))
			}
		}
	}
	return all
}

func thisMachinesNames() []string {
	all := []string{"localhost"}
	if name, err := os.Hostname(); err == nil && name != "" {
		all = append(all, name)
	}
	addresses, _ := net.InterfaceAddrs() // if that fails, the machine is known by its names alone
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, prefix.Addr().WithZone("").String())
		}
	}
	return all
}

// tapped is a client's connection as the proxy gets it: the sniffer reads along, and bytes are counted.
type tapped struct {
	net.Conn

	connection *connection
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.connection.sniff.up(p[:n])
		c.connection.sent.Add(uint64(n))
	}
	return n, err //nolint:wrapcheck // the error of the client's connection
}

func (c *tapped) Write(p []byte) (int, error) { return c.connection.hand(p, c.Conn.Write) }

// CloseWrite tells the client that the proxy sends nothing more. The error is errors.ErrUnsupported where the connection cannot
// be closed in one direction alone.
func (c *tapped) CloseWrite() error {
	if w, ok := c.Conn.(closeWriter); ok {
		return w.CloseWrite() //nolint:wrapcheck // as above
	}
	return errors.ErrUnsupported
}

// clientGone reports whether a client that has finished sending is gone altogether, where the system tells.
func (p *pool) clientGone(client net.Conn) (gone, known bool) {
	if c, ok := client.(*tapped); ok {
		client = c.Conn
	}
	return p.engine().kernel.gone(client)
}

// SetLinger is SetLinger of the client's connection: with 0 the client will see a reset.
func (c *tapped) SetLinger(sec int) error {
	if l, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		return l.SetLinger(sec) //nolint:wrapcheck // as above
	}
	return errors.ErrUnsupported
}

// clientKey is the key under which a context has the client's connection for which the proxy dials.
type clientKey struct{}

// clientOf returns the client's connection for which the proxy dials; nil where ctx has none.
func clientOf(ctx context.Context) *connection {
	c, _ := ctx.Value(clientKey{}).(*connection)
	return c
}

// note keeps the first reason why the client did not get what it wanted.
func (c *connection) note(err error) {
	if c != nil {
		c.trouble.CompareAndSwap(nil, &err)
	}
}

// pass opens a connection to a destination that is proved. The caller has counted it in d.conns.
func (p *pool) pass(ctx context.Context, d *destination) (net.Conn, error) {
	near, far := net.Pipe()
	conn := d.inner.connections.add(far, fromProxy)
	if conn == nil {
		p.left(d, nil)
		p.end(d) // the inner tunnel has ended by itself, and is about to report that
		return nil, errStopped
	}
	c := &passage{dialled: dialled{Conn: near, closed: make(chan struct{}), done: make(chan struct{})}, of: d, client: clientOf(ctx)}
	go func() {
		defer d.inner.connections.pending.Done()
		err := d.inner.through(conn).Err
		c.err = err
		close(c.done)
		p.left(d, err)
	}()
	return c, nil
}

// passage is the proxy's end of a connection to a destination. It has no CloseWrite, as agents have no half-close: whether a
// client that has finished sending still waits for its answer, the proxy has to find out (clientGone).
type passage struct {
	dialled

	of     *destination
	client *connection
}

func (c *passage) Read(p []byte) (int, error) {
	n, err := c.dialled.Read(p)
	return n, c.blame(err)
}

func (c *passage) Write(p []byte) (int, error) {
	n, err := c.dialled.Write(p)
	return n, c.blame(err)
}

// blame adds the destination to an error of the connection, and notes the error for the client.
func (c *passage) blame(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	failed := &DestinationError{Destination: c.of.endpoint, Err: err}
	c.client.note(failed)
	return failed
}
