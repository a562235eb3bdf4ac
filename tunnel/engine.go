// Package tunnel carries TCP connections over Session Manager sessions. An Engine owns tunnels; a Tunnel is a local
// listener that lives on while its lanes (sessions) come and go; a lane is a reliable channel with a carrier on it.
package tunnel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"culvert/aws"
	"culvert/aws/wire"
)

// DefaultMessageSize is what AWS's own client sends; larger ones are unproved on the real service.
const DefaultMessageSize = 1024

// Bounds of Options.MessageSize, in bytes.
const (
	MinMessageSize = 256
	MaxMessageSize = 64 << 10
)

// Options set an Engine up. The zero value of every field but Client works.
type Options struct {
	Client      *aws.Client // of tunnels whose Spec names no other
	Log         *slog.Logger
	Lanes       int      // sessions per tunnel whose Spec names no number; 0 adapts to the load
	OneTask     bool     // keeps all sessions of a tunnel on one task, instead of spreading them over those of the service
	MessageSize int      // payload bytes per message up; 0 is 1024, as AWS's own client sends; AutoMessageSize finds it out
	Sizes       *Sizes   // what was found out before; nil: nothing is kept
	UploadRate  int      // bytes per second and session at the most; 0 is no ceiling
	Journal     *Journal // notes the open sessions; closed with the engine
	// Build is how this program calls itself to a relay.
	Build string
	// ReResolve is how old the address of a remote host's name may be for a new connection; 0 never resolves it anew but when
	// connections fail.
	ReResolve time.Duration
	// AllowLinkLocal lets remote hosts be link-local addresses, see Endpoint.LinkLocal.
	AllowLinkLocal bool
	// Listen opens the listeners of tunnels that are no unix sockets; nil: the system's. Those of another network have TCP
	// addresses too.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// Relay is whether tunnels go through the relay of their task, see SeekRelay.
	Relay RelayMode
}

// Engine owns the tunnels of a process. Its methods are safe for concurrent use.
type Engine struct {
	options     Options
	patrolEvery time.Duration
	keptFor     time.Duration
	quietFor    time.Duration // that a strand carries nothing before it is given up; 0 is the usual
	sizes       *Sizes        // nil: the message size is fixed
	renewAfter  time.Duration // of the life of sockets
	states      *feed[Event]
	endings     *feed[Ending]

	kernel   kernel
	scarcity scarcity
	remains  *remains

	mu      sync.Mutex
	last    ID
	tunnels []*Tunnel
	closed  bool
}

// New returns an engine without tunnels.
func New(o Options) *Engine {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Listen == nil {
		o.Listen = new(net.ListenConfig).Listen
	}
	var sizes *Sizes
	if o.MessageSize == AutoMessageSize {
		sizes, o.MessageSize = cmp.Or(o.Sizes, &Sizes{}), DefaultMessageSize
	}
	if o.MessageSize == 0 {
		o.MessageSize = DefaultMessageSize
	}
	o.MessageSize = min(max(o.MessageSize, MinMessageSize), MaxMessageSize-wire.Overhead)
	return &Engine{
		options: o, sizes: sizes, patrolEvery: patrolEvery, keptFor: keptFor, renewAfter: renewAfter,
		states:  newFeed(func() queue[Event] { return &everything[Event]{} }),
		endings: newFeed(func() queue[Ending] { return &endings{of: make(map[ID]*newest)} }),
		remains: &remains{log: o.Log, journal: o.Journal},
	}
}

// Open starts a tunnel and returns once it listens; its session follows as events. The error is about the local side:
// *PortTakenError, *PrivilegedPortError or what the system said; or about the remote host, a *LinkLocalError.
func (e *Engine) Open(s Spec) (*Tunnel, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("open tunnel: the engine is closed")
	}
	if s.Remote.LinkLocal() && !e.options.AllowLinkLocal {
		return nil, &LinkLocalError{Host: s.Remote.Host}
	}
	e.kernel.open() // while there are file descriptors
	if s.Client == nil {
		s.Client = e.options.Client
	}
	if s.ID == 0 {
		e.last++
		s.ID = e.last
	}
	id := s.ID
	s.ID = 0 // who opens it anew by its Spec gets another number
	t, err := openTunnel(e, id, s)
	if err != nil {
		return nil, err
	}
	e.tunnels = append(e.tunnels, t)
	e.own()
	t.start()
	return t, nil
}

// Reserve returns the number of a tunnel that is to be opened later, or never: that of its Spec.
func (e *Engine) Reserve() ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	return e.last
}

// own tells every client where every tunnel listens: none of them may take one for its proxy.
func (e *Engine) own() {
	for _, t := range e.tunnels {
		for _, other := range e.tunnels {
			for _, a := range other.local.addresses() {
				t.spec.Client.Own(a)
			}
		}
	}
}

// Unended are the sessions that could not be terminated so far: by the API, nor by the word of their agent.
func (e *Engine) Unended() []*UnendedError { return e.remains.list() }

// Tunnels returns the tunnels in the order they were opened, ended ones included.
func (e *Engine) Tunnels() []*Tunnel {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.tunnels)
}

// Watch delivers every change of state from now on, in order and however slow the reader, until ctx ends or the engine is
// closed and all is delivered; then the channel is closed.
func (e *Engine) Watch(ctx context.Context) <-chan Event { return e.states.watch(ctx) }

// Endings delivers the ends of connections as Watch does the changes of state, but what waits for a slow reader is bounded: the
// last 1000 of each tunnel and the sums of the others.
func (e *Engine) Endings(ctx context.Context) <-chan Ending { return e.endings.watch(ctx) }

// Close ends every tunnel: terminates the sessions, those too that could not be before, and waits for all goroutines, at most
// until ctx ends.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	tunnels := slices.Clone(e.tunnels)
	e.mu.Unlock()
	for _, t := range tunnels {
		t.stop(nil)
	}
	var failed []error
	e.remains.close(ctx, func() {
		for _, t := range tunnels {
			if err := t.wait(ctx); err != nil {
				failed = append(failed, fmt.Errorf("tunnel %d: %w", t.id, err))
			}
		}
	})
	e.states.close()
	e.endings.close()
	e.kernel.close()
	return errors.Join(append(failed, e.options.Journal.Close())...)
}
