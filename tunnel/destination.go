package tunnel

import (
	"context"
	"errors"
	"time"

	"culvert/aws"
)

const (
	// provesWithin is how long a destination may take to accept its first connection. The task's system sends four SYNs in that
	// time (at once and after 1, 3 and 7 s).
	provesWithin = 10 * time.Second
	// provesAgain is the pause before the next try when the session has ended during a proof, or took none.
	provesAgain = 100 * time.Millisecond
)

// destination is a host and port of a dynamic tunnel: an inner tunnel without a listener, and what the pool knows of it. The
// pool's lock guards what follows inner, except scout, which is never changed.
type destination struct {
	pool     *pool
	endpoint Endpoint
	inner    *Tunnel
	scout    bool // it only finds out whether sessions can be opened, see explore
	warm     bool // it is kept open (Dynamic.Warm)

	opened, used time.Time // when it was opened, and when a connection of it last ended; at first used is opened
	conns        int       // connections that are open
	waiters      int       // clients that wait for a connection
	seated       bool      // it was given a seat for a session
	ending       bool      // it gets no more connections, and its tunnel ends

	proving bool          // a proof is under way
	proved  bool          // a connection was accepted, and none has failed since
	settled chan struct{} // closed when the proof under way has come to an end

	trouble error     // why it has no session; nil when it has a session or nothing went wrong
	since   time.Time // when trouble began
}

// idle reports whether the destination has no connection and nobody waits for one.
func (d *destination) idle() bool { return d.conns == 0 && d.waiters == 0 && !d.proving }

// prove finds out whether the destination takes connections, and wakes those that wait for the answer by settled.
func (d *destination) prove() {
	err := d.establish()
	p := d.pool
	p.mu.Lock()
	d.proving = false
	if err == nil {
		d.proved = true
		d.settle()
	}
	p.mu.Unlock()
	if err != nil {
		p.fail(d, err)
	}
}

// settle wakes those that wait for the proof. The pool's lock is held.
func (d *destination) settle() {
	close(d.settled)
	d.settled = make(chan struct{})
}

// establish waits for a session to the destination and has its agent prove that the destination accepts connections.
func (d *destination) establish() error {
	t := d.inner
	d.pool.mu.Lock()
	patience := d.pool.patience
	d.pool.mu.Unlock()
	for {
		l, err := t.await(t.ctx)
		if err != nil {
			return err
		}
		bounded, cancel := context.WithTimeout(t.ctx, patience)
		_, err = l.prove(bounded)
		late := bounded.Err() != nil
		cancel()
		switch {
		case t.ctx.Err() != nil:
			return context.Cause(t.ctx)
		case err == nil || isVerdict(err):
			return err
		case late:
			return &UnansweredError{Target: l.target, Remote: d.endpoint, After: patience}
		}
		// The session has ended during the proof, or takes no proof now: another session is asked.
		select {
		case <-time.After(provesAgain):
		case <-t.ctx.Done():
			return context.Cause(t.ctx)
		}
	}
}

// describe returns a copy of what is known of the destination now.
func (d *destination) describe() Destination {
	state, err := d.inner.State()
	p := d.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		err = d.trouble
	}
	if errors.Is(err, errStopped) {
		err = nil
	}
	used := d.used
	if d.conns > 0 {
		used = time.Now()
	}
	return Destination{Endpoint: d.endpoint, Warm: d.warm, State: state, Err: err, Link: d.inner.Link(), Stats: d.inner.Stats(), Opened: d.opened, Used: used}
}

// why returns what keeps the destination from having a session; nil when it has one.
func (d *destination) why() error {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	return d.trouble
}

// seat waits for the seat of a session to the destination: it returns the task that the session leads to, when the session may
// begin there.
func (d *destination) seat(ctx context.Context, l *lane, peers []aws.Target, needed bool) (aws.Target, error) {
	p := d.pool
	target, taken, err := p.seats.take(ctx, peers, p.tunnel.avoided(), needed)
	if err != nil {
		return aws.Target{}, err
	}
	l.seat = taken
	p.mu.Lock()
	d.seated = true
	p.mu.Unlock()
	return target, nil
}
