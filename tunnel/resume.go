package tunnel

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"culvert/aws"
	"culvert/internal/say"
)

// carry runs the session's sockets one after the other.
func (l *lane) carry(ctx context.Context, cancel context.CancelCauseFunc) error {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel(errStopped)

	retry := newRetry()
	session := l.session
	for first := true; ; first = false {
		var lived time.Duration // of the socket
		socket, err := dialSocket(ctx, l.client, session, l.clientID)
		if err != nil && first {
			return err
		}
		if err == nil {
			if first {
				helpers.Go(func() { l.shake(ctx, cancel) })
			} else {
				l.resumed.Add(1)
			}
			l.attached.Store(true)
			l.changed(l, nil)
			served := time.Now()
			err = socket.serve(ctx, l.channel)
			lived = time.Since(served)
			if lived > steadyAfter {
				retry.Reset()
			}
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
		if session, err = l.resume(ctx, retry, lived >= briefly); err != nil {
			return err
		}
	}
}

// resume asks for a new token, at once or after a rest, until it gets one or hears that the session is over. It does not count
// its tries: the session lives on at the service while nobody asks.
func (l *lane) resume(ctx context.Context, retry *backoff.ExponentialBackOff, atOnce bool) (aws.Session, error) {
	for ; ; atOnce = false {
		if !atOnce {
			select {
			case <-time.After(retry.NextBackOff()):
			case <-ctx.Done():
				return aws.Session{}, context.Cause(ctx)
			}
		}
		session, err := l.client.ResumeSession(ctx, l.session.ID)
		switch {
		case err == nil && session.Token == "":
			return aws.Session{}, &EndedError{Session: l.session.ID}
		case err == nil:
			return session, nil
		case hopeless(err):
			return aws.Session{}, &ResumeError{Session: l.session.ID, Err: err}
		case ctx.Err() != nil:
			return aws.Session{}, context.Cause(ctx)
		}
		l.log.Info("resume failed, trying again", "error", err)
		l.changed(l, err)
	}
}

// newRetry is the backoff between tries: soon at first, half a minute at the most, spread by half so that many clients
// do not come at once.
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
	l.channel.mu.Lock()
	defer l.channel.mu.Unlock()
	return l.channel.over
}
