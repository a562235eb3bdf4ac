package headless

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/internal/say"
	"culvert/tunnel"
)

// UnreadyError says that a forward was not proved ready in the time given.
type UnreadyError struct {
	Forward string
	Wait    time.Duration
	Err     error // the last obstacle; nil when none is known
}

func (e *UnreadyError) Error() string {
	if e.Err == nil || say.Remedy(e.Err) == "" && errors.Is(e.Err, context.DeadlineExceeded) { // a bare timeout adds nothing
		return fmt.Sprintf("forward %s was not ready within %s", e.Forward, e.Wait)
	}
	return fmt.Sprintf("forward %s was not ready within %s: %s", e.Forward, e.Wait, e.Err)
}

func (e *UnreadyError) Unwrap() error { return e.Err }

// Remedy is the remedy of the last obstacle, else to wait longer or look closer.
func (e *UnreadyError) Remedy() string {
	if inner := say.Remedy(e.Err); inner != "" {
		return inner
	}
	return "allow more time with --wait, or look closer with --log-level debug"
}

// LostError says that a tunnel ended for good without being told to.
type LostError struct {
	Tunnel tunnel.ID
	Err    error
	// Unproved says that the tunnel is open, but that its far end has not been proved again since the tunnel moved to another
	// task or session.
	Unproved bool
}

func (e *LostError) Error() string {
	if e.Unproved {
		return fmt.Sprintf("tunnel %d was open, but its far end was not reached any more: %s", e.Tunnel, e.Err)
	}
	if e.Err == nil {
		return fmt.Sprintf("tunnel %d was lost", e.Tunnel)
	}
	return fmt.Sprintf("tunnel %d was lost: %s", e.Tunnel, e.Err)
}

func (e *LostError) Unwrap() error { return e.Err }

// Remedy is the remedy of the cause, else to look closer.
func (e *LostError) Remedy() string {
	if inner := say.Remedy(e.Err); inner != "" {
		return inner
	}
	return "look closer with --log-level debug"
}

// StoppedError says that culvert was told to stop while it was not healthy; Cause is what the context ended with.
type StoppedError struct {
	Doing string
	Cause error
}

func (e *StoppedError) Error() string { return "stopped while " + e.Doing }

func (e *StoppedError) Unwrap() error { return e.Cause }

// Remedy is for those who did not mean to stop it.
func (e *StoppedError) Remedy() string {
	return "none is needed if that was meant; else start it again"
}

// ProbeError says why a forward that is open does not answer as it should.
type ProbeError struct {
	Problem string
	Advice  string
	Err     error
	Lasting bool // the problem does not pass by itself
}

func (e *ProbeError) Error() string {
	if e.Err == nil {
		return e.Problem
	}
	return e.Problem + ": " + e.Err.Error()
}

func (e *ProbeError) Unwrap() error { return e.Err }

// Remedy is the remedy of the cause, else Advice.
func (e *ProbeError) Remedy() string {
	if inner := say.Remedy(e.Err); inner != "" {
		return inner
	}
	return e.Advice
}
