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

// detached is the process in the background, for the up that has started it. It is nil when another process has started it.
type detached struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended

	heard <-chan struct{} // closed when the process tells no more secrets; nil when it tells none
}

// detach starts this program again, as the process that holds a set. That process has no terminal, and its streams go to the log,
// so that nothing waits for them to be closed. detach writes the record first, which says that the set is being started.
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
	defer log.Close()                                                    //nolint:errcheck // this process has written nothing
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

// ended returns a channel that is closed when the process has ended; nil when another process has started it.
func (d *detached) ended() <-chan struct{} {
	if d == nil {
		return nil
	}
	return d.done
}

// hear waits until the secrets that the process tells are masked, but not longer than masksWithin.
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

// awaitReady waits until a set is ready, and meanwhile prints what the set's process writes to the log. When that process fails
// or ctx ends, the set is ended and its record removed.
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
		case ctx.Err() != nil: // the next select handles it
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
		_ = a.takeBack(ctx, dir, name) // if that fails, the process is killed below
	}
	select {
	case <-d.done:
	case <-time.After(toldTime):
		_ = d.cmd.Process.Kill()
		<-d.done
	}
	return dir.Remove(name)
}

// fate returns why a process in the background has ended before its set was ready, and removes the record of the set.
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

// follower copies the lines that are added to a log.
type follower struct {
	path string
	to   io.Writer
	file *os.File
	rest []byte // the beginning of a line that is not complete yet

	people bool // people read the output: they see a line of progress and a table at the end, and not the usual steps
}

// usualStep reports whether a line of the log is about a usual step of a tunnel's start.
func usualStep(line string) bool {
	words := strings.Fields(line)
	return len(words) > 3 && words[1] == "tunnel" && !strings.Contains(line, "; remedy: ") &&
		slices.Contains([]string{"starting", "handshaking", "open", "ready"}, words[3])
}

func (f *follower) copy() {
	if f.file == nil {
		file, err := os.Open(f.path)
		if err != nil {
			return // the log does not exist yet
		}
		f.file = file
	}
	added, _ := io.ReadAll(f.file) // after an error, the next call reads on
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
