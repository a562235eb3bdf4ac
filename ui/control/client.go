package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

const (
	askTime  = 5 * time.Second  // for a status
	downTime = 10 * time.Second // for the end of the sessions and of the process
	killTime = 2 * time.Second  // for the system to be rid of a process
	endPoll  = 20 * time.Millisecond
)

// AbsentError is a name under which nothing is up.
type AbsentError struct {
	Name  string
	Known []string
}

func (e *AbsentError) Error() string { return "nothing is up under the name " + e.Name }

// Remedy lists what is.
func (e *AbsentError) Remedy() string {
	if len(e.Known) == 0 {
		return "start it with culvert up"
	}
	return fmt.Sprintf("these names are up: %v", e.Known)
}

// Sets returns all sets, by name.
func (d Dir) Sets(ctx context.Context) ([]Set, error) {
	names, err := d.Names()
	if err != nil {
		return nil, err
	}
	sets := make([]Set, 0, len(names))
	for _, name := range names {
		s, err := d.Set(ctx, name)
		if _, gone := errors.AsType[*AbsentError](err); gone {
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		sets = append(sets, s)
	}
	return sets, nil
}

// Set asks for one set. The error is an *AbsentError when there is none of that name.
func (d Dir) Set(ctx context.Context, name string) (Set, error) {
	if err := CheckName(name); err != nil {
		return Set{}, err
	}
	r, err := d.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		known, _ := d.Names() // only for advice
		return Set{}, &AbsentError{Name: name, Known: known}
	}
	if err != nil {
		return Set{}, fmt.Errorf("read the record of %s: %w", name, err)
	}
	if r.Failure == nil && r.Process.Alive() {
		asking, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		s, err := d.ask(asking, name, doStatus)
		if err == nil {
			return s, nil
		}
		if r.Process.Alive() {
			s := r.Set()
			s.State, s.Error, s.Remedy = Starting, "", "" // it has no ear yet, or none any more
			if ctx.Err() == nil && asking.Err() != nil {
				s.State = Silent
				s.Error = fmt.Sprintf("process %d, which holds the tunnels, has not answered within %s", r.Process.PID, askTime)
				s.Remedy = "try again, or run culvert down " + name + ": it ends the process and its sessions"
			}
			return s, nil
		}
		if r, err = d.Read(name); err != nil {
			return Set{}, &AbsentError{Name: name}
		}
	}
	return r.Set(), nil
}

// ask sends a request that is answered with the set.
func (d Dir) ask(ctx context.Context, name, do string) (s Set, err error) {
	err = d.request(ctx, name, request{Do: do}, &s)
	return s, err
}

// StuckError is a holder that had to be killed.
type StuckError struct {
	Name  string
	PID   int
	After time.Duration
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("process %d, which held %s, did not end within %s and was killed", e.PID, e.Name, e.After)
}

// Remedy says what that leaves.
func (e *StuckError) Remedy() string {
	return "none is needed here; what it has left is ended by culvert down, or by the next culvert in that account"
}

// Down ends a set: its sessions are terminated and its process is gone when it returns. It returns the set as it was
// last, also when that had ended by itself before; the record is removed. The error is an *AbsentError when there is
// nothing of that name, a *StuckError when the process had to be killed.
func (d Dir) Down(ctx context.Context, name string) (Set, error) {
	last, err := d.Set(ctx, name)
	if err != nil {
		return last, err
	}
	r, err := d.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil // it has ended meanwhile
	}
	if err != nil {
		return last, fmt.Errorf("read the record of %s: %w", name, err)
	}
	if !r.Process.Alive() {
		return last, d.forget(ctx, r)
	}
	ending, cancel := context.WithTimeout(ctx, downTime)
	defer cancel()
	if s, err := d.ask(ending, name, doDown); err == nil {
		last = s
	} else if ending.Err() == nil && r.Process.Alive() {
		_ = r.Process.end() // it does not listen: it is told like any process
	}
	if err := await(ending, r.Process); err != nil {
		if ctx.Err() != nil {
			return last, err
		}
		killed := &StuckError{Name: name, PID: r.Process.PID, After: downTime}
		dying, cancel := context.WithTimeout(ctx, killTime)
		defer cancel()
		return last, errors.Join(killed, r.Process.Kill(), await(dying, r.Process), d.forget(ctx, r))
	}
	return last, d.forget(ctx, r)
}

// forget removes the record of a process that is gone, unless somebody starts another one under its name.
func (d Dir) forget(ctx context.Context, gone Record) error {
	now, cancel := context.WithCancel(ctx)
	defer cancel()
	lock, err := d.Lock(now, gone.Name, cancel)
	if err != nil {
		return nil // whoever starts it removes what is in the way
	}
	defer lock.Unlock()
	if r, err := d.Read(gone.Name); err == nil && r.Process == gone.Process {
		return d.Remove(gone.Name)
	}
	return nil
}

// await waits until a process is gone.
func await(ctx context.Context, p Process) error {
	for p.Alive() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(endPoll):
		}
	}
	return nil
}
