//go:build unix

package clip

import (
	"os/exec"
	"syscall"
)

// alone gives a program a session of its own: what it leaves behind to hold the text is not ended with the terminal, and
// all of it can be ended when it takes too long.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
