package headless

import (
	"errors"
	"slices"
	"syscall"
)

// ReaderGone reports whether a write failed because the reader has closed the pipe, as head(1) does once it has enough lines.
// That is no failure of culvert.
func ReaderGone(err error) bool { return isOneOf(err, readerGone) }

// windowsReaderGone are the error numbers of Windows for a pipe whose reader has gone: ERROR_BROKEN_PIPE, and ERROR_NO_DATA,
// "the pipe is being closed" (System Error Codes). On Windows syscall.EPIPE is a number of Go's own, which no call returns.
func windowsReaderGone() []syscall.Errno { return []syscall.Errno{109, 232} }

func isOneOf(err error, numbers []syscall.Errno) bool {
	number, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains(numbers, number)
}
