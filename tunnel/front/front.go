// Package front is a proxy for clients on this machine: HTTP (CONNECT and absolute form), SOCKS 5, 4 and 4a on one listener, told
// apart by the first byte, and /proxy.pac. It knows no sessions: where a host is to be reached, and how, a Dialer says.
package front

import (
	"context"
	"errors"
	"net"
)

// Dialer connects to a host and port that a client has asked for. The connection is proved when Dial returns: its destination
// has taken it. An error may have the methods of Cause; its Error and Remedy are shown to the client.
type Dialer interface {
	Dial(ctx context.Context, host string, port uint16) (net.Conn, error)
}

// Options of a Server.
type Options struct {
	Through Dialer   // for what Rules send through the task
	Direct  Dialer   // for the rest; nil is this machine's own network
	Rules   Rules    // which is which
	Names   []string // the hosts, with ports, by which the listener may be addressed: others are refused
}

// Server speaks with clients. Its methods are safe for concurrent use.
type Server struct{ options Options }

// New returns a server for connections that somebody else accepts.
func New(o Options) *Server { return &Server{options: o} }

// Serve speaks with one client until it or ctx ends, and closes the connection.
func (s *Server) Serve(_ context.Context, client net.Conn) error {
	_ = client.Close()
	return errors.ErrUnsupported
}
