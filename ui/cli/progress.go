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
	// progressAfter an examination has taken so long, a line says what it waits for.
	progressAfter = time.Second
	// clearLine goes to the beginning of the line and empties it.
	clearLine = "\r\x1b[K"
)

// progress is a line on a terminal that says what is waited for.
type progress struct {
	out     io.Writer
	text    func(time.Duration) string // after so long
	started time.Time
	end     chan struct{}
	once    sync.Once
	drawing sync.WaitGroup

	mu    sync.Mutex // held while something is written
	shown bool
}

// progress begins the line, where there is a terminal and nothing else writes to it. text is called from another goroutine.
func (a *app) progress(text func(time.Duration) string) *progress {
	p := &progress{out: a.Stderr, text: text, started: time.Now(), end: make(chan struct{})}
	logs := a.shared.logFile == "" && a.shared.logLevel.Level < slog.LevelWarn
	if isTerminal(a.Stderr) && !logs && a.shared.output == outputText && os.Getenv("TERM") != "dumb" {
		p.drawing.Go(p.draw)
	}
	return p
}

// stop takes the line away for good. It may be called again.
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
				_, _ = io.WriteString(p.out, clearLine+string(text[:min(len(text), helpWidth-1)])) // nobody misses it
				p.mu.Unlock()
			}
			next = time.After(progressAfter)
		case <-p.end:
			p.aside(func() {})
			return
		}
	}
}

// aside takes the line away, until it is drawn again, and writes in its place.
func (p *progress) aside(write func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		_, _ = io.WriteString(p.out, clearLine)
	}
	p.shown = false
	write()
}

// beside returns a writer whose lines do not end up in the one of the progress. What is no terminal is written to as it is: it
// may stand still, and must hold up nothing else.
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

// seconds is how a time is told in the line.
func seconds(d time.Duration) string { return fmt.Sprintf("%d s", int(d.Seconds())) }

// tally is what the doctor waits for. Its methods are safe for concurrent use.
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

// line names the first check on the path that is not over: the others wait for it, or will be over before.
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

// opening says how far a set of tunnels is; empty when nothing of it is waited for.
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
