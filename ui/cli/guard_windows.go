package cli

import (
	"context"
	"os"
)

// guard reports that the interface runs in this process: consoles are given back by bubbletea alone.
func (a *app) guard(context.Context) (bool, error) { return false, nil }

// tether binds the interface to its guard, which there is none of here.
type tether struct{}

func leashed(ctx context.Context) (context.Context, context.CancelCauseFunc, *tether) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, cancel, nil
}

// canLeave reports that the process ends with its console.
func (*tether) canLeave() bool { return false }

func (*tether) leave(*os.File, string) error { return nil }
