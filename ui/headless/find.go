package headless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"culvert/aws"
	"culvert/internal/say"
)

// find looks a target up, as persist does.
func find(ctx context.Context, c *aws.Client, q aws.Query, n *notices) (aws.Target, error) {
	return persist(ctx, fmt.Sprint(q), n, func() (aws.Target, error) { return c.Lookup(ctx, q) })
}

// persist calls look until it succeeds, as long as it fails for a temporary reason and ctx lasts. When ctx ends, the error is
// what was waited for, joined with the context's error. who is whom the notices are about.
func persist[T any](ctx context.Context, who string, n *notices, look func() (T, error)) (none T, _ error) {
	for pause := time.Second; ; pause = min(2*pause, 8*time.Second) {
		found, err := look()
		if err == nil {
			return found, nil
		}
		switch {
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return none, err
		case ctx.Err() != nil:
			return none, &aws.OverdueError{Err: err, Over: ctx.Err()}
		}
		if _, unreachable := errors.AsType[*aws.UnreachableError](err); unreachable || !aws.Temporary(err) {
			return none, err // a missing endpoint is more often a wrong region than an outage
		}
		n.wait(who, err)
		select {
		case <-time.After(pause/2 + rand.N(pause/2)): //nolint:gosec // jitter
		case <-ctx.Done():
			return none, &aws.OverdueError{Err: err, Over: ctx.Err()}
		}
	}
}

// notices prints what a run waits for, each thing once. It is safe for concurrent use.
type notices struct {
	out  io.Writer
	tell func(string) // instead of out, where another face shows the text
	mu   sync.Mutex
	said map[string]bool
}

func (n *notices) say(text string) { n.once(text, text) }

// wait says what who waits for: again only when the cause is another, not when only a number in the error is.
func (n *notices) wait(who string, err error) { n.once(who+" "+cause(err), "waiting: "+err.Error()) }

// once says a text unless the same key was said before.
func (n *notices) once(key, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.said[key] {
		return
	}
	if n.said == nil {
		n.said = map[string]bool{}
	}
	n.said[key] = true
	if n.tell != nil {
		n.tell(text)
		return
	}
	_, _ = fmt.Fprintln(n.out, "culvert: "+say.Line(text))
}
