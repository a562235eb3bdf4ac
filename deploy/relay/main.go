// Relay is culvert relay by itself: a small program for the task, of the standard library and tunnel/bond alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"culvert/tunnel/bond"
)

var version string // -ldflags -X sets it

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// The exit codes are those of a health check, and of a command line that makes no sense.
const (
	done   = 0
	failed = 1
	misuse = 2
)

func run(ctx context.Context, args []string, log io.Writer) int {
	if len(args) > 0 && args[0] == "relay" { // so that the container's command is the same with either program
		args = args[1:]
	}
	service := bond.Service{Build: version, Log: log}
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	flags.SetOutput(log)
	listen := flags.String("listen", bond.UsualListen, "`ADDRESS:PORT` of loopback to serve on")
	check := flags.Bool("check", false, "ask the relay that listens there whether it answers, and exit")
	flags.Func("to", "`ADDRESS:PORT` of loopback that may be opened; can be given several times", func(s string) error {
		at, err := bond.ParseLoopback(s)
		service.To = append(service.To, at)
		return err
	})
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("relay takes no argument %q", flags.Arg(0))
		_, _ = fmt.Fprintln(log, "relay:", err)
	}
	if err != nil {
		return misuse
	}
	if service.Listen, err = bond.ParseLoopback(*listen); err == nil && !*check {
		err = service.Check()
	}
	switch {
	case err != nil:
		_, _ = fmt.Fprintln(log, "relay:", err)
		return misuse
	case *check:
		_, err = bond.Healthy(ctx, service.Listen)
	default:
		err = service.Run(ctx)
	}
	if err != nil {
		_, _ = fmt.Fprintln(log, "relay:", err)
		return failed
	}
	return done
}
