package shell

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/muesli/cancelreader"
	"golang.org/x/term"

	"culvert/tunnel"
)

func isTerminal(file *os.File) bool { return term.IsTerminal(int(file.Fd())) }

// lent is a terminal that a command has for a while.
type lent struct {
	keys    cancelreader.CancelReader
	reading sync.WaitGroup // of keys; ends with the context of what reads
	give    func()
}

// takeOver sets a terminal so that every key goes to the command and nothing is echoed here.
func takeOver(in, out *os.File) (*lent, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("take the terminal over: %w", err)
	}
	undo := func() { _ = term.Restore(int(in.Fd()), before) } // who could be told is gone with the terminal
	console, err := prepare(out)
	if err != nil {
		undo()
		return nil, fmt.Errorf("take the terminal over: %w", err)
	}
	keys, err := cancelreader.NewReader(in)
	if err != nil {
		console()
		undo()
		return nil, fmt.Errorf("read the terminal: %w", err)
	}
	t := &lent{keys: keys}
	t.give = sync.OnceFunc(func() {
		if keys.Cancel() {
			t.reading.Wait()
		}
		_ = keys.Close()
		console()
		undo()
	})
	return t, nil
}

// giveBack sets the terminal as it was; what was typed and not read yet stays in it. The context of what reads keys must
// have ended. It may be called again.
func (t *lent) giveBack() { t.give() }

// follow returns the size of a terminal, and those that it gets.
func follow(ctx context.Context, out *os.File, running *sync.WaitGroup) (tunnel.Size, <-chan tunnel.Size) {
	size := sizeOf(out)
	sizes := make(chan tunnel.Size)
	changed, stop := resized()
	running.Go(func() {
		defer stop()
		for last := size; ; {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			now := sizeOf(out)
			if now == last {
				continue
			}
			select {
			case sizes <- now:
				last = now
			case <-ctx.Done():
				return
			}
		}
	})
	return size, sizes
}

func sizeOf(out *os.File) tunnel.Size {
	columns, rows, err := term.GetSize(int(out.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		return tunnel.Size{Columns: anyColumns, Rows: anyRows}
	}
	return tunnel.Size{Columns: columns, Rows: rows}
}
