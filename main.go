// Culvert opens Session Manager port forwards to ECS tasks.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"culvert/ui/cli"
)

// What the linker sets when a release is built (.goreleaser.yaml).
var version, commit, date string

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endings()...)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals) // the next one kills at once
			if number, ok := s.(syscall.Signal); ok {
				stop(&cli.SignalError{Signal: number})
			}
		case <-ctx.Done():
		}
	}()
	// A reader of our output that goes away is an error of the write, not the end of us: sessions are to be terminated.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return cli.Run(ctx, cli.Process{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Build: cli.Build{Version: version, Commit: commit, Date: date}})
}

// endings are the signals that end culvert. One that was ignored from the start, as nohup does it, stays ignored;
// interrupts do not, as shells ignore them for background jobs that are then to be ended by kill -INT.
func endings() []os.Signal {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ends = append(ends, syscall.SIGHUP)
	}
	return ends
}
