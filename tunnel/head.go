package tunnel

// head is what a client says first, read while its connection waits for a lane.
type head struct {
	bytes []byte
	err   error
	done  chan struct{} // closed when the two are set
}

// wait returns when the reader is done, which the end of the connection brings about.
func (h *head) wait() {
	if h != nil {
		<-h.done
	}
}

// listen begins to read what the client says first. The channel is closed when it has said something, or ended.
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

// read reads from the client: first what listen got.
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
