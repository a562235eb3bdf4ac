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

// terminateLeft is how long it may take to terminate the sessions that an earlier process has left, including the call that tells
// whose they are.
const terminateLeft = 10 * time.Second

// leaveWithin is how long the process waits for that when it has nothing else to do: less than culvert down waits for the
// process.
const leaveWithin = 3 * time.Second

// teller tells the user what becomes of sessions that were left.
type teller interface {
	noticef(format string, args ...any)
	warn(err error)
}

// keepJournal has the sessions of this process noted in the state directory. Beside the command it terminates the sessions that
// killed processes have left in the command's account, and stops the tasks that they have left in any account.
func (a *app) keepJournal(ctx context.Context, acc *account) {
	acc.openJournal(a)
	a.endLeftBeside(ctx, acc, acc.client, a)
	acc.beside(ctx, func(ctx context.Context) { a.endRuns(ctx, a) })
}

func sessionsDir() string { return filepath.Join(findPaths().State, "sessions") }

func (acc *account) openJournal(to teller) {
	if acc.demo != nil {
		return // the sessions of the demo end with the process
	}
	journal, err := tunnel.OpenJournal(sessionsDir(), acc.log)
	if err != nil {
		to.noticef("warning: should this process be killed, the next one will not know of its sessions: %v", err)
	}
	acc.journal = journal
}

// endLeftBeside terminates the sessions that killed processes have left in the account of a client. It does so beside the
// command, which does not wait for it and does not fail with it; it is over when acc is closed.
func (a *app) endLeftBeside(ctx context.Context, acc *account, client *aws.Client, to teller) {
	if acc.demo != nil {
		return
	}
	acc.beside(ctx, func(ctx context.Context) { a.endLeft(ctx, acc.log, client, to) })
}

// beside runs do in a goroutine. Closing the account waits for do, and cancels its context after leaveWithin.
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

// endLeft terminates the sessions that killed processes have left in the account of a client. It works for one client at a time:
// a killed process may have left sessions in several accounts, and two calls must not work on its journal at once.
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
