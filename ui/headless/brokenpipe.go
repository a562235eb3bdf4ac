package headless

import (
	"errors"
	"slices"
	"syscall"
)

// ReaderGone reports whether something could not be written because nobody reads it any more, as head does not once it has
// enough: that is no failure.
func ReaderGone(err error) bool { return isOneOf(err, readerGone) }

// windowsReaderGone are the words of Windows for it: ERROR_BROKEN_PIPE, and ERROR_NO_DATA, "the pipe is being closed" (System
// Error Codes). syscall.EPIPE there is a number of Go's own, which no call returns.
func windowsReaderGone() []syscall.Errno { return []syscall.Errno{109, 232} }

func isOneOf(err error, numbers []syscall.Errno) bool {
	number, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains(numbers, number)
}
