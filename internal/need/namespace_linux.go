package need

import (
	"os"
	"syscall"
	"testing"
)

// Namespace is Process with a network of its own, with nothing but a loopback device that is down, and mounts of its own. It does
// not run beside others.
func Namespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(againMark) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		missing(t, "root", syscall.EPERM)
	}
	again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL})
	return false
}
