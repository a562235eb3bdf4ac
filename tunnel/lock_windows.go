package tunnel

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes the lock of a file for as long as it is open; false when a living process has it. The system gives it
// back when its process dies, however it dies. The lock lies behind any content, which stays readable.
func lockFile(f *os.File) bool {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1}) == nil
}
