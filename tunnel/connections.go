package tunnel

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// connections are the local connections of one tunnel.
type connections struct {
	mu      sync.Mutex
	lastID  uint64
	open    []*connection
	ended   []Connection                    // the last keepEnded of those that have ended
	closing bool                            // the tunnel ends: no more connections are taken in
	past    struct{ received, sent uint64 } // bytes of connections that have ended

	proxied bool           // the tunnel is a dynamic one, whose clients speak with culvert's own proxy
	queued  atomic.Int64   // connections that wait for a lane
	pending sync.WaitGroup // connections that are served
}

// add takes a connection in; nil when the tunnel takes no more of them. For a connection that is not from the listener the caller
// has to call pending.Done at its end.
func (c *connections) add(local net.Conn, from source) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil
	}
	conn := &connection{from: from, local: local, started: time.Now()}
	conn.sniff.front = c.proxied
	if from != fromListener {
		c.pending.Add(1) // with the lock held, so before wait: the goroutines that accept are waited for, those that dial are not
	}
	if !conn.own() {
		c.lastID++
		conn.id = c.lastID
	}
	c.open = append(c.open, conn)
	return conn
}

func (c *connections) remove(conn *connection, err error) Connection {
	record := conn.record()
	record.Ended, record.Err = time.Now(), err
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = slices.DeleteFunc(c.open, func(other *connection) bool { return other == conn })
	if conn.own() {
		return record
	}
	c.past.received += record.Received
	c.past.sent += record.Sent
	if c.ended = append(c.ended, record); len(c.ended) > keepEnded {
		c.ended = slices.Delete(c.ended, 0, len(c.ended)-keepEnded)
	}
	return record
}

func (c *connections) totals() (received, sent uint64, open int, accepted uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	received, sent = c.past.received, c.past.sent
	for _, conn := range c.open {
		if !conn.own() {
			received += conn.received.Load()
			sent += conn.sent.Load()
			open++
		}
	}
	return received, sent, open, c.lastID
}

func (c *connections) list() []Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.ended)
	for _, conn := range c.open {
		if !conn.own() {
			all = append(all, conn.record())
		}
	}
	return all
}

// some reports whether any connection is open.
func (c *connections) some() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open) > 0
}

// waiting is the number of connections that have no lane yet.
func (c *connections) waiting() int { return int(c.queued.Load()) }

// abort resets every local connection and has add take no more of them.
func (c *connections) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	for _, conn := range c.open {
		reset(conn.local)
	}
}

func (c *connections) wait() { c.pending.Wait() }
