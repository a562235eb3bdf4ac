//go:build unix

package main

import (
	"os"
	"syscall"
)

// relayed are the signals that a command may be sent through culvert, beside those that end it.
func relayed() []os.Signal { return []os.Signal{syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2} }

// obey does what a signal does to a program that does not catch it.
func obey(s os.Signal) {
	if number, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(os.Getpid(), number) // ourselves: always allowed
	}
}
