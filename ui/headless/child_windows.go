package headless

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// child is a program. Windows has no signals to pass on: the console tells the child itself of ctrl+c, and what culvert
// is told it takes for the end.
type child struct{ cmd *exec.Cmd }

func startChild(cmd *exec.Cmd) (*child, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{cmd: cmd}, nil
}

// wait returns the exit code.
func (c *child) wait() int {
	_ = c.cmd.Wait() // the state says it
	return c.cmd.ProcessState.ExitCode()
}

func (c *child) pass(os.Signal) {}

// end leaves a ctrl+c to the console, and returns the number of what culvert was ended with.
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
