package need

import (
	"fmt"
	"syscall"
	"testing"
)

// Disk mounts an empty file system of that many bytes over a directory, which keeps files in pages of 4096, and returns
// what takes it away. Only inside Namespace, with which it would go at the latest.
func Disk(t testing.TB, dir string, size int) (unmount func()) {
	t.Helper()
	// The mounts of the namespace begin as those of the machine, and would be seen there.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		missing(t, "mounts of its own", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NODEV|syscall.MS_NOSUID, fmt.Sprintf("mode=0700,size=%d", size)); err != nil {
		missing(t, "a tmpfs", err)
	}
	return func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) } // a process may still have files there
}
