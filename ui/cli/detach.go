package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"culvert/internal/say"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// detached is the process in the background, as up sees it. A nil one was started by somebody else.
type detached struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	heard <-chan struct{} // closed when it tells no more secrets; nil when it tells none
}

// detach starts this program again, as the process that holds a set: without a terminal, and with its streams in the
// log, so that nothing waits for it. Its record, which says that somebody is at it, is there before it is.
func (a *app) detach(dir control.Dir, r wantedSet, former []control.Account) (*detached, error) {
	record := r.record(dir)
	record.Former = former
	if err := dir.Write(record); err != nil {
		return nil, err
	}
	d, err := a.startDetached(record.Log)
	if err != nil {
		return nil, errors.Join(err, dir.Remove(r.name))
	}
	return d, nil
}

func (a *app) startDetached(logPath string) (*detached, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find culvert itself: %w", err)
	}
	log, err := newHolderLog(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close()                                                    //nolint:errcheck // nothing was written here
	cmd := exec.Command(self, append(slices.Clone(a.Args), "--hold")...) //nolint:gosec,noctx // ourselves, and it outlives ctx
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, ofItsOwn()
	in, heard, err := a.listen()
	if err != nil {
		return nil, err
	}
	if in != nil {
		cmd.Stdin = in
		defer in.Close() //nolint:errcheck // the process has its own
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the process in the background: %w", err)
	}
	d := &detached{cmd: cmd, done: make(chan struct{}), heard: heard}
	go func() {
		defer close(d.done)
		_ = cmd.Wait() // the state tells
	}()
	return d, nil
}

// newHolderLog begins the log of a process in the background, whose streams go there as well.
func newHolderLog(path string) (*os.File, error) {
	log, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600) //nolint:gosec // our own
	if err != nil {
		return nil, &control.FileError{Doing: "open the log", Err: err}
	}
	return log, nil
}

// ended is closed when the process has ended; never, when somebody else has started it.
func (d *detached) ended() <-chan struct{} {
	if d == nil {
		return nil
	}
	return d.done
}

// hear waits until its secrets are masked.
func (d *detached) hear() {
	if d == nil || d.heard == nil {
		return
	}
	select {
	case <-d.heard:
	case <-time.After(masksWithin):
	}
}

const (
	readyPoll = 30 * time.Millisecond
	// toldTime is how long a process in the background may take to end, its sessions included.
	toldTime = 8 * time.Second
)

// awaitReady waits until a set is ready, and prints meanwhile what its process writes into the log. When it fails or
// ctx ends nothing of it stays.
func (a *app) awaitReady(ctx context.Context, dir control.Dir, name string, d *detached) (control.Set, error) {
	var last atomic.Pointer[control.Set]
	last.Store(&control.Set{State: control.Starting})
	shown := a.progress(func(after time.Duration) string { return opening(*last.Load(), after) })
	defer shown.stop()
	follow := &follower{path: dir.Log(name), to: shown.beside(a.Stderr), people: isTerminal(a.Stderr)}
	defer follow.close()
	ticks := time.NewTicker(readyPoll)
	defer ticks.Stop()
	for {
		follow.copy()
		select {
		case <-ctx.Done():
			err := a.callOff(ctx, dir, name, d)
			follow.copy()
			return control.Set{}, errors.Join(&headless.StoppedError{Doing: name + " was starting", Cause: context.Cause(ctx)}, err)
		case <-d.ended():
			follow.copy()
			return control.Set{}, a.fate(dir, name, d)
		case <-ticks.C:
		}
		set, err := dir.Set(ctx, name)
		if err == nil {
			last.Store(&set)
		}
		switch {
		case ctx.Err() != nil: // above
		case err != nil && d == nil:
			return set, err
		case err == nil && (set.State == control.Ready || set.State == control.Partial):
			follow.copy()
			return set, nil
		case err == nil && set.State == control.Silent && d == nil:
			return set, &control.SetError{Problem: name + ": " + set.Error, Advice: set.Remedy, Code: exitFailed}
		case err == nil && !set.Alive() && d == nil:
			return set, a.fate(dir, name, nil)
		}
	}
}

// callOff ends a set that is still starting.
func (a *app) callOff(ctx context.Context, dir control.Dir, name string, d *detached) error {
	if d == nil {
		return a.takeBack(ctx, dir, name)
	}
	if d.cmd.Process.Signal(syscall.SIGTERM) != nil { // Windows knows no signals
		_ = a.takeBack(ctx, dir, name) // it is killed below
	}
	select {
	case <-d.done:
	case <-time.After(toldTime):
		_ = d.cmd.Process.Kill()
		<-d.done
	}
	return dir.Remove(name)
}

// fate is why a process in the background has ended before its set was ready.
func (a *app) fate(dir control.Dir, name string, d *detached) error {
	r, err := dir.Read(name)
	if removing := dir.Remove(name); removing != nil {
		return removing
	}
	if err == nil && r.Failure != nil {
		return r.Failure
	}
	how := "is gone"
	switch {
	case err == nil && r.Last != nil && r.Last.Ended != nil:
		how = r.Last.Ended.String()
	case d != nil:
		how = "ended: " + d.cmd.ProcessState.String()
	}
	return &control.SetError{
		Problem: "the process that was to hold " + name + " " + how,
		Advice:  "look at the end of " + dir.Log(name),
		Code:    exitFailed,
	}
}

// follower copies what is added to a log, line by line.
type follower struct {
	path string
	to   io.Writer
	file *os.File
	rest []byte // the beginning of a line

	people bool // who see the progress, and the table at the end, in place of what a tunnel goes through
}

// usualStep reports whether a line of the log says only that a tunnel is on its way.
func usualStep(line string) bool {
	words := strings.Fields(line)
	return len(words) > 3 && words[1] == "tunnel" && !strings.Contains(line, "; remedy: ") &&
		slices.Contains([]string{"starting", "handshaking", "open", "ready"}, words[3])
}

func (f *follower) copy() {
	if f.file == nil {
		file, err := os.Open(f.path)
		if err != nil {
			return // not there yet
		}
		f.file = file
	}
	added, _ := io.ReadAll(f.file) // the next time then
	f.rest = append(f.rest, added...)
	for {
		line, rest, whole := bytes.Cut(f.rest, []byte("\n"))
		if !whole {
			return
		}
		f.rest = rest
		if f.people && usualStep(string(line)) {
			continue
		}
		_, _ = fmt.Fprintln(f.to, say.Line(string(line)))
	}
}

func (f *follower) close() {
	if f.file != nil {
		_ = f.file.Close()
	}
}
