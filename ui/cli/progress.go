package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/control"
)

const (
	// progressAfter is how long something takes before a line says what is waited for, and after which the line is drawn again.
	progressAfter = time.Second
	// clearLine moves the cursor to the beginning of the line and empties the line.
	clearLine = "\r\x1b[K"
)

// progress is a line on a terminal that says what is waited for.
type progress struct {
	out     io.Writer
	text    func(time.Duration) string // the text of the line after a time; empty for no line
	started time.Time
	end     chan struct{}
	once    sync.Once
	drawing sync.WaitGroup

	mu    sync.Mutex // held while something is written
	shown bool
}

// progress starts a progress. It draws the line only if stderr is a terminal to which no log is written. text is called from
// another goroutine.
func (a *app) progress(text func(time.Duration) string) *progress {
	p := &progress{out: a.Stderr, text: text, started: time.Now(), end: make(chan struct{})}
	logs := a.shared.logFile == "" && a.shared.logLevel.Level < slog.LevelWarn
	if isTerminal(a.Stderr) && !logs && a.shared.output == outputText && os.Getenv("TERM") != "dumb" {
		p.drawing.Go(p.draw)
	}
	return p
}

// stop removes the line for good. It may be called again.
func (p *progress) stop() {
	p.once.Do(func() { close(p.end) })
	p.drawing.Wait()
}

func (p *progress) draw() {
	next := time.After(progressAfter)
	for {
		select {
		case <-next:
			if text := []rune(p.text(time.Since(p.started))); len(text) > 0 {
				p.mu.Lock()
				p.shown = true
				_, _ = io.WriteString(p.out, clearLine+string(text[:min(len(text), helpWidth-1)])) // an error does not matter
				p.mu.Unlock()
			}
			next = time.After(progressAfter)
		case <-p.end:
			p.aside(func() {})
			return
		}
	}
}

// aside removes the line and calls write. The line is drawn again later.
func (p *progress) aside(write func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		_, _ = io.WriteString(p.out, clearLine)
	}
	p.shown = false
	write()
}

// beside returns a writer that removes the line of the progress before it writes to w. If w is no terminal, beside returns w
// itself: a write to it may block, and must not block the line.
func (p *progress) beside(w io.Writer) io.Writer {
	if !isTerminal(w) {
		return w
	}
	return besideWriter{p, w}
}

type besideWriter struct {
	progress *progress
	to       io.Writer
}

func (w besideWriter) Write(b []byte) (n int, err error) {
	w.progress.aside(func() { n, err = w.to.Write(b) })
	return n, err
}

// seconds is a time as the line tells it.
func seconds(d time.Duration) string { return fmt.Sprintf("%d s", int(d.Seconds())) }

// tally knows which checks the doctor still waits for. Its methods are safe for concurrent use.
type tally struct {
	checks []doctor.Check

	mu   sync.Mutex
	done map[string]bool
}

// take notes a check that is over.
func (t *tally) take(r doctor.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[r.Check] = true
}

// line says how many checks are over, and names the first on the path that is not: the others wait for it, or are over earlier.
func (t *tally) line(after time.Duration) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := fmt.Sprintf("%d of %d checks, %s", len(t.done), len(t.checks), seconds(after))
	for _, c := range t.checks {
		if !t.done[c.ID] {
			return text + ", looking at: " + c.ID
		}
	}
	return text
}

// opening says how far the start of a set of tunnels is; empty when the set is not starting.
func opening(s control.Set, after time.Duration) string {
	if s.State != control.Starting {
		return ""
	}
	ready := 0
	waiting := ""
	for _, t := range s.Tunnels {
		switch {
		case t.Ready:
			ready++
		case waiting != "":
		case t.State == tunnel.Open.String():
			waiting = fmt.Sprintf("tunnel %d is open, proving its far end", t.ID)
		default:
			waiting = fmt.Sprintf("tunnel %d is %s", t.ID, t.State)
		}
	}
	if waiting == "" {
		waiting = "looking for the target"
	}
	if len(s.Tunnels) > 1 {
		waiting = fmt.Sprintf("%d of %d ready, %s", ready, len(s.Tunnels), waiting)
	}
	return waiting + ", " + seconds(after)
}
