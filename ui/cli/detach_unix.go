//go:build unix

package cli

import "syscall"

// ofItsOwn gives a process a session of its own, so that no ctrl+c and no hang-up of a terminal reaches it.
func ofItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
