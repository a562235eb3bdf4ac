//go:build unix

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"culvert/ui/headless"
	"culvert/ui/screen"
)

// A panic ends a Go process wherever it happens, and only the goroutine that panics could recover from it: those of the
// libraries are not ours. So the interface is a process of its own, and the one that the user started waits for it: it
// puts the terminal right after every end, a panic as well as a kill, and tells what happened on a screen that is sane.

// guardedBy says to the interface that somebody waits for it, and which of its files tells when to end.
const guardedBy = "CULVERT_GUARDED"

// leash is the file of the interface from which it reads a signal to end with; its end is that of the guard.
const leash = 3

// calm undoes what the interface has told the terminal. Keyboards come before the screen: each screen has its own.
func calm() string {
	return ansi.ResetModeSynchronizedOutput + ansi.ResetModeMouseButtonEvent + ansi.ResetModeMouseAnyEvent + ansi.ResetModeMouseExtSgr +
		ansi.ResetModeFocusEvent + ansi.ResetModeBracketedPaste + ansi.ResetModifyOtherKeys + ansi.PopKittyKeyboard(1) +
		ansi.ResetModeAltScreenSaveCursor + ansi.SetModeTextCursorEnable + ansi.ResetStyle + ansi.SetWindowTitle("")
}

// guard runs this command line again as the interface, and waits for it. It reports false where that is not possible,
// or done already: then the caller is to be the interface.
func (a *app) guard(ctx context.Context) (bool, error) {
	if os.Getenv(guardedBy) != "" {
		return false, nil
	}
	in, isIn := a.Stdin.(*os.File)
	program, err := os.Executable()
	if err != nil || !isIn {
		return false, nil // a terminal at risk is better than no interface
	}
	sane, err := term.GetState(int(in.Fd()))
	if err != nil {
		return false, nil // as above
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return false, nil // as above
	}
	defer func() { _ = ours.Close() }()
	var said bytes.Buffer                                                      // there is no place for it on the screen
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, a.Args...) //nolint:gosec // ourselves; attend ends it
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), guardedBy+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = a.Stdin, a.Stdout, &said, []*os.File{theirs}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return false, nil // as above
	}
	err = a.attend(ctx, cmd, ours)
	broken := crash(cmd.ProcessState, said.Bytes())
	if broken != nil {
		_ = term.Restore(int(in.Fd()), sane)
		_, _ = io.WriteString(a.Stdout, calm())
	}
	_, _ = a.Stderr.Write(said.Bytes())
	if broken != nil {
		return true, broken
	}
	if _, ended := errors.AsType[*exec.ExitError](err); err == nil || ended {
		return true, &headless.EndError{Code: cmd.ProcessState.ExitCode()}
	}
	return true, err
}

// attend waits for the end of the interface. It hands over the signal that ends ctx, once, as a signal to all of the
// terminal's processes may have reached the interface already; a second one kills.
func (a *app) attend(ctx context.Context, cmd *exec.Cmd, leash io.Writer) error {
	done := make(chan error)
	go func() { done <- cmd.Wait() }()
	told := ctx.Done()
	for {
		select {
		case err := <-done:
			return err
		case <-told:
			told = nil
			if end, ok := errors.AsType[*headless.SignalError](context.Cause(ctx)); ok {
				_, _ = leash.Write([]byte{byte(end.Signal)}) //nolint:gosec // there are 64 signals; the interface may have ended just now
			}
		case s := <-a.Signals:
			if ctx.Err() != nil {
				s = os.Kill
			}
			_ = cmd.Process.Signal(s) // as above
		}
	}
}

// crash is how the interface ended when that was not its own doing; nil when it was.
func crash(state *os.ProcessState, said []byte) error {
	status, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		return &killedError{signal: status.Signal()}
	case state.ExitCode() == goPanic && bytes.Contains(said, []byte("\ngoroutine ")):
		what, _, _ := bytes.Cut(said[max(0, bytes.Index(said, []byte("panic: "))):], []byte("\n"))
		return &screen.PanicError{Value: string(bytes.TrimPrefix(what, []byte("panic: ")))}
	}
	return nil
}

// goPanic is the exit code of the Go runtime after a panic; ours for usage errors, which the guard has found before.
const goPanic = 2

// killedError is an interface that was killed from outside.
type killedError struct{ signal syscall.Signal }

func (e *killedError) Error() string {
	return fmt.Sprintf("the interface was ended by a signal: %s", e.signal)
}
func (e *killedError) Unwrap() error { return &headless.SignalError{Signal: e.signal} }

// Remedy says what becomes of the sessions.
func (e *killedError) Remedy() string {
	return "the sessions that were open are terminated by the next culvert in that region, or end after the account's idle timeout"
}

// leashed ends ctx when the guard says so, or is gone. Without a guard it changes nothing.
func leashed(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if os.Getenv(guardedBy) == "" {
		return ctx, cancel
	}
	_ = os.Unsetenv(guardedBy) // it is about this process alone
	syscall.CloseOnExec(leash)
	go func() { // ends with the process
		signal := []byte{byte(syscall.SIGHUP)} // the guard was killed: as if the terminal had gone
		_, _ = os.NewFile(leash, "leash").Read(signal)
		cancel(&headless.SignalError{Signal: syscall.Signal(signal[0])})
	}()
	return ctx, cancel
}
