// Package shell puts a command of a container on this process's terminal, or between its pipes: culvert exec, and the
// shell that the screen opens with the terminal released.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"

	"culvert/aws"
	"culvert/tunnel"
)

// Options say what to run and where it talks.
type Options struct {
	Engine *tunnel.Engine
	Client *aws.Client // nil is the engine's
	Target aws.Target  // as Lookup returns it
	// Command is a program with its arguments; empty is DefaultCommand.
	Command []string
	// In and Out are a terminal or not, each by itself. When both are, the terminal is the command's until it ends: every
	// key goes to it, ctrl+c too, and the terminal is as it was afterwards.
	In       io.Reader
	Out, Err io.Writer
}

// DefaultCommand is what is run when nothing is named: of all shells the one that most images have.
func DefaultCommand() []string { return []string{"/bin/sh"} }

// Size of the terminal that a command gets when there is none here: what AWS's own client gives it
// (session-manager-plugin, shellsession.go).
const (
	anyColumns = 300
	anyRows    = 100
)

// Run runs a command until it ends or ctx does. When it returns the terminal is as it was, whatever has happened.
func Run(ctx context.Context, o Options) (exit tunnel.Exit, err error) {
	if len(o.Command) == 0 {
		o.Command = DefaultCommand()
	}
	line, err := aws.CommandLine(o.Command)
	if err != nil {
		return tunnel.Exit{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)
	x := tunnel.Exec{Client: o.Client, Target: o.Target, Command: line, Size: tunnel.Size{Columns: anyColumns, Rows: anyRows}, Output: o.Out, Errors: o.Err}
	in, out := terminalOf(o.In), terminalOf(o.Out)
	if out != nil {
		x.Size, x.Sizes = follow(ctx, out, &running)
	}
	if in == nil || out == nil {
		// Nothing ends the read of a pipe or a file: it is left behind at the end, and nobody wants what it reads.
		text := make(chan []byte)
		go typed(ctx, o.In, text, cancel)
		x.Input = text
		return o.Engine.Exec(ctx, x)
	}
	t, err := takeOver(in, out)
	if err != nil {
		return tunnel.Exit{}, err
	}
	keys := make(chan []byte)
	t.reading.Go(func() { typed(ctx, t.keys, keys, cancel) })
	screen := &modes{to: o.Out}
	x.Input, x.Output = keys, screen
	// At once when culvert is told to stop, and not only when the session has been ended.
	context.AfterFunc(ctx, t.giveBack)
	defer func() {
		cancel(nil)
		t.giveBack()
		err = errors.Join(err, screen.undo())
	}()
	return o.Engine.Exec(ctx, x)
}

// typed passes on what is read until it ends, or ctx does.
func typed(ctx context.Context, from io.Reader, keys chan<- []byte, fail context.CancelCauseFunc) {
	defer close(keys)
	defer func() {
		if value := recover(); value != nil { // the terminal is still the command's
			fail(&PanicError{Value: value, Stack: debug.Stack()})
		}
	}()
	for from != nil {
		buffer := make([]byte, 4<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			select {
			case keys <- buffer[:n]:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return // the end: the command reads an end of file
		}
	}
}

// terminalOf is the terminal that a reader or writer is, nil when it is none.
func terminalOf(stream any) *os.File {
	file, ok := stream.(*os.File)
	if !ok || !isTerminal(file) {
		return nil
	}
	return file
}

// PanicError is an error of culvert itself.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("culvert made an error and had to stop: %v\n%s", e.Value, e.Stack)
}

// Remedy says what to do with it.
func (e *PanicError) Remedy() string {
	return "report the error above; the session was ended, run it again"
}
