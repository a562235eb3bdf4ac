package shell

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// lookEvery is how often the size is looked at, as AWS's own client does it: a console that is read as bytes tells of no
// change.
const lookEvery = 500 * time.Millisecond

// utf8 is the code page of what agents send and take.
const utf8 = 65001

// resized tells each time that the terminal may have another size.
func resized() (changed <-chan time.Time, stop func()) {
	tick := time.NewTicker(lookEvery)
	return tick.C, tick.Stop
}

// prepare has the console act on escape sequences and read and write UTF-8.
func prepare(out *os.File) (undo func(), err error) {
	handle := windows.Handle(out.Fd())
	var mode uint32
	if err := windows.GetConsoleMode(handle, &mode); err != nil {
		return nil, fmt.Errorf("read the console's mode: %w", err)
	}
	if err := windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING|windows.DISABLE_NEWLINE_AUTO_RETURN); err != nil {
		return nil, fmt.Errorf("set the console's mode: %w", err)
	}
	keys, errKeys := windows.GetConsoleCP()
	shown, errShown := windows.GetConsoleOutputCP()
	_ = windows.SetConsoleCP(utf8) // without it letters beyond ASCII are wrong, and the rest works
	_ = windows.SetConsoleOutputCP(utf8)
	return func() {
		if errKeys == nil {
			_ = windows.SetConsoleCP(keys)
		}
		if errShown == nil {
			_ = windows.SetConsoleOutputCP(shown)
		}
		_ = windows.SetConsoleMode(handle, mode)
	}, nil
}
