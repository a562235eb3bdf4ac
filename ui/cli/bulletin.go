package cli

import (
	"strings"
	"sync"
	"time"

	"culvert/tunnel/doctor"
)

// bulletinAfter is how long an examination takes before its results are printed as they come, not all at the end.
const bulletinAfter = 1500 * time.Millisecond

// bulletin prints the results of a long examination as they come: first what is examined, then each check when it and all checks
// before it are over. Together that is the text of the diagnosis, except for what its head does not know yet.
type bulletin struct {
	app      *app
	all      bool
	paint    painter
	progress *progress
	counted  *tally
	order    []doctor.Check
	begin    *time.Timer

	mu      sync.Mutex
	results map[string]doctor.Result
	shown   diagnosis // the results of it are those that were printed
	begun   bool
	over    bool
	err     error // the error of printing
}

// bulletin starts a bulletin, which prints nothing before bulletinAfter, and never with JSON output.
func (a *app) bulletin(checks []doctor.Check, d diagnosis, all bool, p *progress, counted *tally) *bulletin {
	b := &bulletin{app: a, all: all, paint: painter(colored(a.Stdout)), progress: p, counted: counted, order: checks, shown: d, results: map[string]doctor.Result{}}
	b.begin = time.AfterFunc(bulletinAfter, b.start)
	return b
}

func (b *bulletin) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || b.app.shared.output == outputJSON {
		return
	}
	b.begun = true
	var text strings.Builder
	b.shown.writeHead(&text)
	b.print(text.String() + b.fresh())
}

// take takes the result of a check, and prints what can be printed now.
func (b *bulletin) take(r doctor.Result) {
	b.counted.take(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results[r.Check] = r
	b.shown.Subject = r.Subject
	if b.begun {
		b.print(b.fresh())
	}
}

// fresh is the text of the checks that can be printed now: those that were not printed yet, up to the first that is not over.
func (b *bulletin) fresh() string {
	var text strings.Builder
	for _, c := range b.order[len(b.shown.Results):] {
		r, over := b.results[c.ID]
		if !over {
			break
		}
		b.shown.Results = append(b.shown.Results, r)
		b.shown.writeCheck(&text, r, b.all, b.paint)
	}
	return text.String()
}

func (b *bulletin) print(text string) {
	if text == "" || b.err != nil {
		return
	}
	b.progress.aside(func() { b.err = b.app.write(text) })
}

// stop ends the bulletin; nothing more is printed.
func (b *bulletin) stop() {
	b.begin.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}

// rest is the text of a diagnosis, without the part that was already printed.
func (b *bulletin) rest(d diagnosis) string {
	if !b.begun {
		return d.text(b.all, bool(b.paint))
	}
	var text strings.Builder
	d.writeEnd(&text, b.all, b.paint)
	return text.String()
}
