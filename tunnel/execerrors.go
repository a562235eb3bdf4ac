package tunnel

import (
	"errors"
	"fmt"
	"strings"

	"culvert/aws"
	"culvert/internal/say"
)

// CommandError is a command that the agent could not start.
type CommandError struct {
	Target aws.Target
	Output string // the agent's words
}

// unstarted reports whether the text with which a session was closed says so (amazon-ssm-agent, shell.go and
// shell_unix.go).
func unstarted(output string) bool {
	return strings.Contains(output, "Unable to start command") || strings.Contains(output, "Failed to start pty")
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("the command cannot be run in %s: %s", e.Target, e.Output)
}

// Found reports whether there is such a program, which then cannot be executed.
func (e *CommandError) Found() bool {
	return !strings.Contains(e.Output, "not found") && !strings.Contains(e.Output, "no such file")
}

// Remedy tells what images lack.
func (e *CommandError) Remedy() string {
	if e.Found() {
		return "name a program that the container's user may execute"
	}
	return "name a program that is in the image: many have sh but no bash, and some (distroless, scratch) have no shell at all; what a shell knows, such as cd or a pipe, stands behind sh -c"
}

// ExecError is a session that ended before the command in it had ended, as far as is known.
type ExecError struct {
	Target aws.Target
	Err    error
}

func (e *ExecError) Error() string {
	return fmt.Sprintf("the session with the command in %s was lost: %v", e.Target, e.Err)
}
func (e *ExecError) Unwrap() error { return e.Err }

// Remedy is that of the cause where it is about more than a session of a tunnel.
func (e *ExecError) Remedy() string {
	closed, isClosed := errors.AsType[*ClosedError](e.Err)
	_, noResume := errors.AsType[*ResumeError](e.Err)
	_, noHandshake := errors.AsType[*HandshakeError](e.Err)
	_, unprinted := errors.AsType[*UnprintedError](e.Err)
	_, missing := errors.AsType[*MissingError](e.Err)
	_, garbage := errors.AsType[*GarbageError](e.Err)
	_, isDenied := errors.AsType[*aws.DeniedError](e.Err)
	_, unreachable := errors.AsType[*aws.UnreachableError](e.Err)
	switch {
	case isClosed && closed.Idle():
		return "the account's idle timeout ended it (Session Manager's preferences, 20 minutes unless set): let the command print something now and then, or run it in tmux or with nohup there"
	case noResume, noHandshake, unprinted, missing, garbage, isDenied, unreachable, isClosed && (closed.Undecrypted() != nil || closed.channelless()):
		if inner := say.Remedy(e.Err); inner != "" {
			return inner
		}
	}
	return "run it again; a task that was stopped takes its commands along, and what is to outlive a lost session runs in tmux or with nohup in the container"
}

// UnprintedError is a command that prints while nobody reads.
type UnprintedError struct{ Bytes int }

func (e *UnprintedError) Error() string {
	return fmt.Sprintf("%d MiB of its output are waiting to be read", e.Bytes>>20)
}

// Remedy names the two that commonly stop reading.
func (e *UnprintedError) Remedy() string {
	return "let the terminal go on (ctrl+q) or the program behind the pipe read on; write much output into a file there, and print what is wanted of it"
}

// MissingError is a session that was closed before all that the command printed had arrived: something between went
// missing, and what came behind it with it.
type MissingError struct{ Messages int } // that arrived behind the gap

func (e *MissingError) Error() string {
	return fmt.Sprintf("it was closed while output was missing that %d later messages had overtaken", e.Messages)
}

// Remedy is to have it wait.
func (e *MissingError) Remedy() string {
	return "the connection loses much: run it again, or let the command wait a few seconds before it ends"
}
