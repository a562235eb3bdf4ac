package emulator

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"unicode/utf8"

	"culvert/aws/wire"
)

// The limits of a terminal in Linux (drivers/tty/n_tty.c: N_TTY_BUF_SIZE).
const (
	lineLimit   = 4095 // bytes in a line; what is typed beyond them is lost
	typedLimit  = 4096 // bytes that no program has read yet
	outputLimit = 64 << 10
)

var errInterrupted = errors.New("interrupted")

// tty is the terminal of a command. It echoes what is typed and collects it into lines; ctrl+c interrupts, ctrl+d ends a line
// or the input; and it puts a carriage return before each line feed that is printed.
type tty struct {
	mu      sync.Mutex
	changed sync.Cond
	line    []byte   // the line that is being typed
	lines   [][]byte // lines that can be read; an empty one is the end of the input
	size    wire.TerminalSize
	quiet   bool // echo is off
	out     []byte
	gone    bool // nothing more will be printed
	closed  bool // nobody uses the terminal any more

	interrupt context.CancelFunc // ends the program in the foreground; nil when there is none
}

func newTTY() *tty {
	t := &tty{}
	t.changed.L = &t.mu
	return t
}

// resize sets the size of the terminal (portHandler).
func (t *tty) resize(size wire.TerminalSize) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.size = size
}

func (t *tty) measure() wire.TerminalSize {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.size
}

// echo switches the echo on or off.
func (t *tty) echo(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.quiet = !on
}

// foreground sets what ctrl+c calls, and returns what it called before.
func (t *tty) foreground(interrupt context.CancelFunc) context.CancelFunc {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.interrupt
	t.interrupt = interrupt
	return before
}

// input takes what is typed (portHandler). It waits while there is no room for it, as the agent does, which reads nothing
// meanwhile, not even a ctrl+c (A6 of protocol.md 9).
func (t *tty) input(text []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.unread() > typedLimit && !t.closed {
		t.changed.Wait()
	}
	for _, b := range text {
		t.take(b)
	}
	t.changed.Broadcast()
	return true
}

func (t *tty) unread() (bytes int) {
	for _, line := range t.lines {
		bytes += len(line)
	}
	return bytes
}

func (t *tty) take(b byte) {
	switch b {
	case '\r', '\n':
		t.show("\r\n")
		t.push('\n')
	case 3:
		t.show("^C")
		t.line, t.lines = nil, nil
		if t.interrupt != nil {
			t.interrupt()
		}
	case 4:
		t.push()
	case 0x7f, '\b':
		if len(t.line) > 0 {
			_, n := utf8.DecodeLastRune(t.line)
			t.line = t.line[:len(t.line)-n]
			t.show("\b \b")
		}
	case 'U' & 0x1f:
		for range utf8.RuneCount(t.line) {
			t.show("\b \b")
		}
		t.line = nil
	default:
		if len(t.line) >= lineLimit {
			return
		}
		t.line = append(t.line, b)
		if b < ' ' && b != '\t' {
			t.show(string([]byte{'^', b | '@'}))
		} else {
			t.show(string([]byte{b}))
		}
	}
}

// push adds the line that was typed to those that can be read.
func (t *tty) push(end ...byte) {
	t.lines = append(t.lines, append(t.line, end...))
	t.line = nil
}

// show echoes text.
func (t *tty) show(text string) {
	if !t.quiet && len(t.out) < outputLimit {
		t.out = append(t.out, text...)
	}
}

// read returns a line, or the beginning of a longer one; io.EOF for ctrl+d.
func (t *tty) read(ctx context.Context, b []byte) (int, error) {
	defer context.AfterFunc(ctx, t.wake)()
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.lines) == 0 && !t.closed && ctx.Err() == nil {
		t.changed.Wait()
	}
	switch {
	case ctx.Err() != nil:
		return 0, errInterrupted
	case len(t.lines) == 0 || len(t.lines[0]) == 0:
		t.lines = t.lines[min(1, len(t.lines)):]
		return 0, io.EOF
	}
	n := copy(b, t.lines[0])
	t.changed.Broadcast() // there is room for more input
	if t.lines[0] = t.lines[0][n:]; len(t.lines[0]) == 0 {
		t.lines = t.lines[1:]
	}
	return n, nil
}

func (t *tty) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed.Broadcast()
}

// write prints text. It waits while too much of what was printed has not been taken.
func (t *tty) write(ctx context.Context, text []byte) error {
	defer context.AfterFunc(ctx, t.wake)()
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.out) >= outputLimit && !t.closed && ctx.Err() == nil {
		t.changed.Wait()
	}
	if t.closed || ctx.Err() != nil {
		return errInterrupted
	}
	t.out = append(t.out, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))...)
	t.changed.Broadcast()
	return nil
}

// printed takes what was printed, no more than most bytes of it, and waits until there is something. It returns nothing when
// nothing more will be printed.
func (t *tty) printed(ctx context.Context, most int) []byte {
	defer context.AfterFunc(ctx, t.wake)()
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.out) == 0 && !t.gone && !t.closed && ctx.Err() == nil {
		t.changed.Wait()
	}
	n := whole(t.out, most)
	text := t.out[:n:n]
	t.out = t.out[n:]
	t.changed.Broadcast()
	return text
}

// hangUp says that nothing more will be printed.
func (t *tty) hangUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
	t.changed.Broadcast()
}

// close ends every wait for the terminal.
func (t *tty) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.changed.Broadcast()
}
