package tunnel

import (
	"context"
	"net"
	"time"
)

// Patrol sets how often the tunnels of e look after their tasks.
func (e *Engine) Patrol(every time.Duration) { e.patrolEvery = every }

// Keep sets for how long the tunnels that e opens keep sessions that they do not need any more.
func (e *Engine) Keep(d time.Duration) { e.keptFor = d }

// Quiet sets for how long a strand that carries nothing is kept.
func (e *Engine) Quiet(d time.Duration) { e.quietFor = d }

// Renew sets at what age the sockets of later sessions are renewed.
func (e *Engine) Renew(after time.Duration) { e.renewAfter = after }

// Beat is when a tunnel looks after its task.
type Beat struct{ beat }

// StartBeat returns that of a tunnel that starts now.
func StartBeat(now time.Time) *Beat { return &Beat{newBeat(patrolEvery, now)} }

// Due reports whether the tunnel asks at a moment.
func (b *Beat) Due(now time.Time, worried bool) bool { return b.due(now, worried) }

// Ask connects to a host as the proxy of a dynamic tunnel has it done.
func (t *Tunnel) Ask(ctx context.Context, host string, port uint16) (net.Conn, error) {
	return t.pool.Dial(ctx, host, port)
}

// Idle sets for how long a destination of t that nobody uses keeps its session.
func (t *Tunnel) Idle(d time.Duration) {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	t.pool.idle = d
}

// Each sets how many sessions a task carries at the most.
func (t *Tunnel) Each(n int) {
	t.pool.seats.mu.Lock()
	defer t.pool.seats.mu.Unlock()
	t.pool.seats.each = n
}

// Patience sets what a destination gets to accept its first connection.
func (t *Tunnel) Patience(d time.Duration) {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	t.pool.patience = d
}

// Deaf reports whether nothing that is sent from now on can have reached the agent of t's only lane, if that says no more.
func (t *Tunnel) Deaf() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	return now.After(t.lanes[0].channel.deafSince(0, now))
}

// Strung opens a tunnel that carries strands, which nobody's Close ends but the caller's.
func (e *Engine) Strung(s Spec) *Tunnel {
	s.Client, s.Unlistened = e.options.Client, true
	t := newTunnel(e, 1, s, &listener{})
	t.strands = &strands{}
	t.start()
	return t
}

// TakeStrand opens a strand. What it is told of its lane goes to words.
func (t *Tunnel) TakeStrand(ctx context.Context, words chan<- string) (net.Conn, string, error) {
	s, err := t.strand(ctx)
	if err != nil {
		return nil, "", err
	}
	if words != nil {
		s.heed(func(w laneWord) { words <- [...]string{"back", "away", "draining"}[w] })
	}
	return s, s.lane.session.ID, nil
}

// Want says how many there should be.
func (t *Tunnel) Want(n int) { t.wantStrands(n) }
