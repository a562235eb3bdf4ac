package headless

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
)

// The system itself is the judge: what a write to a pipe without a reader says is known here, and nothing else is.
func TestAReaderThatHasGoneIsKnown(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = writer.WriteString("x")
	if !ReaderGone(fmt.Errorf("print: %w", err)) {
		t.Errorf("a write to a pipe that nobody reads says %v, which is not known", err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	_, closed := writer.WriteString("x")
	for _, other := range []error{nil, closed, io.ErrClosedPipe, syscall.EBADF} {
		if ReaderGone(other) {
			t.Errorf("%v is taken for a reader that has gone", other)
		}
	}
}

// The numbers of Windows are those of its documentation, on every system.
func TestWindowsHasTwoNumbersForAReaderThatHasGone(t *testing.T) {
	for number, want := range map[syscall.Errno]bool{109: true, 232: true, 5: false, 0: false} {
		err := &os.PathError{Op: "write", Path: "|1", Err: number}
		if got := isOneOf(err, windowsReaderGone()); got != want {
			t.Errorf("%d: got %t", int(number), got)
		}
	}
}
