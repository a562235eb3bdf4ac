package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

// line is a tunnel that an examination opens for itself: behind a unix socket in a directory of its own, so that it takes
// nobody's port and nobody else comes in.
type line struct {
	engine  *tunnel.Engine
	tunnel  *tunnel.Tunnel
	events  <-chan tunnel.Event
	endings <-chan tunnel.Ending
	cancel  context.CancelFunc // ends events
	dir     string

	opened  []tunnel.Event // changes of state until it was open, or not
	trouble error          // what was in the way for a while
}

// openLine opens a line; it returns at once with the tunnel starting.
func (x *examination) openLine(ctx context.Context, remote tunnel.Endpoint) (*line, error) {
	dir, err := tunnel.ShortDir(len("/s"))
	if err != nil {
		return nil, err
	}
	l := &line{engine: tunnel.New(tunnel.Options{Client: x.client, Log: x.Log, Lanes: 1, AllowLinkLocal: x.AllowLinkLocal}), dir: dir}
	var watched context.Context
	watched, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.events, l.endings = l.engine.Watch(watched), l.engine.Endings(watched)
	//nolint:contextcheck // a tunnel lives until its engine is closed
	l.tunnel, err = l.engine.Open(tunnel.Spec{Target: x.found.Target, Pinned: x.Query.Task != "", Remote: remote, Socket: filepath.Join(dir, "s")})
	if err != nil {
		l.close(ctx)
		return nil, err
	}
	return l, nil
}

func (l *line) close(ctx context.Context) {
	_ = l.engine.Close(ctx) // what is left ends with the session's idle timeout
	l.cancel()
	_ = os.RemoveAll(l.dir)
}

// await waits until the line is open. It returns the first error that time does not mend, and one that it may mend when
// patience is over.
func (l *line) await(ctx context.Context, patience time.Duration) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case e, more := <-l.events:
			if !more {
				return errors.New("the engine was closed")
			}
			l.opened = append(l.opened, e)
			switch {
			case e.State == tunnel.Open:
				return nil
			case e.State.Final() && e.Err != nil:
				return e.Err
			case e.Err != nil && !passing(e.Err):
				return e.Err
			case e.Err != nil:
				l.trouble = e.Err
			}
		case <-late.C:
			if l.trouble != nil {
				return l.trouble
			}
			if state := l.lastState(); state == tunnel.Handshaking { // the engine's own limit is longer than ours
				late.Reset(handshakePatience)
				l.trouble = &tunnel.HandshakeError{Target: l.tunnel.Link().Target, After: patience}
				continue
			}
			return &SlowError{What: "a session", Within: patience}
		case <-ctx.Done():
			if l.trouble != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return l.trouble
			}
			return context.Cause(ctx)
		}
	}
}

// handshakePatience is what await adds while the agent owes its handshake; the engine gives it 18 s.
const handshakePatience = 20 * time.Second

func (l *line) lastState() tunnel.State {
	if len(l.opened) == 0 {
		return tunnel.Starting
	}
	return l.opened[len(l.opened)-1].State
}

// passing reports whether an obstacle is worth waiting out. What took a timeout to find out is not.
func passing(err error) bool { return aws.Temporary(err) && !is[*aws.UnreachableError](err) }

// step is when a state was reached, counted from the start; false when it was not.
func (l *line) step(s tunnel.State) (time.Duration, bool) {
	for _, e := range l.opened {
		if e.State == s {
			return e.At.Sub(l.opened[0].At), true
		}
	}
	return 0, false
}

// dial connects to the far end.
func (l *line) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", l.tunnel.Spec().Socket)
	if err != nil {
		return nil, fmt.Errorf("connect to the tunnel: %w", err)
	}
	return conn, nil
}

// prove lets the task connect to the far end, within patience, and says how that went.
func (l *line) prove(ctx context.Context, patience time.Duration) (evidence string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	proof, err := l.tunnel.Prove(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded): // nothing is known of what it waited for
		return "", &SlowError{What: "a connection to " + place(l.tunnel.Spec().Remote), Within: patience}
	case err != nil:
		return "", err
	}
	evidence = place(l.tunnel.Spec().Remote) + " takes connections"
	if !proof.Session {
		evidence += ", after " + brief(proof.Connect)
	}
	return evidence, nil
}

// whyEnded is the engine's word on a connection that the far end has just closed, nil when it has none: it may come a moment
// later than the end.
func (l *line) whyEnded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	select {
	case e := <-l.endings:
		return e.Connection.Err
	case <-ctx.Done():
		return nil
	}
}
