package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

// The requests that a holder answers, one per connection, as a line of JSON.
const (
	doStatus      = "status"      // answered at once with the Set
	doDown        = "down"        // answered with the Set when its sessions are ended
	doDetail      = "detail"      // answered at once with the Detail of a tunnel
	doDestination = "destination" // answered at once with a Detail that has the connections to one destination of a tunnel

	doEndDestination = "end-destination" // answered at once with an ending
)

type request struct {
	Do string `json:"do"`
	ID int    `json:"id,omitempty"` // of the tunnel that all but doStatus and doDown are about

	Destination string `json:"destination,omitempty"` // as Detail tells it
}

// Holder is what a process that holds a set does when it is asked. Its functions are called from several goroutines.
type Holder struct {
	Status func() Set                  // how the set is
	Detail func(id int) (Detail, bool) // what there is to see of one tunnel; false when there is none of that id
	// Destination is a Detail with the connections to one destination of a tunnel to any host.
	Destination func(id int, destination string) (Detail, bool)
	// EndDestination ends one destination of a tunnel to any host, if it is open; found is false when there is no tunnel of that id.
	EndDestination func(id int, destination string) (ended, found bool)
	Stop           func() // begins its end
}

const (
	requestTime = 5 * time.Second // to hear a request, and to be rid of an answer
	maxRequest  = 4 << 10         // bytes
	acceptAgain = 100 * time.Millisecond
)

// Server answers for the set that this process holds.
type Server struct {
	holder   Holder
	listener net.Listener
	ended    chan struct{} // closed by Close: the sessions are ended, status is final
	serving  sync.WaitGroup
	cancel   context.CancelFunc
}

// Serve answers on a socket, in place of one that a crash has left.
func Serve(ctx context.Context, socket string, h Holder) (*Server, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, &SocketError{Path: socket, Err: err}
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("close the socket to others: %w", err), listener.Close())
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{holder: h, listener: listener, ended: make(chan struct{}), cancel: cancel}
	s.serving.Go(func() { s.accept(ctx) })
	return s, nil
}

// SocketError is a control socket that cannot be made.
type SocketError struct {
	Path string
	Err  error
}

func (e *SocketError) Error() string { return fmt.Sprintf("listen on %s: %v", e.Path, e.Err) }
func (e *SocketError) Unwrap() error { return e.Err }

// Remedy knows that the paths of sockets must be short.
func (e *SocketError) Remedy() string {
	const longest = 103 // sun_path of macOS without its final zero; Linux has four more
	if len(e.Path) > longest {
		return fmt.Sprintf("point XDG_RUNTIME_DIR at a directory with a shorter path: a socket's may have %d bytes, this one has %d", longest, len(e.Path))
	}
	return "point XDG_RUNTIME_DIR at a directory in which sockets can be made"
}

func (s *Server) accept(ctx context.Context) {
	for {
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			s.serving.Go(func() {
				defer conn.Close() //nolint:errcheck // the client sees what it got
				s.answer(ctx, conn)
			})
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		select { // out of file descriptors: who asks has to wait for one
		case <-time.After(acceptAgain):
		case <-s.ended:
			return
		}
	}
}

func (s *Server) answer(ctx context.Context, conn net.Conn) {
	if conn.SetDeadline(time.Now().Add(requestTime)) != nil {
		return
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxRequest)).ReadBytes('\n')
	var r request
	if err != nil || json.Unmarshal(line, &r) != nil {
		return
	}
	var answer any
	switch r.Do {
	case doStatus:
		answer = s.holder.Status()
	case doDown:
		s.holder.Stop()
		select {
		case <-s.ended:
		case <-ctx.Done():
			return
		}
		answer = s.holder.Status()
	case doDetail:
		answer = known(s.holder.Detail(r.ID))
	case doDestination:
		answer = known(s.holder.Destination(r.ID, r.Destination))
	case doEndDestination:
		answer = endingOf(s.holder.EndDestination(r.ID, r.Destination))
	default: // of a culvert that is younger than this one
		answer = Detail{Error: unknownRequest}
	}
	if conn.SetDeadline(time.Now().Add(requestTime)) == nil {
		_ = json.NewEncoder(conn).Encode(answer) //nolint:errchkjson // a client that is gone misses nothing
	}
}

// known is the answer about a tunnel, or that there is none.
func known(d Detail, found bool) Detail {
	if !found {
		d.Error = noTunnel
	}
	return d
}

// Close answers those who wait for the end, which has come, and stops listening.
func (s *Server) Close() {
	close(s.ended)
	_ = s.listener.Close()
	s.serving.Wait()
	s.cancel()
}
