package tunnel

// head holds the first bytes that a client sends, read while its connection waits for a lane.
type head struct {
	bytes []byte
	err   error         // of the read
	done  chan struct{} // closed when bytes and err are set
}

// wait waits until the read that listen began has returned. The caller has closed the connection, which ends the read.
func (h *head) wait() {
	if h != nil {
		<-h.done
	}
}

// listen begins to read the first bytes that the client sends. The channel is closed when there are some, or the client has ended
// the connection.
func (c *connection) listen() <-chan struct{} {
	if c.head == nil {
		h := &head{bytes: make([]byte, headSize), done: make(chan struct{})}
		c.head = h
		go func() {
			defer close(h.done)
			n, err := c.local.Read(h.bytes)
			h.bytes, h.err = h.bytes[:n], err
		}()
	}
	return c.head.done
}

// read reads from the client, and first what listen has read.
func (c *connection) read(p []byte) (int, error) {
	h := c.head
	if h == nil {
		return c.local.Read(p)
	}
	<-h.done
	n := copy(p, h.bytes)
	if h.bytes = h.bytes[n:]; len(h.bytes) > 0 {
		return n, nil
	}
	c.head = nil
	return n, h.err
}
