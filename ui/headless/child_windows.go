package headless

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// child is a program. Windows has no signals to pass on: ctrl+c reaches the child from the console, and any other signal that
// ends culvert kills the child.
type child struct{ cmd *exec.Cmd }

func startChild(cmd *exec.Cmd) (*child, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{cmd: cmd}, nil
}

// wait returns the exit code.
func (c *child) wait() int {
	_ = c.cmd.Wait() // ProcessState has the exit code
	return c.cmd.ProcessState.ExitCode()
}

func (c *child) pass(os.Signal) {}

// end kills the child unless culvert was ended by ctrl+c, which the console has sent to the child as well. It returns the
// number of the signal.
func (c *child) end(cause error) int {
	told, ok := errors.AsType[*SignalError](cause)
	if !ok {
		told = &SignalError{Signal: syscall.SIGTERM}
	}
	if told.Signal != syscall.SIGINT {
		c.kill()
	}
	return int(told.Signal)
}

func (c *child) kill() { _ = c.cmd.Process.Kill() }
