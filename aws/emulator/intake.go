package emulator

import (
	"context"
	"sync"
)

// intake is the start queue of one container's agent. The control channel passes on one start at a time to a queue that holds
// one (SessionWorkerBufferLimit), from which one start at a time is taken (protocol.md 8). So it is quick to start sessions one
// after the other, and slow to start several at once.
type intake struct {
	control, queue, taking chan struct{} // semaphores for one
	left                   chan struct{} // gets a value when a session ends

	mu      sync.Mutex
	running int
}

func (d *dataPath) intakeOf(target string) *intake {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hosts[target] == nil {
		d.hosts[target] = &intake{
			control: make(chan struct{}, 1), queue: make(chan struct{}, 1), taking: make(chan struct{}, 1), left: make(chan struct{}, 1),
		}
	}
	return d.hosts[target]
}

// enter returns once the agent has started the process for a session, which has to call leave at its end.
func (i *intake) enter(ctx context.Context, d *dataPath) error {
	taken, err := i.enqueue(ctx, d)
	if err != nil {
		return err
	}
	if !taken {
		err := acquire(ctx, i.taking)
		<-i.queue
		if err != nil {
			return err
		}
	}
	defer func() { <-i.taking }()
	if err := pause(ctx, d.knobs().AgentStart); err != nil {
		return err
	}
	for {
		f, changed := d.watch()
		i.mu.Lock()
		free := i.running < f.WorkersLimit
		if free {
			i.running++
		}
		i.mu.Unlock()
		if free {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-i.left:
		case <-changed:
		}
	}
}

// enqueue waits until the queue is empty and puts a start into it. taken means that no other start is being taken, so that this
// one is taken at once.
func (i *intake) enqueue(ctx context.Context, d *dataPath) (taken bool, err error) {
	if err := acquire(ctx, i.control); err != nil {
		return false, err
	}
	defer func() { <-i.control }()
	for {
		select {
		case i.queue <- struct{}{}:
		default:
			if err := pause(ctx, d.knobs().StartStep); err != nil {
				return false, err
			}
			continue
		}
		select {
		case i.taking <- struct{}{}:
			<-i.queue
			return true, nil
		default:
			return false, nil
		}
	}
}

func (i *intake) leave() {
	i.mu.Lock()
	i.running--
	i.mu.Unlock()
	select {
	case i.left <- struct{}{}:
	default:
	}
}

func acquire(ctx context.Context, semaphore chan struct{}) error {
	select {
	case semaphore <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
