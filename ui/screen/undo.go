package screen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/tunnel"
)

// undoWithin is how long a stop can be undone.
const undoWithin = 10 * time.Second

// undo opens again the tunnels that one stop has ended, with the same targets, local ports, probes and accounts.
type undo struct {
	tunnels []wanted
	again   func() wish // opens again what was stopped, where that was a destination; nil when tunnels were stopped
	until   time.Time
	over    <-chan struct{} // closed when the stop has freed the local ports
}

// stopNow ends tunnels without a question. For undoWithin that can be undone.
func (ts *tunnels) stopNow(rows ...*row) wish {
	over := make(chan struct{})
	u := undo{until: ts.clock().Add(undoWithin), over: over}
	closing := make([]*tunnel.Tunnel, len(rows))
	for i, r := range rows {
		closing[i] = r.tunnel
		u.tunnels = append(u.tunnels, r.again())
	}
	ts.undos = append(ts.undos, u)
	name, them := rows[0].local(), "it"
	if len(rows) > 1 {
		name, them = plural(len(rows), "tunnel"), "them"
	}
	back := "; " + ts.look.keys.undo.Shortest() + " opens " + them + " again"
	return all(tellFor(undoWithin, "stopping "+name+back), beside(func() tea.Msg {
		ctx, cancel := context.WithTimeout(ts.accounts.ctx, stopWithin)
		defer cancel()
		defer close(over)
		failed := make([]error, len(closing))
		var work sync.WaitGroup
		for i, t := range closing {
			work.Go(func() {
				if err := t.Close(ctx); err != nil {
					failed[i] = fmt.Errorf("stop %s: %w", localName(t), err)
				}
			})
		}
		work.Wait()
		return then(func() wish {
			for _, r := range rows {
				r.look(ts.clock()) // the last event may not have come yet, but a stopped tunnel must not be shown as open
			}
			ts.changed()
			if err := errors.Join(failed...); err != nil {
				return fail(err)
			}
			if !slices.ContainsFunc(ts.undos, func(other undo) bool { return other.over == u.over }) {
				return nil // the stop was undone meanwhile
			}
			return tellFor(u.until.Sub(ts.clock()), "stopped "+name+back)
		})
	}))
}

// undo takes the last stop back.
func (ts *tunnels) undo() wish {
	now := ts.clock()
	ts.undos = slices.DeleteFunc(ts.undos, func(u undo) bool { return now.After(u.until) })
	if len(ts.undos) == 0 {
		return tell(fmt.Sprintf("nothing was stopped in the last %d s", undoWithin/time.Second))
	}
	last := ts.undos[len(ts.undos)-1]
	ts.undos = ts.undos[:len(ts.undos)-1]
	return all(tell("opening it again"), beside(func() tea.Msg {
		select {
		case <-last.over:
		case <-ts.accounts.ctx.Done():
			return nil
		}
		return then(func() wish {
			if last.again != nil {
				return last.again()
			}
			var wishes []wish
			for _, w := range last.tunnels {
				wishes = append(wishes, ts.begun(w))
			}
			return all(wishes...)
		})
	}))
}
