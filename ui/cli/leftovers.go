package cli

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

// terminateLeft bounds the end of sessions that an earlier process has left behind, the question whose they are included.
const terminateLeft = 10 * time.Second

// leaveWithin is what that gets when the process has nothing else to do any more: less than culvert down waits for it.
const leaveWithin = 3 * time.Second

// teller says what becomes of sessions that were left behind.
type teller interface {
	noticef(format string, args ...any)
	warn(err error)
}

// keepJournal notes the sessions of this process in the state directory, and ends what a killed process has left in the
// account of the command.
func (a *app) keepJournal(ctx context.Context, acc *account) {
	acc.openJournal(a)
	a.endLeftBeside(ctx, acc, acc.client, a)
	acc.beside(ctx, func(ctx context.Context) { a.endRuns(ctx, a) })
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

// endLeftBeside terminates what killed processes have left where a client is, on the side: nothing of this keeps a start
// waiting or makes it fail. It is over when the account is closed.
func (a *app) endLeftBeside(ctx context.Context, acc *account, client *aws.Client, to teller) {
	if acc.demo != nil {
		return
	}
	acc.beside(ctx, func(ctx context.Context) { a.endLeft(ctx, acc.log, client, to) })
}

// beside has something done on the side. It is over when the account is closed: called off, if need be.
func (acc *account) beside(ctx context.Context, do func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	var doing sync.WaitGroup
	doing.Go(func() { do(ctx) })
	acc.atClose(func() {
		doing.Wait()
		cancel()
	})
	acc.mu.Lock()
	defer acc.mu.Unlock()
	acc.sides = append(acc.sides, cancel)
}

// endLeft does it for one client after the other: a killed process may have left sessions in several accounts, and its
// journal is for one at a time.
func (a *app) endLeft(ctx context.Context, log *slog.Logger, client *aws.Client, to teller) {
	a.leaving.Lock()
	defer a.leaving.Unlock()
	ctx, cancel := context.WithTimeout(ctx, terminateLeft)
	defer cancel()
	failed := tunnel.EndLeft(ctx, sessionsDir(), client, log, func(l tunnel.Left) {
		if l.Tried {
			to.noticef("an earlier culvert could not terminate %s; trying again", l)
			return
		}
		to.noticef("an earlier culvert was killed and left %s; terminating it", l)
	})
	for _, u := range failed {
		to.warn(u)
	}
}
