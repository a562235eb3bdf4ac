package tunnel

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// maxUnprinted is how many bytes may wait to be printed. An agent does not slow down when its output is not read (protocol.md 4),
// so the output has to wait here; this is what an agent sends in 40 seconds at its full rate.
const maxUnprinted = 32 << 20

// outlet writes what a command prints from a goroutine of its own (run), so that a terminal or pipe that takes nothing does not
// hold up the session. put is for one other goroutine.
type outlet struct {
	writers [2]io.Writer // one for output, one for errors

	mu      sync.Mutex
	waiting []printed
	size    int           // bytes in waiting, and those that run is writing
	over    bool          // no more output comes, or a writer has failed
	changed chan struct{} // wakes run; capacity 1
}

// printed is a piece of output.
type printed struct {
	errors bool // it is for the writer of errors
	text   []byte
}

func newOutlet(output, errors io.Writer) *outlet {
	return &outlet{writers: [2]io.Writer{output, errors}, changed: make(chan struct{}, 1)}
}

// put queues a copy of text. The error is an *UnprintedError when too much waits already.
func (o *outlet) put(errors bool, text []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return nil // run has returned the writer's error
	}
	if o.size += len(text); o.size > maxUnprinted {
		return &UnprintedError{Bytes: o.size}
	}
	if n := len(o.waiting); n > 0 && o.waiting[n-1].errors == errors {
		o.waiting[n-1].text = append(o.waiting[n-1].text, text...)
	} else {
		o.waiting = append(o.waiting, printed{errors: errors, text: slices.Clone(text)})
	}
	o.signal()
	return nil
}

// close has run end when all that waits is written.
func (o *outlet) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	o.signal()
}

func (o *outlet) signal() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// run writes what put has queued until close was called and all is written, or a writer fails.
func (o *outlet) run() error {
	for {
		o.mu.Lock()
		batch, over := o.waiting, o.over
		o.waiting = nil
		o.mu.Unlock()
		for _, p := range batch {
			w := o.writers[0]
			if p.errors {
				w = o.writers[1]
			}
			_, err := w.Write(p.text)
			o.mu.Lock()
			o.size -= len(p.text)
			o.over = o.over || err != nil
			o.mu.Unlock()
			if err != nil {
				return fmt.Errorf("print what the command says: %w", err)
			}
		}
		if len(batch) > 0 {
			continue
		}
		if over {
			return nil
		}
		<-o.changed
	}
}
