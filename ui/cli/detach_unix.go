//go:build unix

package cli

import "syscall"

// ofItsOwn gives a process a session of its own: no terminal's ctrl+c or hang-up reaches it.
func ofItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
