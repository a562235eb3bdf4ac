//go:build unix

package tunnel

import (
	"net"
	"syscall"
)

// directWriter writes to a local connection without ever waiting for it. One goroutine at a time may use it.
type directWriter struct {
	raw     syscall.RawConn
	p       []byte                // what attempt is to write
	n       int                   // how much of p it wrote
	attempt func(fd uintptr) bool // made once, as a closure for every message would be garbage to collect
}

// newDirectWriter returns nil for a connection that cannot be written to in this way.
func newDirectWriter(conn net.Conn) *directWriter {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	d := &directWriter{raw: raw}
	d.attempt = func(fd uintptr) bool {
		n, err := syscall.Write(int(fd), d.p)
		if err == nil {
			d.n = n
		}
		return true // not to be called again
	}
	return d
}

// write writes what the socket's buffer has room for and returns how many bytes that was, without waiting. It returns no error:
// a connection that fails takes 0 bytes, and the caller, who hands the rest to an ordinary Write, gets the error from that.
func (d *directWriter) write(p []byte) int {
	d.p, d.n = p, 0
	_ = d.raw.Write(d.attempt)
	d.p = nil
	return d.n
}
