package cli

import (
	"context"
	"errors"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/ui/headless"
	"culvert/ui/shell"
)

// Exit codes of a command that never ran, as shells know them.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

func (a *app) exec() *cobra.Command {
	var aim aim
	cmd := &cobra.Command{
		Use:   "exec [-- COMMAND ARGUMENT...]",
		Short: "Run a command, or a shell, in a container",
		Long: "Runs a command in a container over ECS Exec, without the session-manager-plugin; without a command it is /bin/sh.\n" +
			"It needs ecs:ExecuteCommand, which forwards do not; doctor policy --exec prints the statement.\n\n" +
			"The container gets the arguments as they are: no shell takes them apart, here or there. On a terminal every key goes\n" +
			"to the command, ctrl+c too. The command always has a terminal: what goes in through a pipe is typed there and comes\n" +
			"back as its echo, lines end with CR LF, and the end of the pipe is ctrl+d.\n\n" +
			"Agents of ECS Exec do not tell the exit code of a command: it is 0 when the command ran to its end, whatever it\n" +
			"returned; 126 or 127 when it could not be started; 125 when culvert failed or the session was lost.",
		Example: "  culvert exec -c automation -s squid\n" +
			"  culvert exec -c automation -s squid -- cat /etc/squid/squid.conf\n" +
			"  culvert exec --target shop/web//nginx -- sh -c 'nginx -t; echo code $?'",
		Args: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); at > 0 || (at < 0 && len(args) > 0) {
				return usage("write culvert exec -c CLUSTER -s SERVICE -- COMMAND ARGUMENTS", "the command %q does not stand behind --", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.execute(cmd.Context(), &aim, args) },
	}
	cmd.Flags().AddFlagSet(aim.flags())
	cmd.Flag("container").Usage = "`NAME` of the container; default: the only one"
	a.completeTargets(cmd, &aim)
	return cmd
}

// execute is culvert exec.
func (a *app) execute(ctx context.Context, aim *aim, command []string) error {
	if a.shared.readOnly {
		return usage("start it without --read-only, CULVERT_READ_ONLY and read-only in the config file", "culvert runs with --read-only: it runs no command in a container")
	}
	query, err := aim.query(a.shared.shell())
	if err != nil {
		return err
	}
	query.Shell = true
	if _, err := aws.CommandLine(command); err != nil {
		return usage(advice(err, "see culvert exec --help"), "%s", err)
	}
	a.shared.goHome(query)
	acc, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer acc.close()
	a.keepJournal(ctx, acc)
	target, err := awaited(ctx, a, func(ctx context.Context) (aws.Target, error) { return acc.client.Lookup(ctx, query) })
	if err != nil {
		return a.late(ctx, err)
	}
	engine := acc.engine(&a.shared)
	exit, err := shell.Run(ctx, shell.Options{Engine: engine, Target: target, Command: command, In: a.Stdin, Out: a.Stdout, Err: a.Stderr})
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	err = errors.Join(err, engine.Close(closing))
	for _, left := range engine.Unended() {
		a.warn(left)
	}
	return a.codeOf(ctx, exit, err)
}

// awaited calls look, and repeats that within --wait as long as the task is still starting.
func awaited[T any](ctx context.Context, a *app, look func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, a.shared.wait)
	defer cancel()
	for said := ""; ; {
		found, err := look(ctx)
		if _, unready := errors.AsType[*aws.NotReadyError](err); !unready || !aws.Temporary(err) {
			return found, err
		}
		if text := err.Error(); text != said {
			a.noticef("waiting: %s", text)
			said = text
		}
		select {
		case <-time.After(time.Second + rand.N(time.Second)): //nolint:gosec // jitter
		case <-ctx.Done():
			var none T
			return none, &aws.OverdueError{Err: err, Over: ctx.Err()}
		}
	}
}

// codeOf returns the error with the exit code for how a command has ended.
func (a *app) codeOf(ctx context.Context, exit tunnel.Exit, err error) error {
	unstarted, never := errors.AsType[*tunnel.CommandError](err)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case never:
		code := exitNotFound
		if unstarted.Found() {
			code = exitNotExecutable
		}
		report(ctx, a.Stderr, a.github, err)
		return &headless.EndError{Code: code}
	case headless.ReaderGone(err): // the reader of the output has closed it, as head does
		return &headless.EndError{Code: exitSignal + int(syscall.SIGPIPE)}
	case err == nil && exit.Code != 0:
		return &headless.EndError{Code: exit.Code & 255}
	}
	return err
}
