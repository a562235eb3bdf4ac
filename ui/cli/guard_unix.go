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
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"culvert/ui/headless"
	"culvert/ui/screen"
)

// A panic ends a Go process wherever it happens, and only the goroutine that panics could recover from it: those of the
// libraries are not ours. So the interface is a process of its own, and the one that the user started waits for it: it
// puts the terminal right after every end, a panic as well as a kill, and tells what happened on a screen that is sane.

// guardedBy says to the interface that it needs no guard: it has one, or it is to do without.
const (
	guardedBy = "CULVERT_GUARDED"
	byGuard   = "1"
)

// The files of the interface that are pipes to its guard: from leash it reads a signal to end with, whose end is that of the
// guard; into farewell it writes, as its last word to the user, that it goes on without a terminal.
const (
	leash    = 3
	farewell = 4
)

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
	words, last, err := os.Pipe()
	if err != nil {
		_ = theirs.Close()
		return false, nil // as above
	}
	defer func() { _ = words.Close() }()
	var said hearsay                                                           // there is no place for it on the screen
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, a.Args...) //nolint:gosec // ourselves; attend ends it
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), guardedBy+"="+byGuard)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = a.Stdin, a.Stdout, &said, []*os.File{theirs, last}
	err = cmd.Start()
	_, _ = theirs.Close(), last.Close()
	if err != nil {
		return false, nil // as above
	}
	goodbye, err := a.attend(ctx, cmd, ours, words)
	if goodbye != "" {
		_, _ = a.Stderr.Write(said.Bytes())
		return true, a.write(goodbye)
	}
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

// attend waits for the end of the interface, or for its farewell. It hands over the signal that ends ctx, once, as a signal
// to all of the terminal's processes may have reached the interface already; a second one kills.
func (a *app) attend(ctx context.Context, cmd *exec.Cmd, leash io.Writer, words io.Reader) (goodbye string, err error) {
	done, gone := make(chan error, 1), make(chan string, 1)
	go func() { done <- cmd.Wait() }()
	go func() {
		if text, err := io.ReadAll(words); err == nil && len(text) > 0 { // else it has ended, as done says
			gone <- string(text)
		}
	}()
	told := ctx.Done()
	for {
		select {
		case err := <-done:
			return "", err
		case goodbye := <-gone:
			return goodbye, nil
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

// hearsay is what the interface has written on its stderr. It is safe for concurrent use: the interface may go on.
type hearsay struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *hearsay) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

// Bytes are a copy.
func (h *hearsay) Bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.text.Bytes())
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

// tether binds the interface to its guard. A nil one binds nothing.
type tether struct {
	loose    atomic.Bool
	farewell *os.File
}

// leashed ends ctx when the guard says so, or is gone. Without a guard it changes nothing.
func leashed(ctx context.Context) (context.Context, context.CancelCauseFunc, *tether) {
	ctx, cancel := context.WithCancelCause(ctx)
	by := os.Getenv(guardedBy)
	_ = os.Unsetenv(guardedBy) // it is about this process alone
	if by != byGuard {
		return ctx, cancel, nil
	}
	syscall.CloseOnExec(leash)
	syscall.CloseOnExec(farewell)
	// What is said on stderr goes to the guard: without it, a word must not end the interface before the terminal is sane and
	// the sessions are over. Ignoring the signal would be inherited by the programs that the interface starts.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	t := &tether{farewell: os.NewFile(farewell, "farewell")}
	go func() { // ends with the process
		told := []byte{byte(syscall.SIGHUP)} // the guard was killed: as if the terminal had gone
		n, _ := os.NewFile(leash, "leash").Read(told)
		if n == 0 && t.loose.Load() {
			return // it has left, as it was told to
		}
		cancel(&headless.SignalError{Signal: syscall.Signal(told[0])})
	}()
	return ctx, cancel, t
}

// canLeave reports whether the process can go on without its guard and their terminal.
func (t *tether) canLeave() bool {
	return t != nil && syscall.Getpgrp() != os.Getpid() // the leader of a group cannot begin a session of its own
}

// leave takes the process away from the terminal, which the guard then gives back to the shell with the words that it is
// given. From here on no hang-up and no key of the terminal reaches the process, and what it prints goes into a log.
func (t *tether) leave(log *os.File, words string) error {
	t.loose.Store(true)
	defer func() { _ = t.farewell.Close() }()
	null, err := os.Open(os.DevNull)
	if err == nil {
		defer null.Close() //nolint:errcheck // it is only read
		err = errors.Join(unix.Dup2(int(null.Fd()), syscall.Stdin), unix.Dup2(int(log.Fd()), syscall.Stdout), unix.Dup2(int(log.Fd()), syscall.Stderr))
	}
	_, alone := unix.Setsid()
	_, told := t.farewell.WriteString(words)
	if err := errors.Join(err, alone, told); err != nil {
		return fmt.Errorf("leave the terminal: %w", err)
	}
	return nil
}
