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

// child is a program in a process group of its own, so that a signal reaches the processes that it has started as well. If
// culvert is in the foreground of a terminal and the program's stdin is a terminal, the program's group becomes the foreground
// group: otherwise the program could not read from the terminal, and ctrl+c would not reach it. If its stdin is something else,
// a program before culvert in the pipeline may need the terminal: then the group gets it only when the program asks (SIGTTIN,
// SIGTTOU).
type child struct {
	pid      int
	terminal *os.File // nil when culvert has no terminal, or is not in its foreground
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
		signal.Ignore(syscall.SIGTTOU) // culvert prints events from the background now, which must not stop it
	}
	return c, cmd.Process.Release() // wait calls wait4 itself, as it has to know of stops, too
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

// wait returns the exit code as a shell would show it. When the child is stopped by ctrl+z, culvert stops as well, and it
// continues the child when it is continued.
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
			return codeSignal // cannot happen: nobody else waits for this child
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

// stopTime is how long culvert waits for its own SIGTSTP to take effect. The system ignores the signal where nobody could
// continue culvert.
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
		_ = syscall.Kill(-c.pid, number) // the group may have ended
	}
}

// end sends the child the signal that ended culvert, SIGTERM if it was no signal, and returns the number of that signal.
func (c *child) end(cause error) int {
	s := syscall.SIGTERM
	if told, ok := errors.AsType[*SignalError](cause); ok {
		s = told.Signal
	}
	c.pass(s)
	return int(s)
}

func (c *child) kill() { c.pass(syscall.SIGKILL) }
