package cli

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"culvert/tunnel"
)

// terminateLeft bounds the end of sessions that an earlier process has left behind.
const terminateLeft = 10 * time.Second

// keepJournal notes the sessions of this process in the state directory. What a killed process left behind is said and
// terminated on the side; nothing of this keeps a start waiting or makes it fail.
func (a *app) keepJournal(ctx context.Context, acc *account) { acc.keepJournal(ctx, a.noticef) }

func (acc *account) keepJournal(ctx context.Context, noticef func(format string, args ...any)) {
	if acc.demo != nil {
		return // its sessions end with the process
	}
	journal, left, err := tunnel.OpenJournal(filepath.Join(findPaths().State, "sessions"), acc.client.Region(), acc.log)
	if err != nil {
		noticef("warning: should this process be killed, the next one will not know of its sessions: %v", err)
	}
	acc.journal = journal
	if len(left) == 0 {
		return
	}
	for _, l := range left {
		noticef("an earlier culvert was killed and left %s; terminating it", l)
	}
	ctx, cancel := context.WithTimeout(ctx, terminateLeft)
	var ending sync.WaitGroup
	ending.Go(func() {
		if err := tunnel.Terminate(ctx, acc.client, left); err != nil {
			noticef("warning: not terminated, the account's idle timeout will: %v", err)
		}
	})
	acc.closes = append(acc.closes, func() {
		ending.Wait()
		cancel()
	})
}
