// Package recent remembers which tunnels were used, and which were open when an interface ended: names alone, in a file
// that only its owner can read. Interfaces that run at the same time share it.
package recent

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"culvert/internal/flock"
	"culvert/ui/control"
)

// Tunnel is a tunnel that was opened, as its user would name it.
type Tunnel struct {
	Account string `json:"account,omitempty"` // its number, where it was known
	Profile string `json:"profile,omitempty"`
	Region  string `json:"region"`
	Role    string `json:"role,omitempty"` // ARN of the one that was assumed for it alone

	Target  string    `json:"target"`  // as --target takes it
	Forward string    `json:"forward"` // as -L takes it; empty of one to any host
	Dynamic *Dynamic  `json:"dynamic,omitempty"`
	Times   int       `json:"times"` // that it was opened
	Last    time.Time `json:"last"`  // of them

	Open *control.Process `json:"open,omitempty"` // whose tunnel it is, or was when that ended
}

// Dynamic is what a tunnel to any host was opened with.
type Dynamic struct {
	Local        string   `json:"local"` // as -D takes it
	Via          []string `json:"via,omitempty"`
	Deny         []string `json:"deny,omitempty"`
	Warm         []string `json:"warm,omitempty"`
	Destinations int      `json:"destinations,omitempty"`
}

// same reports whether two were opened alike.
func (d *Dynamic) same(other *Dynamic) bool {
	if d == nil || other == nil {
		return d == other
	}
	return d.Local == other.Local && slices.Equal(d.Via, other.Via) && slices.Equal(d.Deny, other.Deny) && slices.Equal(d.Warm, other.Warm) &&
		d.Destinations == other.Destinations
}

// same reports whether two are one, used again: the local side does not matter where the forward leads elsewhere anyway.
func (t Tunnel) same(other Tunnel) bool {
	return t.Account == other.Account && t.Profile == other.Profile && t.Region == other.Region && t.Role == other.Role &&
		t.Target == other.Target && t.Forward == other.Forward && t.Dynamic.same(other.Dynamic)
}

// Left reports whether the tunnel was open when the interface that it belonged to ended.
func (t Tunnel) Left() bool { return t.Open != nil && !t.Open.Alive() }

// keep is how many tunnels are remembered, and most how large the file may be.
const (
	keep = 50
	most = 1 << 20
)

// File is where they are remembered; empty is nowhere.
type File string

// FileError is a file that cannot be used.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("recent tunnels in %s: %v", e.Path, e.Err) }
func (e *FileError) Unwrap() error { return e.Err }

// Remedy says what can be done without.
func (e *FileError) Remedy() string {
	return "remove the file, or let it be written: nothing but the list of recent tunnels is lost"
}

// Read returns what is remembered, the most used first.
func (f File) Read() ([]Tunnel, error) {
	if f == "" {
		return nil, nil
	}
	file, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &FileError{Path: string(f), Err: err}
	}
	defer func() { _ = file.Close() }()
	body, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && len(body) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	var all []Tunnel
	if err == nil {
		err = json.Unmarshal(body, &all)
	}
	if err != nil {
		return nil, &FileError{Path: string(f), Err: err}
	}
	return tidy(all), nil
}

// tidy orders tunnels, the most used first, and forgets those whose use is the longest ago.
func tidy(all []Tunnel) []Tunnel {
	all = slices.DeleteFunc(all, func(t Tunnel) bool { return t.Target == "" || t.Forward == "" && t.Dynamic == nil })
	slices.SortStableFunc(all, func(a, b Tunnel) int { return b.Last.Compare(a.Last) })
	all = all[:min(len(all), keep)]
	slices.SortStableFunc(all, func(a, b Tunnel) int { return cmp.Or(cmp.Compare(b.Times, a.Times), b.Last.Compare(a.Last)) })
	return all
}

// Change is a tunnel that was opened, or that is over.
type Change struct {
	Tunnel

	Over bool // it is no longer open, nor to be opened again; else it has been opened
}

// lockWithin is how long another interface may take to write.
const lockWithin = 2 * time.Second

// Note writes down what happened, and returns what is remembered then. The file is replaced at once or not at all.
func (f File) Note(now time.Time, by control.Process, changes ...Change) ([]Tunnel, error) {
	if f == "" {
		return nil, nil
	}
	wrong := func(err error) ([]Tunnel, error) {
		if _, ok := errors.AsType[*FileError](err); !ok {
			err = &FileError{Path: string(f), Err: err}
		}
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return wrong(err)
	}
	lock, err := f.lock()
	if err != nil {
		return wrong(err)
	}
	defer func() { _ = lock.Close() }()
	all, err := f.Read()
	if err != nil {
		return wrong(err)
	}
	for _, s := range changes {
		all = s.on(all, now, by)
	}
	all = tidy(all)
	body, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = replace(string(f), append(body, '\n'))
	}
	if err != nil {
		return wrong(err)
	}
	return all, nil
}

// on applies the change to what is remembered, as the process by sees it.
func (s Change) on(all []Tunnel, now time.Time, by control.Process) []Tunnel {
	i := slices.IndexFunc(all, s.same)
	switch {
	case s.Over && i < 0:
		return all
	case s.Over:
		if of := all[i].Open; of != nil && (*of == by || !of.Alive()) { // another interface may have it open as well
			all[i].Open = nil
		}
		return all
	case i < 0:
		i = len(all)
		all = append(all, s.Tunnel)
		all[i].Times = 0
	}
	all[i].Times++
	all[i].Last, all[i].Open = now, &by
	return all
}

// lock waits for the lock of the file, which stands beside it: the file itself is replaced.
func (f File) lock() (*os.File, error) {
	for late := time.Now().Add(lockWithin); ; time.Sleep(lockWithin / 100) {
		lock, err := flock.Open(string(f)+".lock", os.O_CREATE)
		if !errors.Is(err, flock.ErrHeld) || time.Now().After(late) {
			return lock, err
		}
	}
}

// replace puts a new file in the place of an older one; only its owner can read it.
func replace(path string, body []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".recent-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
