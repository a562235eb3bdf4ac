//go:build unix

package tunnel

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the lock of a file for as long as it is open; false when a living process has it. The system gives it
// back when its process dies, however it dies.
func lockFile(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
