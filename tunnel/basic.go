package tunnel

import (
	"context"
	"sync"
	"time"

	"culvert/aws/wire"
)

// basicRest is how long a basic session rests between two connections: bytes of the old connection may still be on their way, and
// nothing in them says which connection they belong to.
const basicRest = 250 * time.Millisecond

// basic carries one connection after the other, for agents up to 3.0.196.0, which have no mux: the payloads are the bytes of the
// connection, and the agent gives no sign when the far end closes (protocol.md 5).
type basic struct {
	channel *channel
	turn    chan struct{} // holds a token while no connection uses the session

	mu      sync.Mutex
	current *stream // the connection that uses the session; nil for none
	over    error   // why the session is over; nil while it is not

	inboxes
	resting sync.WaitGroup // goroutines of rest
}

func newBasic(c *channel) *basic {
	b := &basic{channel: c, turn: make(chan struct{}, 1)}
	b.turn <- struct{}{}
	return b
}

func (b *basic) open(ctx context.Context) (*stream, error) {
	select {
	case <-b.turn:
	case <-b.channel.overDone:
		return nil, b.channel.over
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over != nil {
		return nil, b.over
	}
	s := &stream{carrier: b}
	s.inbox.init(&b.inboxes)
	b.current = s
	return s, nil
}

func (b *basic) write(ctx context.Context, _ *stream, p []byte) error {
	for limit := muxMessages * b.channel.room(); len(p) > 0; {
		n := min(len(p), limit)
		if err := b.channel.send(ctx, p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (b *basic) hangUp(s *stream) {
	b.mu.Lock()
	mine := b.current == s
	if mine {
		b.current = nil
	}
	mine = mine && b.over == nil
	if mine {
		b.resting.Add(1) // with the lock held: finish sets over first and then waits for resting
	}
	b.mu.Unlock()
	if !mine {
		return
	}
	_ = b.channel.push(wire.FlagType, wire.FlagBody(wire.FlagDisconnectToPort))
	go b.rest()
}

// rest frees the session for the next connection once the agent has acknowledged the disconnect and its last bytes have passed.
func (b *basic) rest() {
	defer b.resting.Done()
	for quiet := 0; quiet < 2; quiet++ {
		select {
		case <-time.After(basicRest / 2):
		case <-b.channel.overDone:
			return
		}
		if !b.channel.drained() {
			quiet = 0
		}
	}
	b.turn <- struct{}{}
}

func (b *basic) receive(body []byte) error {
	b.mu.Lock()
	s := b.current
	b.mu.Unlock()
	if s == nil {
		return nil
	}
	s.received.Add(uint64(len(body)))
	switch size := s.inbox.push(body); {
	case size > maxInbox:
		if s.done.CompareAndSwap(false, true) {
			b.hangUp(s)
		}
		s.inbox.finish(errOverflow)
	case size > fullInbox:
		s.inbox.ease(restAlone)
	}
	return nil
}

func (b *basic) finish(err error) {
	b.mu.Lock()
	s := b.current
	b.current, b.over = nil, err
	b.mu.Unlock()
	if s != nil {
		s.ended(err)
	}
	b.resting.Wait()
}
