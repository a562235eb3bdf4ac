package cli

import "context"

// guard reports that the interface runs in this process: consoles are given back by bubbletea alone.
func (a *app) guard(context.Context) (bool, error) { return false, nil }

func leashed(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(ctx)
}
