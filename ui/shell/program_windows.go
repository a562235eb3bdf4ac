package shell

import (
	"context"
	"os/exec"
)

// runOnTerminal runs a program; the console tells it of ctrl+c.
func runOnTerminal(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	return cmd.Wait()
}
