package main

import (
	"os"
	"syscall"
)

// relayed are the signals that a command may be sent through culvert: Windows has none.
func relayed() []os.Signal { return nil }

// obey ends the process as ctrl+c does.
func obey(s os.Signal) {
	if number, ok := s.(syscall.Signal); ok {
		os.Exit(128 + int(number))
	}
}
