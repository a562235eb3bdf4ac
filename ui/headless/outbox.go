package headless

import (
	"io"
	"sync"
	"time"
)

const (
	// maxWaiting is how many lines may wait for their reader as long as minor ones are among them, which are left out beyond
	// that: traffic, ended connections, and the changes of single destinations.
	maxWaiting = 1000
	// maxKept is how many other lines may wait. States change seldom, so by then nobody has read for a long time.
	maxKept = 10_000
	// printWithin is how long the end of a run, or what is to be printed behind the events, waits for the reader of the events.
	printWithin = time.Second
)

// outbox prints lines in the background, so that a reader who stands still does not hold the run up. The number of lines that
// wait is bounded. Its methods are for one goroutine, which closes it at the end.
type outbox struct {
	out    io.Writer
	wake   chan struct{} // there are lines, or the outbox is closed; capacity 1
	failed chan struct{} // closed at the first error
	done   chan struct{} // closed when nothing is written any more

	mu      sync.Mutex
	lines   []outboxLine
	minor   int           // how many of lines are minor
	leftOut int           // how many lines nobody will see
	idle    chan struct{} // closed while no line waits or is being written
	over    bool
	err     error
}

type outboxLine struct {
	text  []byte
	minor bool
}

func newOutbox(out io.Writer) *outbox {
	o := &outbox{out: out, wake: make(chan struct{}, 1), failed: make(chan struct{}), done: make(chan struct{}), idle: make(chan struct{})}
	close(o.idle)
	go o.run()
	return o
}

// put has a line printed in the background. A minor line may be left out.
func (o *outbox) put(text []byte, minor bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil || o.over {
		return
	}
	if len(o.lines) == 0 && o.isIdle() {
		o.idle = make(chan struct{})
	}
	o.lines = append(o.lines, outboxLine{text: text, minor: minor})
	if minor {
		o.minor++
	}
	if o.minor > 0 && len(o.lines) > maxWaiting || len(o.lines) > maxKept {
		o.drop()
	}
	o.signal()
}

func (o *outbox) isIdle() bool {
	select {
	case <-o.idle:
		return true
	default:
		return false
	}
}

// drop leaves out the oldest minor line, or the oldest of all lines when none is minor.
func (o *outbox) drop() {
	at := 0
	for i, l := range o.lines {
		if l.minor {
			at = i
			o.minor--
			break
		}
	}
	o.lines = append(o.lines[:at], o.lines[at+1:]...)
	o.leftOut++
}

// skip counts lines as left out that were never put.
func (o *outbox) skip(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.leftOut += n
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run writes one line after the other until the outbox is closed and empty, or a write fails.
func (o *outbox) run() {
	defer close(o.done)
	for {
		o.mu.Lock()
		if len(o.lines) == 0 {
			if !o.isIdle() {
				close(o.idle)
			}
			over := o.over
			o.mu.Unlock()
			if over {
				return
			}
			<-o.wake
			continue
		}
		l := o.lines[0]
		o.lines = o.lines[1:]
		if l.minor {
			o.minor--
		}
		o.mu.Unlock()
		if _, err := o.out.Write(l.text); err != nil {
			o.fail(err)
			return
		}
	}
}

func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
	o.lines, o.minor = nil, 0
	close(o.failed)
	close(o.idle)
}

// flush waits until all lines are printed, for a limited time.
func (o *outbox) flush() {
	o.mu.Lock()
	idle := o.idle
	o.mu.Unlock()
	select {
	case <-idle:
	case <-time.After(printWithin):
	}
}

// close prints what is left, for a limited time. It returns how many lines were left out and the error that ended the printing.
// A write that still hangs after that time ends with the process.
func (o *outbox) close() (leftOut int, err error) {
	o.mu.Lock()
	o.over = true
	o.signal()
	o.mu.Unlock()
	select {
	case <-o.done:
	case <-time.After(printWithin):
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	leftOut = o.leftOut + len(o.lines)
	o.lines, o.minor = nil, 0
	return leftOut, o.err
}
