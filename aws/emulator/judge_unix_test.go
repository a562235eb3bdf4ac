//go:build unix

package emulator

import (
	"os/exec"
	"syscall"
)

// The aws CLI ignores ctrl+c while the plugin runs: both must get it, as from a terminal.
func ownGroup(cmd *exec.Cmd)       { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
func interruptGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
func killGroup(cmd *exec.Cmd)      { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
