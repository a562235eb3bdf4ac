// Package tunnel carries TCP connections over Session Manager sessions.
package tunnel

import (
	"context"
	"log/slog"
	"net/netip"

	"culvert/aws"
)

// Options set an Engine up. The zero value of every field but Client works.
type Options struct {
	Client      *aws.Client
	Log         *slog.Logger
	Lanes       int // sessions per tunnel; 0 adapts to the load
	MessageSize int // payload bytes per message up; 0 is 1024, as AWS's own client sends
	UploadRate  int // bytes per second and session at the most; 0 is no ceiling
}

// Engine owns the tunnels of a process. Its methods are safe for concurrent use.
type Engine struct{}

// New returns an engine without tunnels.
func New(o Options) *Engine { panic("being built") }

// Open starts a tunnel and returns once it listens; its session follows as events.
func (e *Engine) Open(s Spec) (*Tunnel, error) { panic("being built") }

// Tunnels returns the tunnels in the order they were opened, ended ones included.
func (e *Engine) Tunnels() []*Tunnel { panic("being built") }

// Watch delivers every event from now on in order, however slow the reader, until ctx ends; then the channel is closed.
func (e *Engine) Watch(ctx context.Context) <-chan Event { panic("being built") }

// Close ends every tunnel: terminates the sessions and waits for all goroutines, at most until ctx ends.
func (e *Engine) Close(ctx context.Context) error { panic("being built") }

// Tunnel is one listener that lives on while sessions come and go. Its methods are safe for concurrent use.
type Tunnel struct{}

func (t *Tunnel) ID() ID                          { panic("being built") }
func (t *Tunnel) Spec() Spec                      { panic("being built") }
func (t *Tunnel) Addr() netip.AddrPort            { panic("being built") } // the IPv4 loopback one where there are two; zero for a unix socket
func (t *Tunnel) State() (State, error)           { panic("being built") }
func (t *Tunnel) Link() Link                      { panic("being built") }
func (t *Tunnel) Stats() Stats                    { panic("being built") }
func (t *Tunnel) Connections() []Connection       { panic("being built") } // open ones, and the last 100 ended
func (t *Tunnel) History() []Event                { panic("being built") } // the last 200 changes of state
func (t *Tunnel) Reconnect()                      { panic("being built") } // ends the sessions; others follow on the same listener
func (t *Tunnel) Close(ctx context.Context) error { panic("being built") }

// Remote errors that a face shows: "nothing listens there" arrives as *RefusedError in Connection.Err.
