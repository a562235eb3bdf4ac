package tunnel

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
)

// batchConn gathers small reads and writes, so that a window of 1 KiB messages costs a few system calls and not hundreds. Before
// batch is called it passes every write through; after that it keeps writes in a buffer until flush, or until the buffer is full.
type batchConn struct {
	net.Conn
	in     *countingReader
	reader *bufio.Reader
	idle   func() // called before a read that may have to wait; may be nil

	mu     sync.Mutex    // guards buffer: crypto/tls may write during a read
	buffer *bufio.Writer // nil before batch
}

// countingReader remembers how many bytes the last read returned, and while the websocket is being opened limits how many are
// read.
type countingReader struct {
	io.Reader
	last int // bytes of the last read

	limited bool
	left    int // bytes that may still be read, if limited
}

// admit sets how many bytes may be read from now on.
func (r *countingReader) admit(bytes int) { r.limited, r.left = true, bytes }

func (r *countingReader) Read(p []byte) (int, error) {
	if r.limited {
		if r.left <= 0 {
			return 0, errLongUpgrade
		}
		p = p[:min(len(p), r.left)]
	}
	n, err := r.Reader.Read(p)
	r.last = n
	r.left -= n
	return n, err //nolint:wrapcheck // it adds nothing
}

func newBatchConn(conn net.Conn) *batchConn {
	in := &countingReader{Reader: conn}
	return &batchConn{Conn: conn, in: in, reader: bufio.NewReaderSize(in, socketBuffers)}
}

// batch has writes be gathered from now on, and idle be called before reads that may have to wait. No read may be under way.
func (c *batchConn) batch(idle func()) {
	c.idle = idle
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buffer = bufio.NewWriterSize(c.Conn, socketBuffers)
}

func (c *batchConn) Read(p []byte) (int, error) {
	if c.idle != nil && c.reader.Buffered() == 0 {
		c.idle()
	}
	return c.reader.Read(p) //nolint:wrapcheck // it adds nothing
}

func (c *batchConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffer == nil {
		return c.Conn.Write(p)
	}
	return c.buffer.Write(p)
}

func (c *batchConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.buffer.Flush(); err != nil {
		return fmt.Errorf("write to socket: %w", err)
	}
	return nil
}
