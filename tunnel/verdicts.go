package tunnel

import (
	"errors"
	"time"
)

const (
	// remembersFor is how long every client that asks for a destination is told that it has failed, without another try: a page
	// with a hundred resources must not open a hundred sessions to a host that does not exist.
	remembersFor = 5 * time.Second
	// maxVerdicts is how many failures are remembered at the most.
	maxVerdicts = 1000
)

// verdict is a failure that is remembered.
type verdict struct {
	err   error
	until time.Time
}

// verdict is the remembered failure of a destination; nil when there is none, or the destination was proved since.
func (p *pool) verdict(d *destination) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.verdicts[d.endpoint]; ok && !d.proved {
		return v.err
	}
	return nil
}

// fail notes why a destination takes no connections, tells those that wait for one, and ends the destination unless it has other
// connections or is to be kept open.
func (p *pool) fail(d *destination, err error) {
	p.mu.Lock()
	if d.ending || errors.Is(err, errStopped) {
		p.mu.Unlock()
		return
	}
	d.proved = false
	p.remember(d.endpoint, err)
	d.settle()
	unused := d.conns == 0 && !d.warm
	p.mu.Unlock()
	p.tunnel.log.Info("destination failed", "destination", d.endpoint.String(), "error", err)
	if unused {
		p.end(d)
	}
}

// remember keeps a failure for remembersFor. p.mu is held.
func (p *pool) remember(e Endpoint, err error) {
	if _, known := p.verdicts[e]; !known && len(p.verdicts) >= maxVerdicts {
		delete(p.verdicts, p.eldest())
	}
	p.verdicts[e] = verdict{err, time.Now().Add(remembersFor)}
}

// eldest is the destination whose failure has been remembered the longest. p.mu is held.
func (p *pool) eldest() (at Endpoint) {
	var until time.Time
	for e, v := range p.verdicts {
		if until.IsZero() || v.until.Before(until) {
			at, until = e, v.until
		}
	}
	return at
}
