//go:build unix

package tunnel

import (
	"net"
	"syscall"
)

// directWriter writes to a local connection without ever waiting for it. One goroutine at a time may use it.
type directWriter struct {
	raw     syscall.RawConn
	p       []byte
	n       int
	attempt func(fd uintptr) bool // made once: a closure for every message would be garbage
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

// write returns how many bytes the connection took at once; whoever writes the rest meets the error, if there is one.
func (d *directWriter) write(p []byte) int {
	d.p, d.n = p, 0
	_ = d.raw.Write(d.attempt)
	d.p = nil
	return d.n
}
