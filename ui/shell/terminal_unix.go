//go:build unix

package shell

import (
	"os"
	"os/signal"
	"syscall"
)

// resized tells each time that the terminal may have another size.
func resized() (changed <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH)
	return signals, func() { signal.Stop(signals) }
}

// prepare has nothing to do: terminals act on what is written to them.
func prepare(*os.File) (undo func(), err error) { return func() {}, nil }
