package screen

import (
	"fmt"
	"runtime/debug"

	tea "charm.land/bubbletea/v2"
)

// PanicError is a panic, so an error in culvert itself. It ends the screen; Stack says where it happened.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("culvert made an error and had to stop: %v", e.Value)
}

// Remedy says how to report the error.
func (e *PanicError) Remedy() string {
	return "report the lines above; the tunnels were closed, start culvert again"
}

// panicked notes a panic and ends the program, which reports the panic when the screen is gone.
func (a *app) panicked(value any) tea.Cmd {
	if a.broken == nil {
		a.broken = &PanicError{Value: value, Stack: debug.Stack()}
	}
	return tea.Quit
}

// guarded returns a command whose panic is handed to Update, instead of being written across the screen as bubbletea would.
func (a *app) guarded(cmd tea.Cmd) tea.Cmd {
	if cmd == nil {
		return nil
	}
	return func() (msg tea.Msg) {
		defer func() {
			if value := recover(); value != nil {
				broken := &PanicError{Value: value, Stack: debug.Stack()}
				msg = then(func() wish {
					a.broken = broken
					return quit()
				})
			}
		}()
		msg = cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			for i := range batch {
				batch[i] = a.guarded(batch[i])
			}
		}
		return msg
	}
}
