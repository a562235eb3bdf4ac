//go:build unix

package shell

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// runOnTerminal runs a program in a process group of its own, which has the terminal until it ends: so ctrl+c is for it and
// not for culvert as well. One that stops itself, by ctrl+z, is continued: nobody else could.
func runOnTerminal(ctx context.Context, cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	terminal := ours()
	if terminal == nil {
		if err := cmd.Start(); err != nil {
			return err
		}
		defer endWith(ctx, cmd.Process.Pid)()
		return cmd.Wait()
	}
	defer terminal.Close() //nolint:errcheck // nothing is lost
	cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, int(terminal.Fd())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	if err := cmd.Start(); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGTTOU) // or the terminal could not be taken back from the background
	defer func() {
		_ = unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPGRP, unix.Getpgrp())
		signal.Reset(syscall.SIGTTOU)
	}()
	pid := cmd.Process.Pid
	defer endWith(ctx, pid)()
	_ = cmd.Process.Release() // the system is asked here: of stops, too
	for {
		var status syscall.WaitStatus
		switch _, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return fmt.Errorf("wait for %s: %w", cmd.Path, err)
		case status.Stopped():
			_ = syscall.Kill(-pid, syscall.SIGCONT)
		case status.Signaled():
			return &ProgramError{Signal: status.Signal().String()}
		case status.ExitStatus() != 0:
			return &ProgramError{Code: status.ExitStatus()}
		default:
			return nil
		}
	}
}

// endWith ends a program's group with ctx, until what it returns is called.
func endWith(ctx context.Context, pid int) (undo func()) {
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-pid, syscall.SIGTERM) })
	return func() { stop() }
}

// ours is the terminal, if culvert has it; else nil.
func ours() *os.File {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	if group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		_ = terminal.Close()
		return nil
	}
	return terminal
}
