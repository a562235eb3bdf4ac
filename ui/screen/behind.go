package screen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
)

// What can be done to the destinations of a tunnel to any host.

// actBehind does what a key does to a destination, on the page about its tunnel and on its own alike.
func (ts *tunnels) actBehind(k tea.KeyPressMsg, r *row, to tunnel.Destination) (wish, bool) {
	keys := ts.look.keys
	switch {
	case keys.stop.Pressed(k):
		return ts.endDestination(r, to), true
	case keys.copy.Pressed(k):
		return chooseText(destinationCopies(r.reading, to.Endpoint, ts.spokenBy(r, to.Endpoint))), true
	case keys.doctor.Pressed(k) && to.Direct:
		return tell(say.Line(hostPort(to.Endpoint)) + " is reached directly from this machine: there is no task to examine"), true
	case keys.doctor.Pressed(k):
		at, q := ts.patient(r)
		return consult(at, q, to.Endpoint), true
	}
	return nil, false
}

// spokenBy is the protocol in which a destination has answered.
func (ts *tunnels) spokenBy(r *row, to tunnel.Endpoint) tunnel.Protocol {
	if r.tunnel == nil {
		return tunnel.ProtocolUnknown
	}
	newest := tunnel.ProtocolUnknown
	for _, c := range r.tunnel.DestinationConnections(to) {
		if c.Received > 0 && c.Err == nil && c.Protocol != "" && c.Protocol != tunnel.ProtocolUnknown {
			newest = c.Protocol
		}
	}
	return newest
}

// endDestination ends the sessions of a destination; if it has connections, only after a question. For a while that can be
// undone.
func (ts *tunnels) endDestination(r *row, to tunnel.Destination) wish {
	name := say.Line(hostPort(to.Endpoint))
	switch {
	case ts.readOnly:
		return fail(&ReadOnlyError{})
	case r.tunnel == nil && r.holder == nil, r.State.Final():
		return tell("the tunnel is over, and its destinations with it")
	}
	end := func() wish {
		doing := ts.ends(r, to.Endpoint)
		return all(tell("ending "+name), beside(func() tea.Msg {
			ended, err := doing()
			return then(func() wish {
				if r.holder != nil {
					ts.askNext = time.Time{} // at once
				}
				switch {
				case errors.Is(err, context.Canceled):
					return nil
				case err != nil:
					return fail(err)
				case !ended:
					return tell(name + " is not open any more")
				}
				ts.undos = append(ts.undos, undo{until: ts.clock().Add(undoWithin), over: closed(), again: func() wish { return ts.reopen(r, to.Endpoint) }})
				return tellFor(undoWithin, "ended "+name+"; who asks for it opens it anew, and "+ts.look.keys.undo.Shortest()+" does")
			})
		}))
	}
	if n := to.Stats.Connections; n > 0 {
		return confirm("end", "end", end, "end "+name+"?", plural(n, "open connection")+" will be cut.")
	}
	return end()
}

// ends returns what ends a destination and reports whether it was open: the tunnel itself, or the process that holds it.
func (ts *tunnels) ends(r *row, to tunnel.Endpoint) func() (bool, error) {
	if r.holder == nil {
		own := r.tunnel
		return func() (bool, error) { return own.EndDestination(to), nil }
	}
	set, id, by := r.holder.name, int(r.ID), r.heldBy()
	return func() (bool, error) {
		ended, err := ts.up.EndDestination(ts.accounts.ctx, set, id, hostPort(to))
		if _, old := errors.AsType[*control.OldHolderError](err); old {
			err = &heldError{
				text: "culvert " + by + " is held by an older culvert, which cannot end one destination alone",
				cure: "it ends when it has been idle for a while, or with the set",
			}
		}
		return ended, err
	}
}

// closed returns a Go channel that is closed.
func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// reopen opens a destination that was ended, by asking for it as a client does.
func (ts *tunnels) reopen(r *row, to tunnel.Endpoint) wish {
	name := say.Line(hostPort(to))
	network, address := "tcp", dialAddress(r.reading).String()
	if r.Spec.Socket != "" {
		network, address = "unix", r.Spec.Socket
	}
	return beside(func() tea.Msg {
		err := askFor(ts.accounts.ctx, network, address, to)
		return then(func() wish {
			if err != nil {
				return fail(fmt.Errorf("open %s again: %w", name, err))
			}
			return tell(name + " is open again")
		})
	})
}

const (
	// askForWithin is how long opening a destination again may take: as long as a new one waits for a seat, and a little longer.
	askForWithin = 2*time.Minute + 10*time.Second
	// mostAnswer bounds how many bytes are read of a proxy's answer that says why it did not connect.
	mostAnswer = 4096
)

// askFor has a proxy on this machine connect to a host and port, and hangs up when it has.
func askFor(ctx context.Context, network, address string, to tunnel.Endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, askForWithin)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // no data was sent
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, so that the proxy does not wait for an orderly end
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: hostPort(to)}, Host: hostPort(to), Header: http.Header{}}
	if err := request.Write(conn); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), request)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case answer.StatusCode == http.StatusOK:
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	_ = answer.Body.Close()
	first, rest, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if first == "" || err != nil {
		first = answer.Status
	}
	return &whole{say.Line(first), say.Line(strings.TrimSpace(rest))}
}
