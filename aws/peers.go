package aws

import (
	"context"
	"slices"
	"sync"
	"time"
)

// maxPeers is for how many services the ready containers are remembered.
const maxPeers = 64

// Peers are the ready containers that a session for t may lead to: one in each of the healthiest tasks of the newest deployment
// of its service, which are those that Successor chooses from. What was looked up within age is not looked up again. A task
// that no service started has no peers but itself.
func (c *Client) Peers(ctx context.Context, t Target, age time.Duration) (_ []Target, err error) {
	defer func() { c.addShell(err) }()
	if t.Service == "" {
		again, err := c.Successor(ctx, t)
		if err != nil {
			return nil, err
		}
		return []Target{again}, nil
	}
	q := t.Wanted()
	if known := c.peers.find(q, age); len(known) > 0 {
		return known, nil
	}
	tasks, err := c.tasks(ctx, q)
	if err != nil {
		return nil, err
	}
	ready, err := c.ready(ctx, q, tasks)
	if err != nil {
		return nil, err
	}
	return c.remember(q, ready), nil
}

// KnownPeers is what Peers has looked up within age; it asks nobody, and is empty when nothing was.
func (c *Client) KnownPeers(t Target, age time.Duration) []Target {
	if t.Service == "" {
		return nil
	}
	return c.peers.find(t.Wanted(), age)
}

// choose picks one of the ready containers at random; its error says why there is none.
func (c *Client) choose(ctx context.Context, q Query, tasks []Task) (Target, error) {
	ready, err := c.ready(ctx, q, tasks)
	if err != nil {
		return Target{}, err
	}
	return ready[random(len(ready))].target(q), nil
}

// remember keeps the ready containers of a service for Peers.
func (c *Client) remember(q Query, ready []candidate) []Target {
	found := make([]Target, 0, len(ready))
	for _, k := range ready {
		found = append(found, k.target(q))
	}
	c.peers.keep(found[0].Wanted(), found)
	return found
}

// peers are the ready containers of services, as they were last looked up.
type peers struct {
	mu    sync.Mutex
	known map[Query]peerList
}

type peerList struct {
	at    time.Time
	ready []Target
}

func (p *peers) find(key Query, age time.Duration) []Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	if list := p.known[key]; time.Since(list.at) <= age {
		return slices.Clone(list.ready)
	}
	return nil
}

func (p *peers) keep(key Query, ready []Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= maxPeers {
		p.known = map[Query]peerList{}
	}
	p.known[key] = peerList{at: time.Now(), ready: slices.Clone(ready)}
}
