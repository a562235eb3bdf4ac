package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// The exit codes, see "Exit codes" in the documentation of the command line.
const (
	exitDone    = 0
	exitUsage   = 2
	exitUnready = 124
	exitFailed  = 125
	exitSignal  = 128 // plus the signal's number
)

// usageError says that a command line makes no sense.
type usageError struct{ problem, advice string }

func (e *usageError) Error() string { return e.problem }

// Remedy says how to write the command line instead.
func (e *usageError) Remedy() string { return e.advice }

func usage(advice, format string, args ...any) error {
	return &usageError{problem: fmt.Sprintf(format, args...), advice: advice}
}

// lateError says that something was not done within --wait.
type lateError struct {
	within time.Duration
	err    error // why it was not done
}

func (e *lateError) Error() string {
	if say.Remedy(e.err) == "" { // the error says no more than that the time is over
		return fmt.Sprintf("it was not done within %s", e.within)
	}
	return fmt.Sprintf("it was not done within %s: %s", e.within, e.err)
}
func (e *lateError) Unwrap() error { return e.err }

// Remedy is the remedy of err.
func (e *lateError) Remedy() string {
	if inner := say.Remedy(e.err); inner != "" {
		return inner
	}
	return "allow more time with --wait, or look closer with --log-level debug"
}

// report prints an error with its remedy as the last two lines on stderr, and returns the exit code. On GitHub it
// annotates the step as well.
func report(ctx context.Context, stderr io.Writer, github *headless.GitHub, err error) int {
	if err == nil {
		return exitDone
	}
	if end, ok := errors.AsType[*headless.EndError](err); ok {
		return end.Code // the command has reported its errors itself
	}
	code := exitCode(ctx, err)
	if _, ended := err.(*headless.SignalError); ended { //nolint:errorlint // not wrapped: nothing else went wrong, and the sender of the signal knows of it
		return code
	}
	fallback := "run it again with --log-level debug and look at the last lines"
	if code == exitUsage {
		fallback = "see culvert --help"
	}
	github.Error(err.Error(), advice(err, fallback))
	_, _ = fmt.Fprintf(stderr, "culvert: %s\n", say.Line(err.Error()))
	_, _ = fmt.Fprintf(stderr, "remedy: %s\n", say.Line(advice(err, fallback)))
	return code
}

// advice is the remedy of an error, else the fallback.
func advice(err error, fallback string) string {
	if known := say.Remedy(err); known != "" {
		return known
	}
	return fallback
}

func exitCode(ctx context.Context, err error) int {
	if isUsage(err) {
		return exitUsage
	}
	if _, ok := errors.AsType[*headless.LostError](err); ok {
		return exitFailed
	}
	if failure, ok := errors.AsType[*headless.CommandError](err); ok {
		return failure.Code
	}
	if failure, ok := errors.AsType[*control.SetError](err); ok {
		return failure.Code
	}
	if end, ok := errors.AsType[*headless.SignalError](errors.Join(err, context.Cause(ctx))); ok {
		return exitSignal + int(end.Signal)
	}
	_, isUnready := errors.AsType[*headless.UnreadyError](err)
	_, isLate := errors.AsType[*lateError](err)
	if isUnready || isLate {
		return exitUnready
	}
	return exitFailed
}

// isUsage reports whether an error is about what the user wrote.
func isUsage(err error) bool {
	_, isUsage := errors.AsType[*usageError](err)
	_, isSetting := errors.AsType[*settingError](err)
	_, isConfig := errors.AsType[*ConfigError](err)
	_, isTemplate := errors.AsType[*headless.TemplateError](err)
	_, isName := errors.AsType[*control.NameError](err)
	_, isForm := errors.AsType[*tunnel.FormError](err)
	_, isTarget := errors.AsType[*aws.TargetFormError](err)
	_, isContradiction := errors.AsType[*aws.ContradictionError](err)
	_, isHost := errors.AsType[*tunnel.LinkLocalError](err)
	return isUsage || isSetting || isConfig || isForm || isTemplate || isName || isTarget || isContradiction || isHost
}
