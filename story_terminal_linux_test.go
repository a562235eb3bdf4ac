package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// terminal starts a program in the background on a terminal of its own, which shows into the file NAME.out.
//
//	terminal NAME PROGRAM [ARGUMENT...]
func terminal(ts *testscript.TestScript, _ bool, args []string) {
	master, slave, err := newTerminal()
	ts.Check(err)
	shown, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	cmd := programOf(ts, args[1:])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	done := make(chan struct{})
	ts.Defer(func() {
		<-done
		_ = master.Close()
	})
	follow(ts, args[0], cmd)
	ts.Check(slave.Close())
	go func() {
		defer close(done)
		_, _ = io.Copy(shown, master) // EIO is how it ends
		_ = shown.Close()
	}()
	storyOf(ts).masters[args[0]] = master
}

// typed types on the terminal of a program; escapes are those of Go.
//
//	typed NAME TEXT
func typed(ts *testscript.TestScript, _ bool, args []string) {
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	_, err = storyOf(ts).masters[args[0]].WriteString(text)
	ts.Check(err)
}

// newTerminal opens a terminal: what is typed is written to master, what is shown is read from it.
func newTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = master.Close()
		}
	}()
	if err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	return master, slave, err
}
