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
	"net/netip"
	"slices"
	"sync"
	"time"

	"culvert/aws"
	"culvert/aws/wire"
)

// DefaultMessageSize is how many bytes of payload AWS's own client puts into a message. Whether the real service takes larger
// messages is not known (protocol.md 11).
const DefaultMessageSize = 1024

// Bounds of Options.MessageSize, in bytes.
const (
	MinMessageSize = 256
	MaxMessageSize = 64 << 10
)

// Options set an Engine up. The zero value of every field but Client works.
type Options struct {
	Client      *aws.Client // for tunnels whose Spec names no client
	Log         *slog.Logger
	Lanes       int      // sessions per tunnel whose Spec names no number; 0 adapts to the load
	OneTask     bool     // keeps all sessions of a tunnel on one task, instead of spreading them over those of the service
	MessageSize int      // payload bytes per message to an agent; 0 is DefaultMessageSize; with AutoMessageSize each session finds out what works
	Sizes       *Sizes   // remembers what sessions found out with AutoMessageSize; nil: nothing is kept beyond the engine's life
	UploadRate  int      // the most bytes per second that a session sends; 0 is no ceiling
	Journal     *Journal // notes the open sessions; closed with the engine
	// Build is the name and version that this program tells a relay.
	Build string
	// ReResolve is how old the resolution of a remote host's name may be for a new connection, see renew.go; with 0 the name is
	// only resolved anew when connections fail.
	ReResolve time.Duration
	// AllowLinkLocal permits link-local addresses as remote hosts, see Endpoint.LinkLocal.
	AllowLinkLocal bool
	// Listen opens the TCP listeners of tunnels; nil is net.ListenConfig's Listen. Tests put a network in memory in its place,
	// whose listeners have to have TCP addresses (*net.TCPAddr) too.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// Relay says whether tunnels use the relay of their task, see SeekRelay.
	Relay RelayMode
}

// Engine owns the tunnels of a process. Its methods are safe for concurrent use.
type Engine struct {
	options     Options
	patrolEvery time.Duration // the constant of that name, which tests change, as are keptFor and renewAfter
	keptFor     time.Duration
	quietFor    time.Duration // how long a strand to a relay may carry nothing before it is given up; 0 is bond's own default
	sizes       *Sizes        // nil: the message size is fixed
	renewAfter  time.Duration
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

// Open starts a tunnel and returns once it listens; what becomes of its session is told as events. The error is about the local
// side (a *PortTakenError, *PrivilegedPortError, *NoAddressError, *SocketPathError, *SocketError or what the system said) or
// about the remote end (a *LinkLocalError or *FormError).
func (e *Engine) Open(s Spec) (*Tunnel, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("open tunnel: the engine is closed")
	}
	if s.Remote.LinkLocal() && !e.options.AllowLinkLocal {
		return nil, &LinkLocalError{Host: s.Remote.Host}
	}
	e.kernel.open() // now, while there are file descriptors for it
	if s.Client == nil {
		s.Client = e.options.Client
	}
	if s.ID == 0 {
		e.last++
		s.ID = e.last
	}
	id := s.ID
	s.ID = 0 // so that a tunnel which is opened anew by this one's Spec gets another number
	t, err := openTunnel(e, id, s)
	if err != nil {
		return nil, err
	}
	e.tunnels = append(e.tunnels, t)
	e.own()
	t.start()
	return t, nil
}

// Reserve returns a number for a tunnel that is to be opened later, or never. It is to be put into that tunnel's Spec.ID.
func (e *Engine) Reserve() ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	return e.last
}

// own tells every tunnel's AWS client where tunnels listen now, so that no client uses one of them as its own proxy. e.mu is held.
func (e *Engine) own() {
	own := e.listening()
	for _, t := range e.tunnels {
		t.spec.Client.Own(own)
	}
}

// listening returns the addresses on which tunnels listen now. e.mu is held.
func (e *Engine) listening() []netip.AddrPort {
	var all []netip.AddrPort
	for _, t := range e.tunnels {
		if !t.local.closed {
			all = append(all, t.local.addresses()...)
		}
	}
	return all
}

// unlisten closes a tunnel's listener. What listens at its addresses afterwards is not culvert.
func (e *Engine) unlisten(l *listener) {
	l.close()
	e.mu.Lock()
	defer e.mu.Unlock()
	l.closed = true
	if len(l.sockets) > 0 {
		e.own()
	}
}

// Unended returns the sessions that are over for their tunnels but could not be terminated so far, neither by the API nor by the
// message to their agent.
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

// Endings delivers the ends of connections as Watch delivers the changes of state, but what waits for a slow reader is bounded:
// the last 1000 of each tunnel, and the sums of the others.
func (e *Engine) Endings(ctx context.Context) <-chan Ending { return e.endings.watch(ctx) }

// Close ends every tunnel: it terminates the sessions, also those that could not be terminated before, and waits for all
// goroutines, at most until ctx ends.
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
