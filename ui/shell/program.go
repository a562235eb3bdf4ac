package shell

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os/exec"
)

// Program is a program of this machine that has the terminal until it ends, in the form of bubbletea's ExecCommand. Keys that
// interrupt or stop are its own meanwhile: they reach nothing of culvert's.
type Program struct {
	Context context.Context //nolint:containedctx // ExecCommand's Run has no parameter for it
	Words   []string        // the program, looked for in PATH, and its arguments
	Title   string          // the first line that is printed
	Env     []string        // nil is culvert's own

	in       io.Reader
	out, err io.Writer
}

// Run runs it to its end; the error is a *ProgramError or an *exec.ExitError where it failed, a *NoProgramError where it is not there.
func (p *Program) Run() error {
	path, err := exec.LookPath(p.Words[0])
	if err != nil {
		return &NoProgramError{Words: p.Words, Err: err}
	}
	_, _ = fmt.Fprintf(p.out, "%s\r\n", p.Title)
	cmd := exec.Command(path, p.Words[1:]...) //nolint:gosec,noctx // a program of the user's own; runOnTerminal ends it with the context
	cmd.Env = p.Env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.in, p.out, p.err
	return runOnTerminal(p.Context, cmd)
}

// SetStdin is where the program reads.
func (p *Program) SetStdin(r io.Reader) { p.in = cmp.Or(p.in, r) }

// SetStdout is where the program writes.
func (p *Program) SetStdout(w io.Writer) { p.out = cmp.Or(p.out, w) }

// SetStderr is where the program complains.
func (p *Program) SetStderr(w io.Writer) { p.err = cmp.Or(p.err, w) }

// NoProgramError means that a program is not on this machine.
type NoProgramError struct {
	Words []string
	Err   error
}

func (e *NoProgramError) Error() string { return e.Words[0] + " is not installed here, or not in PATH" }
func (e *NoProgramError) Unwrap() error { return e.Err }

// ProgramError is how a program failed, which has told why itself.
type ProgramError struct {
	Code   int    // of its exit
	Signal string // that ended it; empty when none did
}

func (e *ProgramError) Error() string {
	if e.Signal != "" {
		return "ended by a signal: " + e.Signal
	}
	return fmt.Sprintf("exit status %d", e.Code)
}
