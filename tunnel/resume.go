package tunnel

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"culvert/aws"
	"culvert/internal/say"
)

const (
	// briefly is how long a socket lives at the most that the service refuses: it takes the upgrade and then closes the socket
	// without having sent a message. After the loss of any other socket the first try to resume the session goes out at once, as
	// messages that the agent sends meanwhile are lost, and it takes 100 ms to send each again (protocol.md 9, A1).
	briefly = 200 * time.Millisecond
	// atOnceMost and atOnceEvery bound how often a session is resumed at once: atOnceMost times in a row, and after that once in
	// atOnceEvery. So even a service that closes every socket it has accepted is not asked much faster than the backoff allows.
	atOnceMost  = 6
	atOnceEvery = 3 * time.Second
)

var errNoToken = errors.New("the answer has no token")

// carry carries the session over one socket after the other, and resumes it in between, until the session is over or ctx ends;
// the error says which, and is never nil. cancel ends ctx, with the reason.
func (l *lane) carry(ctx context.Context, cancel context.CancelCauseFunc) error {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel(errStopped)

	retry, quick := newRetry(), allowance{left: atOnceMost}
	session := l.session
	var ahead *early
	for first := true; ; first = false {
		socket, err := ahead.dial(ctx, l.client, session, l.clientID)
		if err != nil && first {
			return err
		}
		atOnce := false
		if err == nil {
			if first {
				helpers.Go(func() { l.shake(ctx, cancel) })
				helpers.Go(func() { l.reassure(ctx, cancel) })
			} else {
				l.resumed.Add(1)
			}
			l.leads(session)
			l.attached.Store(true)
			l.changed(l, nil)
			last := l.serve(ctx, socket)
			err = last.why
			l.channel.closedBy(err)
			if last.life > steadyAfter {
				retry.Reset()
			}
			atOnce = last.welcome() && quick.take(time.Now())
		}
		l.attached.Store(false)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if over := l.overBy(err); over != nil {
			return over
		}
		l.log.Info("socket lost", "error", err)
		l.changed(l, err)
		if session, ahead, err = l.resume(ctx, retry, atOnce); err != nil {
			return err
		}
	}
}

// resume asks for a new token, at once or after a rest, until it gets one, is told that the session is over or ctx ends. The
// number of its tries has no limit, as the service keeps the session meanwhile. A try at once also begins to open the next
// websocket, which is returned.
func (l *lane) resume(ctx context.Context, retry *backoff.ExponentialBackOff, atOnce bool) (aws.Session, *early, error) {
	for ; ; atOnce = false {
		if !atOnce {
			select {
			case <-time.After(retry.NextBackOff()):
			case <-ctx.Done():
				return aws.Session{}, nil, context.Cause(ctx)
			}
		}
		session, ahead, err := l.ask(ctx, atOnce)
		switch {
		case err == nil:
			return session, ahead, nil
		case errors.Is(err, errNoToken):
			return aws.Session{}, nil, &EndedError{Session: l.session.ID}
		case hopeless(err):
			return aws.Session{}, nil, &ResumeError{Session: l.session.ID, Err: err}
		case ctx.Err() != nil:
			return aws.Session{}, nil, context.Cause(ctx)
		}
		l.log.Info("resume failed, trying again", "error", err)
		l.changed(l, err)
	}
}

// ask calls ResumeSession once. With overlap it also begins to open the next websocket meanwhile, which is returned.
func (l *lane) ask(ctx context.Context, overlap bool) (aws.Session, *early, error) {
	var ahead *early
	if overlap {
		ahead = l.knock(ctx)
	}
	session, err := l.client.ResumeSession(ctx, l.session.ID)
	if err == nil && session.Token == "" {
		err = errNoToken
	}
	if err != nil {
		ahead.drop()
		return aws.Session{}, nil, err
	}
	return session, ahead, nil
}

// early is the websocket of a session that is about to be resumed: what is slow about it, the connection, TLS and the upgrade,
// needs no token.
type early struct {
	url    string
	stop   context.CancelFunc
	done   chan struct{}
	socket *socket // set before done is closed, as is err
	err    error
}

// leads notes the stream URL of the session's present socket, and whether such URLs change.
func (l *lane) leads(session aws.Session) {
	l.moves = l.moves || l.stream != "" && l.stream != session.StreamURL
	l.stream = session.StreamURL
}

// knock begins to open the session's next websocket at the URL of the last one; nil where the service gives each another URL.
func (l *lane) knock(ctx context.Context) *early {
	if l.moves || strings.Contains(strings.ToLower(l.stream), "x-amz-") { // a presigned URL: the next one has another signature
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	e := &early{url: l.stream, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		e.socket, e.err = upgrade(ctx, l.client, aws.Session{ID: l.session.ID, StreamURL: e.url})
	}()
	return e
}

// dial returns the session's websocket with its token sent: the one that knock began to open, if it has the session's URL and
// works, else a new one. e may be nil.
func (e *early) dial(ctx context.Context, client *aws.Client, session aws.Session, clientID string) (*socket, error) {
	if e == nil || e.url != session.StreamURL {
		e.drop()
		return dialSocket(ctx, client, session, clientID)
	}
	<-e.done
	defer e.stop()
	if e.err == nil && e.socket.open(session.Token, clientID) == nil {
		return e.socket, nil
	}
	return dialSocket(ctx, client, session, clientID)
}

// drop gives up the websocket, and waits until it is closed. e may be nil.
func (e *early) drop() {
	if e == nil {
		return
	}
	e.stop()
	<-e.done
	if e.err == nil {
		_ = e.socket.conn.Close()
	}
}

// allowance bounds how often something is done: atOnceMost times in a row, and after that once in atOnceEvery.
type allowance struct {
	left  int       // how often it may be done now
	since time.Time // when left was last raised
}

// take reports whether it may be done now, and counts that.
func (a *allowance) take(now time.Time) bool {
	if back := int(now.Sub(a.since) / atOnceEvery); back > 0 {
		a.left, a.since = min(a.left+back, atOnceMost), now
	}
	if a.left == 0 {
		return false
	}
	a.left--
	return true
}

// newRetry returns the backoff between tries: 100 ms at first, growing to 20 s, and each made longer or shorter at random by up
// to half, so that many clients do not come at the same moment.
func newRetry() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 1.8, MaxInterval: 20 * time.Second,
	}
}

// overBy returns why the session is over, or nil when only the socket is.
func (l *lane) overBy(err error) error {
	if closed, ok := errors.AsType[*closedError](err); ok {
		return &ClosedError{Session: l.session.ID, Output: say.Brief(closed.output)}
	}
	_, garbage := errors.AsType[*GarbageError](err)
	_, broken := errors.AsType[*ProtocolError](err)
	if garbage || broken {
		return err
	}
	if err := l.oversize(); err != nil {
		return err
	}
	l.channel.mu.Lock()
	defer l.channel.mu.Unlock()
	return l.channel.over
}
