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

// A panic in any goroutine ends a Go process. Only that goroutine could recover from it, and culvert has no code in the
// goroutines of libraries. So the interface is a process of its own, and the process that the user has started, its guard, waits
// for it. The guard restores the terminal however the interface ends, also after a panic or a kill, and then tells what has
// happened.

// guardedBy is the environment variable that tells the interface to start no guard: with byGuard it has one, else it does
// without.
const (
	guardedBy = "CULVERT_GUARDED"
	byGuard   = "1"
)

// The file descriptors of the interface that are pipes to its guard. From leash the interface reads the number of a signal to end
// with; the end of the file means that the guard has ended. To farewell it writes the last words for the user when it goes on
// without a terminal.
const (
	leash    = 3
	farewell = 4
)

// calm is the escape sequences that undo the modes which the interface has set in the terminal. The mode of the keyboard is
// undone before the screen is changed back, as each screen has a mode of its own.
func calm() string {
	return ansi.ResetModeSynchronizedOutput + ansi.ResetModeMouseButtonEvent + ansi.ResetModeMouseAnyEvent + ansi.ResetModeMouseExtSgr +
		ansi.ResetModeFocusEvent + ansi.ResetModeBracketedPaste + ansi.ResetModifyOtherKeys + ansi.PopKittyKeyboard(1) +
		ansi.ResetModeAltScreenSaveCursor + ansi.SetModeTextCursorEnable + ansi.ResetStyle + ansi.SetWindowTitle("")
}

// guard runs this command line again as the interface, and waits for it. It returns false when that is not possible, or this
// process is that one: then the caller has to run the interface.
func (a *app) guard(ctx context.Context) (bool, error) {
	if os.Getenv(guardedBy) != "" {
		return false, nil
	}
	in, isIn := a.Stdin.(*os.File)
	program, err := os.Executable()
	if err != nil || !isIn {
		return false, nil // an interface without a guard is better than none
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
	var said hearsay                                                           // what the interface writes to stderr, for which the screen has no place
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

// attend waits for the end of the interface, or for its farewell. It hands the signal that ends ctx over the leash, and not as a
// signal, as the interface may have that signal from the terminal already. A further signal kills the interface.
func (a *app) attend(ctx context.Context, cmd *exec.Cmd, leash io.Writer, words io.Reader) (goodbye string, err error) {
	done, gone := make(chan error, 1), make(chan string, 1)
	go func() { done <- cmd.Wait() }()
	go func() {
		if text, err := io.ReadAll(words); err == nil && len(text) > 0 { // nothing was written if the interface has ended, which done tells
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

// hearsay is what the interface has written to its stderr. It is safe for concurrent use, as the interface may go on writing.
type hearsay struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *hearsay) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

// Bytes returns a copy of the text.
func (h *hearsay) Bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.text.Bytes())
}

// crash is the error for an interface that was killed or has panicked; nil for another end.
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

// goPanic is the exit code of the Go runtime after a panic. It is also culvert's for usage errors, but the guard has checked the
// command line before.
const goPanic = 2

// killedError says that the interface was ended by a signal.
type killedError struct{ signal syscall.Signal }

func (e *killedError) Error() string {
	return fmt.Sprintf("the interface was ended by a signal: %s", e.signal)
}
func (e *killedError) Unwrap() error { return &headless.SignalError{Signal: e.signal} }

// Remedy says what becomes of the sessions.
func (e *killedError) Remedy() string {
	return "the sessions that were open are terminated by the next culvert in that region, or end after the account's idle timeout"
}

// tether binds the interface to its guard. It is nil without a guard.
type tether struct {
	loose    atomic.Bool
	farewell *os.File
}

// leashed returns a context that also ends when the guard sends a signal over the leash, or has ended, and the tether to the
// guard.
func leashed(ctx context.Context) (context.Context, context.CancelCauseFunc, *tether) {
	ctx, cancel := context.WithCancelCause(ctx)
	by := os.Getenv(guardedBy)
	_ = os.Unsetenv(guardedBy) // it is not for the programs that this process starts
	if by != byGuard {
		return ctx, cancel, nil
	}
	syscall.CloseOnExec(leash)
	syscall.CloseOnExec(farewell)
	// Stderr is a pipe to the guard. If the guard has ended, a write to it must not end the interface before the terminal is
	// restored and the sessions are terminated. The signal is taken, not ignored, as programs that the interface starts would
	// inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	t := &tether{farewell: os.NewFile(farewell, "farewell")}
	go func() { // ends with the process
		told := []byte{byte(syscall.SIGHUP)} // what an end of the leash means: as if the terminal were gone
		n, _ := os.NewFile(leash, "leash").Read(told)
		if n == 0 && t.loose.Load() {
			return // the guard has ended after leave, as it should
		}
		cancel(&headless.SignalError{Signal: syscall.Signal(told[0])})
	}()
	return ctx, cancel, t
}

// canLeave reports whether the process can go on without its guard and the terminal.
func (t *tether) canLeave() bool {
	return t != nil && syscall.Getpgrp() != os.Getpid() // the leader of a process group cannot call setsid
}

// leave detaches the process from the terminal. The guard then prints words and ends, so that the shell has the terminal again.
// From then on no hang-up and no key of the terminal reaches the process, and its output goes to log.
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
