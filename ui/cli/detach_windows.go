package cli

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// ofItsOwn gives a process no console, so that no ctrl+c reaches it.
func ofItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS}
}
