//go:build unix

package headless

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// child is a program with a process group of its own, so that a signal reaches what it has started as well. Where
// culvert has the terminal, the group gets it if that is its stdin: else it could not read from it, and ctrl+c would not
// reach it. If stdin is something else, a program before us in the pipe may need the terminal: the group gets it when it
// asks.
type child struct {
	pid      int
	terminal *os.File // nil when culvert does not have one, or not in the foreground
}

func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{terminal: foreground()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if stdin, ok := cmd.Stdin.(*os.File); ok && c.terminal != nil && stdin != nil && term.IsTerminal(int(stdin.Fd())) {
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, int(c.terminal.Fd())
	}
	if err := cmd.Start(); err != nil {
		c.close()
		return nil, err
	}
	c.pid = cmd.Process.Pid
	if c.terminal != nil {
		signal.Ignore(syscall.SIGTTOU) // events are printed from the background now
	}
	return c, cmd.Process.Release() // wait asks the system itself: it wants to know of stops, too
}

// foreground returns the terminal if culvert is in its foreground.
func foreground() *os.File {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	if !owns(terminal) {
		_ = terminal.Close()
		return nil
	}
	return terminal
}

// hand gives the terminal to a process group.
func (c *child) hand(group int) {
	_ = unix.IoctlSetPointerInt(int(c.terminal.Fd()), unix.TIOCSPGRP, group)
}

func (c *child) close() {
	if c.terminal != nil {
		_ = c.terminal.Close()
	}
}

// wait returns the exit code as a shell would show it. When the child is stopped from the terminal, culvert stops as
// well, and goes on with it.
func (c *child) wait() int {
	options := 0
	if c.terminal != nil {
		options = syscall.WUNTRACED
		defer func() {
			c.hand(unix.Getpgrp())
			signal.Reset(syscall.SIGTTOU)
			c.close()
		}()
	}
	for {
		var status syscall.WaitStatus
		switch _, err := syscall.Wait4(c.pid, &status, options, nil); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return codeSignal // nobody else waits for it: cannot happen
		case status.Stopped() && asks(status.StopSignal()) && c.ours():
			c.lend()
		case status.Stopped():
			c.stopWith()
		case status.Signaled():
			return codeSignal + int(status.Signal())
		default:
			return status.ExitStatus()
		}
	}
}

// stopTime is how long a stop may take to take effect; where nobody could continue culvert the system ignores it.
const stopTime = 200 * time.Millisecond

// stopWith stops culvert's own process group, as ctrl+z would have, and continues the child when it is continued.
func (c *child) stopWith() {
	c.hand(unix.Getpgrp())
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	_ = syscall.Kill(0, syscall.SIGTSTP)
	select {
	case <-continued:
	case <-time.After(stopTime):
	}
	c.lend()
}

// lend gives the child the terminal, if it is ours to give, and continues it.
func (c *child) lend() {
	if c.ours() {
		c.hand(c.pid)
	}
	c.pass(syscall.SIGCONT)
}

// ours reports whether culvert's group has the terminal now.
func (c *child) ours() bool { return owns(c.terminal) }

func owns(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// asks reports whether a process was stopped because it wants the terminal.
func asks(s syscall.Signal) bool { return s == syscall.SIGTTIN || s == syscall.SIGTTOU }

// pass sends a signal to the child's group.
func (c *child) pass(s os.Signal) {
	if number, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(-c.pid, number) // gone is fine
	}
}

// end passes on what culvert was ended with, and returns its number.
func (c *child) end(cause error) int {
	s := syscall.SIGTERM
	if told, ok := errors.AsType[*SignalError](cause); ok {
		s = told.Signal
	}
	c.pass(s)
	return int(s)
}

func (c *child) kill() { c.pass(syscall.SIGKILL) }
