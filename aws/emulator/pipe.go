package emulator

import (
	"io"
	"sync"
)

// pipeLimit is how many bytes the agent's unix socket between its mux and the data channel was measured to hold. That is why a
// small answer waits 200 ms and more behind a download (protocol.md 8).
const pipeLimit = 200_000

// pipeEnd is one end of a bounded pipe of bytes in both directions. A Write blocks while there is no room. Close of either end
// closes both.
type pipeEnd struct{ in, out *stream }

// newPipe returns the two ends.
func newPipe() (a, b *pipeEnd) {
	x, y := newStream(), newStream()
	return &pipeEnd{in: x, out: y}, &pipeEnd{in: y, out: x}
}

// Read implements io.Reader.
func (p *pipeEnd) Read(b []byte) (int, error) { return p.in.read(b) }

// Write implements io.Writer.
func (p *pipeEnd) Write(b []byte) (int, error) { return p.out.write(b) }

// Close implements io.Closer.
func (p *pipeEnd) Close() error {
	p.in.close()
	p.out.close()
	return nil
}

// stream is one direction of a pipe, as a ring of bytes.
type stream struct {
	mu      sync.Mutex
	changed sync.Cond
	ring    []byte
	first   int
	used    int
	closed  bool
}

func newStream() *stream {
	s := &stream{ring: make([]byte, pipeLimit)}
	s.changed.L = &s.mu
	return s
}

func (s *stream) write(b []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for s.used == len(s.ring) && !s.closed {
			s.changed.Wait()
		}
		if s.closed {
			return n, io.ErrClosedPipe
		}
		at := (s.first + s.used) % len(s.ring)
		end := min(len(s.ring), at+len(s.ring)-s.used)
		k := copy(s.ring[at:end], b[n:])
		n += k
		s.used += k
		s.changed.Broadcast()
		if n == len(b) {
			return n, nil
		}
	}
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.used == 0 && !s.closed {
		s.changed.Wait()
	}
	if s.used == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.ring[s.first:min(len(s.ring), s.first+s.used)])
	s.first = (s.first + n) % len(s.ring)
	s.used -= n
	s.changed.Broadcast()
	return n, nil
}

func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
}
