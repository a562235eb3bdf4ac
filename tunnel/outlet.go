package tunnel

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// maxUnprinted is what may wait to be printed. An agent does not slow down (protocol.md 4), so that a reader who stops has
// to be waited for here; this is 40 seconds of all that it can send.
const maxUnprinted = 32 << 20

// outlet writes what a command prints, so that a terminal that is held does not hold the session up. put is for one
// goroutine, run for another.
type outlet struct {
	writers [2]io.Writer // of output and of errors

	mu      sync.Mutex
	waiting []printed
	size    int
	over    bool // nothing comes any more, or nothing can be written
	changed chan struct{}
}

type printed struct {
	errors bool
	text   []byte
}

func newOutlet(output, errors io.Writer) *outlet {
	return &outlet{writers: [2]io.Writer{output, errors}, changed: make(chan struct{}, 1)}
}

// put takes text in and keeps no reference to it.
func (o *outlet) put(errors bool, text []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return nil // run has said why
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

// close lets run end when all is written.
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

// run writes until close, or until a writer fails.
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
