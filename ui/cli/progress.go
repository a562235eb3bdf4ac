package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"culvert/tunnel/doctor"
)

const (
	// progressAfter an examination has taken so long, a line says what it waits for.
	progressAfter = time.Second
	// clearLine goes to the beginning of the line and empties it.
	clearLine = "\r\x1b[K"
)

// progress is a line on a terminal that says what the doctor waits for.
type progress struct {
	out     io.Writer
	checks  []doctor.Check
	started time.Time
	end     chan struct{}
	drawing sync.WaitGroup

	mu    sync.Mutex
	done  map[string]bool
	shown bool
}

// progress begins the line, where there is a terminal and nothing else writes to it.
func (a *app) progress(checks []doctor.Check) *progress {
	p := &progress{out: a.Stderr, checks: checks, started: time.Now(), end: make(chan struct{}), done: map[string]bool{}}
	file, isFile := a.Stderr.(*os.File)
	logs := a.shared.logFile == "" && a.shared.logLevel.Level < slog.LevelWarn
	if isFile && !logs && a.shared.output == outputText && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd())) {
		p.drawing.Go(p.draw)
	}
	return p
}

// take notes a check that is over.
func (p *progress) take(r doctor.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done[r.Check] = true
}

// stop takes the line away.
func (p *progress) stop() {
	close(p.end)
	p.drawing.Wait()
}

func (p *progress) draw() {
	next := time.After(progressAfter)
	for {
		select {
		case <-next:
			p.mu.Lock()
			p.shown = true
			_, _ = io.WriteString(p.out, clearLine+p.line()) // nobody misses it
			p.mu.Unlock()
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

// line names the first check on the path that is not over: the others wait for it, or will be over before.
func (p *progress) line() string {
	text := fmt.Sprintf("%d of %d checks, %d s", len(p.done), len(p.checks), int(time.Since(p.started).Seconds()))
	for _, c := range p.checks {
		if !p.done[c.ID] {
			return text + ", looking at: " + c.ID
		}
	}
	return text
}
