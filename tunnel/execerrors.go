package tunnel

import (
	"errors"
	"fmt"
	"strings"

	"culvert/aws"
	"culvert/internal/say"
)

// CommandError means that the agent could not start a command.
type CommandError struct {
	Target aws.Target
	Output string // the agent's text
}

// unstarted reports whether the text with which a session was closed says that the command could not be started
// (amazon-ssm-agent, shell.go and shell_unix.go).
func unstarted(output string) bool {
	return strings.Contains(output, "Unable to start command") || strings.Contains(output, "Failed to start pty")
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("the command cannot be run in %s: %s", e.Target, e.Output)
}

// Found reports whether the container has the program, which then cannot be executed for another reason.
func (e *CommandError) Found() bool {
	return !strings.Contains(e.Output, "not found") && !strings.Contains(e.Output, "no such file")
}

// Remedy says which program to name; where there is none of the name, also what images often lack.
func (e *CommandError) Remedy() string {
	if e.Found() {
		return "name a program that the container's user may execute"
	}
	return "name a program that is in the image: many have sh but no bash, and some (distroless, scratch) have no shell at all; what a shell knows, such as cd or a pipe, stands behind sh -c"
}

// ExecError means that a session ended before the command in it had ended, as far as is known.
type ExecError struct {
	Target aws.Target
	Err    error
}

func (e *ExecError) Error() string {
	return fmt.Sprintf("the session with the command in %s was lost: %v", e.Target, e.Err)
}
func (e *ExecError) Unwrap() error { return e.Err }

// Remedy is the remedy of the cause, but for causes whose remedy is about the sessions of a tunnel, which are replaced by others.
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

// UnprintedError means that a command was ended because too much of its output waited for a reader.
type UnprintedError struct{ Bytes int }

func (e *UnprintedError) Error() string {
	return fmt.Sprintf("%d MiB of its output are waiting to be read", e.Bytes>>20)
}

// Remedy names the two readers that commonly stop: the terminal and the program behind a pipe.
func (e *UnprintedError) Remedy() string {
	return "let the terminal go on (ctrl+q) or the program behind the pipe read on; write much output into a file there, and print what is wanted of it"
}

// MissingError means that a session was closed before all output had arrived: a message was lost, and the Messages that came
// after it could not be printed without it.
type MissingError struct{ Messages int }

func (e *MissingError) Error() string {
	return fmt.Sprintf("it was closed while output was missing that %d later messages had overtaken", e.Messages)
}

// Remedy is to run the command again, or to let it wait before it ends.
func (e *MissingError) Remedy() string {
	return "the connection loses much: run it again, or let the command wait a few seconds before it ends"
}
