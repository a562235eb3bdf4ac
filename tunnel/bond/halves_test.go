package bond

import (
	"io"
	"net"
	"sync"
	"time"
)

// halves are the two ends of a connection within the process that can be closed by halves, as TCP's can. What is written
// waits in at most 64 KiB.
func halves() (a, b *half) {
	up, down := newWay(), newWay()
	return &half{in: down, out: up}, &half{in: up, out: down}
}

type half struct{ in, out *way }

// way is one direction.
type way struct {
	mu       sync.Mutex
	bytes    []byte
	ended    bool // by the writer
	gone     bool // the reader
	filled   chan struct{}
	drained  chan struct{}
	overtime chan struct{}
}

func newWay() *way {
	return &way{filled: make(chan struct{}, 1), drained: make(chan struct{}, 1), overtime: make(chan struct{})}
}

func (h *half) Read(p []byte) (int, error) {
	for w := h.in; ; {
		w.mu.Lock()
		n := copy(p, w.bytes)
		w.bytes = w.bytes[n:]
		ended, gone := w.ended, w.gone
		overtime := w.overtime
		w.mu.Unlock()
		switch {
		case n > 0:
			signal(w.drained)
			return n, nil
		case gone:
			return 0, net.ErrClosed
		case ended:
			return 0, io.EOF
		}
		select {
		case <-w.filled:
		case <-overtime:
			return 0, errDeadline
		}
	}
}

func (h *half) Write(p []byte) (n int, err error) {
	for w := h.out; n < len(p); {
		w.mu.Lock()
		if w.ended || w.gone {
			w.mu.Unlock()
			return n, io.ErrClosedPipe
		}
		k := min(len(p)-n, 64<<10-len(w.bytes))
		w.bytes = append(w.bytes, p[n:n+k]...)
		n += k
		w.mu.Unlock()
		if signal(w.filled); k == 0 {
			<-w.drained
		}
	}
	return n, nil
}

func (h *half) CloseWrite() error {
	h.out.mu.Lock()
	h.out.ended = true
	h.out.mu.Unlock()
	signal(h.out.filled)
	signal(h.out.drained)
	return nil
}

func (h *half) Close() error {
	_ = h.CloseWrite()
	h.in.mu.Lock()
	h.in.gone = true
	h.in.mu.Unlock()
	signal(h.in.filled)
	signal(h.in.drained)
	return nil
}

// SetReadDeadline knows the past alone.
func (h *half) SetReadDeadline(t time.Time) error {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	if !t.IsZero() && !t.After(time.Now()) {
		select {
		case <-h.in.overtime:
		default:
			close(h.in.overtime)
		}
	}
	return nil
}

func (h *half) SetDeadline(t time.Time) error    { return h.SetReadDeadline(t) }
func (h *half) SetWriteDeadline(time.Time) error { return nil }
func (h *half) LocalAddr() net.Addr              { return address("half") }
func (h *half) RemoteAddr() net.Addr             { return address("half") }
