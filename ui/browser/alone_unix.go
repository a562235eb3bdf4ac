//go:build unix

package browser

import (
	"os/exec"
	"syscall"
)

// alone gives a program a session of its own: it is not ended with the terminal, and its words do not reach it.
func alone(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
