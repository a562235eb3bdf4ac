package swarm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
)

// network is where all of a world's sockets are: in memory, or the system's.
type network interface {
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// shore is a server at a far end. It takes orders: a letter, an id that says which bytes are meant, and how many.
type shore struct {
	w        *world
	address  string
	accepted atomic.Int64
	serving  sync.WaitGroup
	left     bool // its host has moved, and it was shut down; suffer's

	mu       sync.Mutex
	listener net.Listener // nil while it is down
	conns    map[net.Conn]bool
}

const (
	orderUpload   = 'u' // the bytes follow, the id is the answer
	orderDownload = 'd' // the bytes are the answer
	orderEcho     = 'e' // the bytes follow and are the answer
	headerSize    = 17
)

func header(what byte, id uint64, n int) []byte {
	b := append(make([]byte, 0, headerSize), what)
	b = binary.BigEndian.AppendUint64(b, id)
	return binary.BigEndian.AppendUint64(b, uint64(n))
}

// content are the bytes of an id.
func content(id uint64) io.Reader {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], id)
	return rand.NewChaCha8(seed)
}

// wrongError is bytes that are not those that were sent.
type wrongError struct{ text string }

func (e *wrongError) Error() string { return e.text }

// check reads n bytes and holds them against those of an id. took is told of each piece.
func check(r io.Reader, id uint64, n int, took func(piece []byte) error) error {
	want, buffer, expected := content(id), make([]byte, 8<<10), make([]byte, 8<<10)
	for done := 0; done < n; {
		got, err := r.Read(buffer[:min(len(buffer), n-done)])
		_, _ = io.ReadFull(want, expected[:got])
		if !bytes.Equal(buffer[:got], expected[:got]) {
			return &wrongError{fmt.Sprintf("wrong bytes in order %x, between %d and %d of %d", id, done, done+got, n)}
		}
		done += got
		if got > 0 && took != nil {
			if err := took(buffer[:got]); err != nil {
				return err
			}
		}
		if err != nil && done < n {
			return fmt.Errorf("after %d of %d bytes: %w", done, n, err)
		}
	}
	return nil
}

func newShore(w *world) (*shore, error) {
	s := &shore{w: w, address: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	return s, s.up()
}

// up opens the server, where it was before.
func (s *shore) up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	l, err := s.w.net.Listen(context.Background(), "tcp", s.address)
	if err != nil {
		return err
	}
	s.listener, s.address = l, l.Addr().String()
	s.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			s.mu.Lock()
			if s.listener != l {
				s.mu.Unlock()
				_ = conn.Close()
				continue
			}
			s.conns[conn] = true
			s.mu.Unlock()
			s.serving.Go(func() { s.serve(conn) })
		}
	})
	return nil
}

// down closes the server with its connections.
func (s *shore) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return
	}
	_ = s.listener.Close()
	s.listener = nil
	for conn := range s.conns {
		_ = conn.(interface{ SetLinger(seconds int) error }).SetLinger(0)
		_ = conn.Close()
	}
	clear(s.conns)
}

func (s *shore) serve(conn net.Conn) {
	err := s.orders(conn)
	if wrong, ok := errors.AsType[*wrongError](err); ok {
		s.w.fail("at the far end: %v", wrong)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[conn] {
		delete(s.conns, conn)
		_ = conn.Close()
	}
}

func (s *shore) orders(conn net.Conn) error {
	head := make([]byte, headerSize)
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return err
		}
		what, id, n := head[0], binary.BigEndian.Uint64(head[1:]), int(binary.BigEndian.Uint64(head[9:]))
		s.w.carries(id, conn.RemoteAddr())
		if !s.w.first(id) {
			return &wrongError{fmt.Sprintf("order %x has arrived twice", id)}
		}
		var err error
		switch what {
		case orderUpload:
			if err = check(conn, id, n, nil); err == nil {
				_, err = conn.Write(head[1:9])
			}
		case orderDownload:
			_, err = io.CopyN(conn, content(id), int64(n))
		case orderEcho:
			err = check(conn, id, n, func(piece []byte) error {
				_, err := conn.Write(piece)
				return err
			})
		default:
			return &wrongError{fmt.Sprintf("an order of %q", head)}
		}
		if err != nil {
			return err
		}
	}
}
