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

// ownTunnel is a tunnel that an examination opens for itself. It listens on a unix socket in a directory that only this user can
// enter, so that it occupies no port and serves nobody else.
type ownTunnel struct {
	engine  *tunnel.Engine
	tunnel  *tunnel.Tunnel
	events  <-chan tunnel.Event
	endings <-chan tunnel.Ending
	cancel  context.CancelFunc // ends events
	dir     string

	opened  []tunnel.Event // the changes of state that await has seen
	trouble error          // the last temporary obstacle that await has seen; nil for none
}

// openTunnel opens an ownTunnel to a far end. It does not wait for the session.
func (x *examination) openTunnel(ctx context.Context, remote tunnel.Endpoint) (*ownTunnel, error) {
	dir, err := tunnel.ShortDir(len("/s"))
	if err != nil {
		return nil, err
	}
	o := &ownTunnel{engine: tunnel.New(tunnel.Options{Client: x.client, Log: x.Log, Lanes: 1, AllowLinkLocal: x.AllowLinkLocal}), dir: dir}
	var watched context.Context
	watched, o.cancel = context.WithCancel(context.WithoutCancel(ctx))
	o.events, o.endings = o.engine.Watch(watched), o.engine.Endings(watched)
	//nolint:contextcheck // a tunnel lives until its engine is closed
	o.tunnel, err = o.engine.Open(tunnel.Spec{Target: x.found.Target, Pinned: x.Query.Task != "", Remote: remote, Socket: filepath.Join(dir, "s")})
	if err != nil {
		o.close(ctx)
		return nil, err
	}
	return o, nil
}

// closeWithin is how long ending the session of an ownTunnel may take.
const closeWithin = 10 * time.Second

// end closes a tunnel that openTunnel has returned, also when ctx has ended, and notes the sessions that it leaves; nil is none.
func (x *examination) end(ctx context.Context, o *ownTunnel) {
	if o == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	o.close(ctx)
	x.leaving.Lock()
	defer x.leaving.Unlock()
	x.left = append(x.left, o.engine.Unended()...)
}

func (o *ownTunnel) close(ctx context.Context) {
	_ = o.engine.Close(ctx) // what it leaves is asked for
	o.cancel()
	_ = os.RemoveAll(o.dir)
}

// await waits until the tunnel is open. It returns the first error that is not temporary at once, and a temporary one when
// patience is over.
func (o *ownTunnel) await(ctx context.Context, patience time.Duration) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case e, more := <-o.events:
			if !more {
				return errors.New("the engine was closed")
			}
			o.opened = append(o.opened, e)
			switch {
			case e.State == tunnel.Open:
				return nil
			case e.State.Final() && e.Err != nil:
				return e.Err
			case e.Err != nil && !passing(e.Err):
				return e.Err
			case e.Err != nil:
				o.trouble = e.Err
			}
		case <-late.C:
			if o.trouble != nil {
				return o.trouble
			}
			if state := o.lastState(); state == tunnel.Handshaking { // the engine's own limit is longer than ours
				late.Reset(handshakePatience)
				o.trouble = &tunnel.HandshakeError{Target: o.tunnel.Link().Target, After: patience}
				continue
			}
			return &SlowError{What: "a session", Within: patience}
		case <-ctx.Done():
			if o.trouble != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return o.trouble
			}
			return context.Cause(ctx)
		}
	}
}

// handshakePatience is how much longer await waits while the handshake is under way; the engine gives up after 18 s.
const handshakePatience = 20 * time.Second

func (o *ownTunnel) lastState() tunnel.State {
	if len(o.opened) == 0 {
		return tunnel.Starting
	}
	return o.opened[len(o.opened)-1].State
}

// passing reports whether an obstacle is worth waiting for it to go away. One that took a timeout to be found is not.
func passing(err error) bool { return aws.Temporary(err) && !is[*aws.UnreachableError](err) }

// reached is how long after its start the tunnel reached a state; false when it did not.
func (o *ownTunnel) reached(s tunnel.State) (time.Duration, bool) {
	for _, e := range o.opened {
		if e.State == s {
			return e.At.Sub(o.opened[0].At), true
		}
	}
	return 0, false
}

// dial connects to the far end, through the tunnel's socket.
func (o *ownTunnel) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", o.tunnel.Spec().Socket)
	if err != nil {
		return nil, fmt.Errorf("connect to the tunnel: %w", err)
	}
	return conn, nil
}

// prove has the task connect to the far end, within patience, and describes the outcome.
func (o *ownTunnel) prove(ctx context.Context, patience time.Duration) (evidence string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	proof, err := o.tunnel.Prove(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded): // there was no session to ask, and it is not known why
		return "", &SlowError{What: "a connection to " + inWords(o.tunnel.Spec().Remote), Within: patience}
	case err != nil:
		return "", err
	}
	evidence = inWords(o.tunnel.Spec().Remote) + " takes connections"
	if !proof.Session {
		evidence += ", after " + brief(proof.Connect)
	}
	return evidence, nil
}

// whyEnded is the error with which the engine reports the end of a connection that has just ended; nil when it reports none. It
// waits for that report, which may come a moment later.
func (o *ownTunnel) whyEnded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	select {
	case e := <-o.endings:
		return e.Connection.Err
	case <-ctx.Done():
		return nil
	}
}
