//go:build !windows

package headless

import "syscall"

// readerGone are the numbers of this system.
var readerGone = []syscall.Errno{syscall.EPIPE} //nolint:gochecknoglobals // never changed; Go has no constants of such types
