package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Dial connects to the far end without the listener. It returns at once, even before there is a session, as a client's connect to
// the listener does. The connection is culvert's own: no event tells of it, and neither Connections nor Stats count it. When it
// fails, its Read and Write say why.
func (t *Tunnel) Dial() (net.Conn, error) {
	near, far := net.Pipe()
	conn := t.connections.add(far, fromCulvert)
	if conn == nil {
		return nil, fmt.Errorf("connect to the forward: %w", net.ErrClosed)
	}
	d := &dialled{Conn: near, closed: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer t.connections.pending.Done()
		defer close(d.done)
		d.err = t.through(conn).Err
	}()
	return d, nil
}

// dialled is the caller's end of a connection that Dial has made.
type dialled struct {
	net.Conn

	once   sync.Once
	closed chan struct{} // closed by Close
	done   chan struct{} // closed when the connection is over
	err    error         // how the connection has ended; set before done is closed
}

func (d *dialled) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Conn.Close()
}

func (d *dialled) Read(p []byte) (int, error) {
	n, err := d.Conn.Read(p)
	return n, d.why(err)
}

func (d *dialled) Write(p []byte) (int, error) {
	n, err := d.Conn.Write(p)
	return n, d.why(err)
}

// why replaces the error of a closed pipe by how the tunnel says that the connection has ended.
func (d *dialled) why(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	select {
	case <-d.closed:
		return err
	case <-d.done:
	}
	if d.err != nil {
		return d.err
	}
	return err
}
