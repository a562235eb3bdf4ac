package tunnel

import (
	"context"
	"errors"
	"net"
	"time"
)

// Dial connects to a host and port through a task, for the proxy. When it returns, the destination is known to accept
// connections: by a proof, or because there was a proof and no connection has failed since. Every error is a *DestinationError.
func (p *pool) Dial(ctx context.Context, host string, port uint16) (net.Conn, error) {
	e := Endpoint{Host: host, Port: port}.normal()
	conn, err := p.reach(ctx, e)
	if err != nil {
		err = &DestinationError{Destination: e, Err: err}
		if ctx.Err() == nil {
			clientOf(ctx).note(err)
		}
		return nil, err
	}
	return conn, nil
}

// reach waits for a destination, opens it if need be, and connects to it.
func (p *pool) reach(ctx context.Context, e Endpoint) (net.Conn, error) {
	if err := p.unusable(e); err != nil { //nolint:contextcheck // nobody is asked
		return nil, err
	}
	late := time.NewTimer(p.wait)
	defer late.Stop()
	for {
		d, err := p.join(e) //nolint:contextcheck // a destination outlives whoever asks for it first
		if err != nil {
			return nil, err
		}
		conn, err := p.through(ctx, d, late.C)
		if !errors.Is(err, errStopped) || ctx.Err() != nil || p.tunnel.ctx.Err() != nil {
			return conn, err
		}
		// The destination was ended at the moment in which it was asked for: it is opened anew.
	}
}

// join counts the caller among those that wait for a destination, and opens the destination if it is not open. The error is a
// remembered failure of the destination.
func (p *pool) join(e Endpoint) (*destination, error) {
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		return nil, net.ErrClosed
	}
	if v, ok := p.verdicts[e]; ok {
		if time.Now().Before(v.until) {
			p.mu.Unlock()
			return nil, v.err
		}
		delete(p.verdicts, e)
	}
	d := p.open[e]
	fresh := d == nil
	if fresh {
		d = p.add(e)
	}
	d.waiters++
	p.mu.Unlock()
	if fresh {
		d.inner.start()
	}
	return d, nil
}

// through waits until a destination is proved and connects to it.
func (p *pool) through(ctx context.Context, d *destination, late <-chan time.Time) (net.Conn, error) {
	joined := true
	defer func() {
		if joined {
			p.part(d)
		}
	}()
	for {
		p.mu.Lock()
		if d.proved && !d.inner.able() {
			d.proved = false // there is no session that takes connections now, so the client cannot be told that it is connected
		}
		if d.proved && !d.ending {
			d.waiters--
			d.conns++
			joined = false
			p.mu.Unlock()
			return p.pass(ctx, d)
		}
		if !d.proving && !d.ending {
			d.proving = true
			p.running.Go(d.prove)
		}
		settled := d.settled
		v, failed := p.verdicts[d.endpoint]
		ending := d.ending
		p.mu.Unlock()
		switch {
		case failed && ending:
			return nil, v.err
		case ending:
			return nil, errStopped
		}
		select {
		case <-settled:
			if err := p.verdict(d); err != nil {
				return nil, err
			}
		case <-late:
			return nil, p.late(d)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-p.tunnel.ctx.Done():
			return nil, net.ErrClosed
		}
	}
}

// late is why a client has waited for a destination in vain.
func (p *pool) late(d *destination) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !d.seated && p.seats.waiting() > 0:
		return &CapError{Most: p.seats.most, Each: p.seats.each, Waited: p.wait}
	case d.trouble != nil:
		return d.trouble
	}
	return &LateError{Waited: p.wait}
}

// part ends one caller's wait for a destination. A destination without a session for which nobody waits any more is ended.
func (p *pool) part(d *destination) {
	p.mu.Lock()
	d.waiters--
	unwanted := d.waiters == 0 && d.conns == 0 && !d.seated && !d.warm
	p.mu.Unlock()
	if unwanted {
		p.end(d)
	}
	p.seats.look()
}

// left notes the end of a connection to a destination. After one that the far end did not accept, the next one waits for a proof
// again.
func (p *pool) left(d *destination, err error) {
	p.mu.Lock()
	d.conns--
	d.used = time.Now()
	if isVerdict(err) {
		d.proved = false
	}
	p.mu.Unlock()
	p.seats.look()
}
