package emulator

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/xtaci/smux"

	"culvert/aws/wire"
)

const (
	// payloadLimit is how many bytes of payload an agent puts into one message at most.
	payloadLimit = 1024
	// synTimeout is how long Linux tries to connect to a host that does not answer.
	synTimeout = 127 * time.Second
	// whilePaused is how often a paused agent looks whether it still is.
	whilePaused = time.Millisecond
)

// dialer connects to the destination of a session.
type dialer func(ctx context.Context) (net.Conn, error)

// destination determines where a session's connections go: to a port of the container, or to a host, whose name is resolved
// once in the container's network, as the agent does.
func (a *agent) destination(f Faults) (dialer, error) {
	order, k := a.session.order, a.session.container
	dial := func(ctx context.Context) (net.Conn, error) { return k.dial(ctx, order.port) }
	if order.host != "" {
		host := a.data.emulator.vpc.point(order.host) // a name is forbidden if the address that it leads to is
		ip, err := netip.ParseAddr(host)
		literal := err == nil
		loopback := host == "localhost" || (literal && ip.IsLoopback())
		switch {
		case literal && forbidden(ip), loopback && f.RefuseLoopback:
			return nil, sessionError("Forwarding to IP address " + host + " is forbidden.")
		case !loopback:
			address, err := a.data.emulator.resolve(host, order.port)
			if err != nil && !literal { // an address is not resolved, so the error comes only when it is dialled
				return nil, sessionError("Unable to resolve host " + order.host + ": " + err.Error())
			}
			dial = func(ctx context.Context) (net.Conn, error) {
				if err != nil {
					return nil, err
				}
				return a.data.emulator.network.DialContext(ctx, "tcp", address)
			}
		}
	}
	return func(ctx context.Context) (net.Conn, error) { return a.data.dial(ctx, order.port, dial) }, nil
}

// denyList are the addresses to which an agent forwards in no network: those of instance metadata, DNS and time
// (appconfig/constants.go of agent 3.3). The task's own metadata and credentials, at 169.254.170.2, are not among them.
const denyList = "169.254.169.254 169.254.169.253 169.254.169.123 169.254.169.250 169.254.169.251 fd00:ec2::254 fd00:ec2::253 fd00:ec2::123 fd00:ec2::240"

// forbidden reports whether the agent refuses an address: it is in denyList, or it is one of the first four or the last one of
// the VPC, which AWS reserves (protocol.md, "The exact deny list").
func forbidden(ip netip.Addr) bool {
	ip = ip.Unmap()
	if slices.Contains(strings.Fields(denyList), ip.String()) {
		return true
	}
	block := netip.MustParsePrefix(vpcBlock)
	if !block.Contains(ip) {
		return false
	}
	within := binary.BigEndian.Uint32(ip.AsSlice()) &^ (math.MaxUint32 << (32 - block.Bits()))
	return within < 4 || within == math.MaxUint32>>block.Bits()
}

// dial connects to a destination with its faults: a dial that is refused or gets no answer, a connection that stops reading.
func (d *dataPath) dial(ctx context.Context, port uint16, dial dialer) (net.Conn, error) {
	giveUp := time.NewTimer(synTimeout)
	defer giveUp.Stop()
	for {
		f, changed := d.watch()
		if slices.Contains(f.Refuse, port) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}
		if !slices.Contains(f.Swallow, port) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-giveUp.C:
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ETIMEDOUT}
		case <-changed:
		}
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &stallable{Conn: conn, data: d, port: port, over: ctx.Done()}
	c.release = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return c, nil
}

// stallable is a connection to a destination that can be made to stop reading. It closes when the session ends.
type stallable struct {
	net.Conn
	data    *dataPath
	port    uint16
	over    <-chan struct{} // closed when the session ends
	release func() bool
}

func (c *stallable) Write(b []byte) (int, error) {
	for {
		f, changed := c.data.watch()
		if !slices.Contains(f.Stalled, c.port) {
			return c.Conn.Write(b)
		}
		select {
		case <-c.over:
			return 0, net.ErrClosed
		case <-changed:
		}
	}
}

func (c *stallable) Close() error {
	c.release()
	return c.Conn.Close()
}

// mux serves the session with smux version 1 and the library's defaults, as agents after 3.0.196.0 do.
func (a *agent) mux(ctx context.Context, dial dialer, keepalive bool) error {
	config := smux.DefaultConfig()
	config.KeepAliveDisabled = !keepalive
	near, far := newPipe()
	session, err := smux.Server(far, config)
	if err != nil {
		return fmt.Errorf("start mux: %w", err)
	}
	a.port.Store(&portHandler{
		input: func(body []byte) bool {
			_, err := near.Write(body)
			return err == nil
		},
		disconnect: func() {},
	})
	// The real agent waits for both of its loops before it ends the session. When the mux breaks, the other loop still waits
	// for bytes, so that nobody ends the session (A5 of protocol.md 9).
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	release := context.AfterFunc(ctx, func() {
		_ = session.Close()
		_ = near.Close()
	})
	defer release()
	broken := make(chan struct{})
	var loops sync.WaitGroup
	loops.Go(func() {
		defer close(broken)
		a.accept(ctx, session, dial)
	})
	err = a.pump(ctx, near, broken)
	cancel()
	_ = session.Close()
	_ = near.Close()
	loops.Wait()
	return err
}

// accept connects each new stream to the destination, one after the other: a dial that hangs holds up all later ones.
func (a *agent) accept(ctx context.Context, session *smux.Session, dial dialer) {
	var streams sync.WaitGroup
	defer streams.Wait()
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return
		}
		conn, err := dial(ctx)
		if err != nil {
			a.send(wire.FlagType, wire.FlagBody(wire.FlagConnectToPortError))
			_ = stream.Close()
			continue
		}
		// The end of either direction closes the whole connection at the other end: the agent has no half-close (protocol.md
		// 6).
		streams.Go(func() {
			_, _ = io.Copy(conn, stream)
			_ = conn.Close()
		})
		streams.Go(func() {
			_, _ = io.Copy(stream, conn)
			_ = stream.Close()
		})
	}
}

// pump sends what it reads from r in messages of at most 1024 bytes, and waits a moment after each (Faults.Pacing).
func (a *agent) pump(ctx context.Context, r io.Reader, broken <-chan struct{}) error {
	packet := make([]byte, payloadLimit)
	for {
		rest := a.data.pacing()
		if a.paused.Load() {
			rest = max(rest, whilePaused)
		} else {
			select {
			case <-broken:
				return errors.New("mux ended")
			default:
			}
			n, err := r.Read(packet)
			if err != nil {
				return fmt.Errorf("read from mux: %w", err)
			}
			a.send(wire.Output, packet[:n])
		}
		if err := pause(ctx, rest); err != nil {
			return err
		}
	}
}

func (d *dataPath) pacing() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults.Pacing
}

// basic carries the raw bytes of one connection at a time, as agents without mux do, and all agents for old clients.
type basic struct {
	dial func() (net.Conn, error)
	over <-chan struct{} // closed when the session ends

	mu     sync.Mutex
	conn   net.Conn
	closed bool          // the destination has closed the connection; new data opens another one
	again  chan net.Conn // the connection that input has opened; nil when it could not
}

// basic serves the session without mux.
func (a *agent) basic(ctx context.Context, dial dialer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := dial(ctx)
	if err != nil {
		return sessionError("Unable to connect to specified port: " + err.Error())
	}
	b := &basic{dial: func() (net.Conn, error) { return dial(ctx) }, over: ctx.Done(), conn: conn, again: make(chan net.Conn)}
	a.port.Store(&portHandler{input: b.input, disconnect: b.disconnect})
	for {
		if err := a.pump(ctx, conn, nil); ctx.Err() != nil {
			return err
		}
		_ = conn.Close()
		b.mu.Lock()
		b.closed = true
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case conn = <-b.again:
		}
		if conn == nil {
			return errors.New("reconnect to port")
		}
	}
}

func (b *basic) input(body []byte) bool {
	b.mu.Lock()
	conn, closed := b.conn, b.closed
	b.mu.Unlock()
	if closed {
		var err error
		if conn, err = b.dial(); err != nil {
			conn = nil
		}
		b.mu.Lock()
		b.conn, b.closed = conn, false
		b.mu.Unlock()
		select {
		case b.again <- conn:
		case <-b.over:
			return false
		}
	}
	if conn == nil {
		return false
	}
	_, err := conn.Write(body)
	return err == nil
}

// disconnect closes the connection to the destination, as the client's connection has ended.
func (b *basic) disconnect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		_ = b.conn.Close()
	}
}
