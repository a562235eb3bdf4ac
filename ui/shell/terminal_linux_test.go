package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"culvert/aws"
)

// terminalPair opens a terminal: what is typed is written to master, what is shown is read from it.
func terminalPair(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}

// A panic of culvert's own leaves the terminal as it was.
func TestTerminalIsGivenBackInAPanic(t *testing.T) {
	_, slave := terminalPair(t)
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("there was no panic: the test is about nothing")
			}
		}()
		_, _ = Run(t.Context(), Options{Engine: nil, Target: aws.Target{}, In: slave, Out: slave, Err: slave})
	}()
	after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal was set %+v, and is %+v", before, after)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { panic("broken") }

func TestPanicOfTheReaderEndsTheCommand(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	keys := make(chan []byte)
	typed(ctx, broken{}, keys, cancel)
	if e, ok := errors.AsType[*PanicError](context.Cause(ctx)); !ok || e.Value != "broken" {
		t.Errorf("got %v, want the panic", context.Cause(ctx))
	}
	if _, more := <-keys; more {
		t.Error("something was typed")
	}
}

// What is typed and not read yet is there for who reads next.
func TestTypedAheadStaysInTheTerminal(t *testing.T) {
	master, slave := terminalPair(t)
	lent, err := takeOver(slave, slave)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	keys := make(chan []byte)
	lent.reading.Go(func() { typed(ctx, lent.keys, keys, cancel) })
	if _, err := io.WriteString(master, "mine"); err != nil {
		t.Fatal(err)
	}
	if got := string(<-keys); got != "mine" {
		t.Errorf("got %q, want what was typed", got)
	}
	cancel(nil)
	lent.giveBack()
	lent.giveBack() // once more does no harm
	if _, err := io.WriteString(master, "next\n"); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 10)
	if n, err := slave.Read(line); err != nil || string(line[:n]) != "next\n" {
		t.Errorf("got %q and %v, want the next line", line[:n], err)
	}
}
