package cli

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

// terminateLeft bounds the end of sessions that an earlier process has left behind, the question whose they are included.
const terminateLeft = 10 * time.Second

// teller says what becomes of sessions that were left behind.
type teller interface {
	noticef(format string, args ...any)
	warn(err error)
}

// keepJournal notes the sessions of this process in the state directory, and ends what a killed process has left in the
// account of the command.
func (a *app) keepJournal(ctx context.Context, acc *account) {
	acc.openJournal(a)
	acc.endLeft(ctx, acc.client, a)
}

func sessionsDir() string { return filepath.Join(findPaths().State, "sessions") }

func (acc *account) openJournal(to teller) {
	if acc.demo != nil {
		return // its sessions end with the process
	}
	journal, err := tunnel.OpenJournal(sessionsDir(), acc.log)
	if err != nil {
		to.noticef("warning: should this process be killed, the next one will not know of its sessions: %v", err)
	}
	acc.journal = journal
}

// endLeft terminates what killed processes have left where a client is, on the side: nothing of this keeps a start waiting
// or makes it fail. It is over when the account is closed.
func (acc *account) endLeft(ctx context.Context, client *aws.Client, to teller) {
	if acc.demo != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, terminateLeft)
	var ending sync.WaitGroup
	ending.Go(func() { endLeft(ctx, client, acc, to) })
	acc.atClose(func() {
		ending.Wait()
		cancel()
	})
}

func endLeft(ctx context.Context, client *aws.Client, acc *account, to teller) {
	failed := tunnel.EndLeft(ctx, sessionsDir(), client, acc.log, func(l tunnel.Left) {
		to.noticef("an earlier culvert was killed and left %s; terminating it", l)
	})
	for _, u := range failed {
		to.warn(u)
	}
}
