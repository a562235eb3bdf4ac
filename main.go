// Culvert opens Session Manager port forwards to ECS tasks.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"culvert/internal/origin"
	"culvert/ui/cli"
	"culvert/ui/headless"
)

// What the linker sets when a release is built (.goreleaser.yaml). For action it is the film alone that does.
var version, commit, date, action string //nolint:gochecknoglobals // -ldflags -X reaches nothing else

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	later := heed(ctx, stop)
	// A reader of our output that goes away is an error of the write, not the end of us: sessions are to be terminated.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if action == "" {
		action = origin.Step()
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(unhurried)
		var keel []byte
		defer time.AfterFunc(startUp, func() { keel = steady() }).Stop()
		defer runtime.KeepAlive(&keel)
	}
	return cli.Run(ctx, cli.Process{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: later, Build: cli.Build{Version: version, Commit: commit, Date: date, Action: action}})
}

// A tunnel keeps little and lives long, so after the start memory counts more than the collector's work: this slack keeps
// it below 40 MB (docs/bench.md), where the usual one goes to 48. The start itself is to need no collection: authorities of
// AWS_CA_BUNDLE alone took it over the usual 4 MB.
const (
	startUp   = 2 * time.Second
	slack     = 20      // per cent of what is in use and of the ballast
	ballast   = 8 << 20 // so that it is no less than 1.6 MB: of a few megabytes in use, 200 connections took a dozen collections
	unhurried = 200     // the first collection is then at 8 MB
)

// steady sets the collector up for a long life. What it returns is to be kept: it counts as in use, but as nobody writes to
// it, it takes no memory.
func steady() []byte {
	keel := make([]byte, ballast)
	debug.SetGCPercent(slack)
	return keel
}

// untaken is how long a signal is offered to a command.
const untaken = 100 * time.Millisecond

// heed ends ctx with the first signal that asks for the end. The signals after it, and those that ask for something else,
// are for a command that runs behind the tunnels; when there is none they do what they would have done by themselves: the
// second ctrl+c kills at once.
func heed(ctx context.Context, stop context.CancelCauseFunc) (later <-chan os.Signal) {
	signals, offered := make(chan os.Signal, 8), make(chan os.Signal)
	ends := endings()
	signal.Notify(signals, append(ends, relayed()...)...)
	go func() {
		for s := range signals {
			if number, ok := s.(syscall.Signal); ok && slices.Contains(ends, s) && ctx.Err() == nil {
				stop(&headless.SignalError{Signal: number})
				continue
			}
			select {
			case offered <- s:
			case <-time.After(untaken):
				signal.Reset(s)
				obey(s)
			}
		}
	}()
	return offered
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
