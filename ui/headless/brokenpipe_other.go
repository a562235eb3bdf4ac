//go:build !windows

package headless

import "syscall"

// readerGone are the error numbers of this system for a pipe whose reader has gone.
var readerGone = []syscall.Errno{syscall.EPIPE} //nolint:gochecknoglobals // never changed; Go has no constants of such types
