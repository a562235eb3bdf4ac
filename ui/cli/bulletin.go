package cli

import (
	"strings"
	"sync"
	"time"

	"culvert/tunnel/doctor"
)

// bulletinAfter an examination has taken so long, what it has found is printed as it goes on.
const bulletinAfter = 1500 * time.Millisecond

// bulletin prints an examination that takes its time: what is looked at, then each check when it and all before it are
// over. The whole is the text of the diagnosis; only what is not known yet is missing from its head.
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
	err     error // of printing
}

// bulletin waits for its time to come; it prints nothing where the output is JSON.
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

// take takes a result in.
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

// fresh is what the checks came to that were not printed yet, and have nothing before them that is not over.
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

// stop ends it before its time, or with what was printed.
func (b *bulletin) stop() {
	b.begin.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}

// rest is the text of a diagnosis without what was printed of it.
func (b *bulletin) rest(d diagnosis) string {
	if !b.begun {
		return d.text(b.all, bool(b.paint))
	}
	var text strings.Builder
	d.writeEnd(&text, b.all, b.paint)
	return text.String()
}
