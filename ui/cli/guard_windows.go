package cli

import (
	"context"
	"os"
)

// guard returns false, as there is no guard on Windows: the interface runs in this process, and only bubbletea restores the
// console.
func (a *app) guard(context.Context) (bool, error) { return false, nil }

// tether would bind the interface to its guard, but there is none on Windows.
type tether struct{}

func leashed(ctx context.Context) (context.Context, context.CancelCauseFunc, *tether) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, cancel, nil
}

// canLeave returns false, as the process ends with its console.
func (*tether) canLeave() bool { return false }

func (*tether) leave(*os.File, string) error { return nil }
