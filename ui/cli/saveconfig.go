package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"culvert/internal/flock"
	"culvert/ui/screen"
)

// SaveError says that saved tunnels cannot be written to a config file.
type SaveError struct {
	File string
	Err  error
}

func (e *SaveError) Error() string { return fmt.Sprintf("save to %s: %v", e.File, cause(e.Err)) }
func (e *SaveError) Unwrap() error { return e.Err }

// Remedy says how to get around that.
func (e *SaveError) Remedy() string {
	return advice(e.Err, "make the file writable, or name another one with --config")
}

// ChangedError says that something was changed since the user has seen it, so that the user's own change was not made.
type ChangedError struct{ What string }

func (e *ChangedError) Error() string {
	return e.What + " was changed by somebody else meanwhile, and is left as it is"
}

// Remedy is to look again.
func (e *ChangedError) Remedy() string {
	return "look at what it says now, which is shown; the same change once more replaces that"
}

// keeper writes what the interface saves: to the file of --config, else to the user's own. In the demo account without --config
// it writes to memory, which is lost with the process.
type keeper struct {
	*shared

	ctx context.Context //nolint:containedctx // the context of the run, as the interface passes none

	mu     sync.Mutex
	memory []byte // the file of the demo account
}

// demoFile is how messages name the memory in which the demo account is saved.
const demoFile = "this demo alone"

// path is the file to which the keeper writes; empty for memory.
func (k *keeper) path() string {
	switch {
	case k.config != "":
		return k.config
	case k.demo:
		return ""
	}
	return findPaths().Config
}

// save makes all of the changes, or none. It returns what the files say afterwards also with an error, as others may have written
// to them.
func (k *keeper) save(changes []screen.Change) (screen.Written, error) {
	var before, after []byte
	kept, err := k.write(func(old []byte) (fresh []byte, err error) {
		before = old
		after, err = changed(named(k.path()), old, changes, k.names())
		return after, err
	})
	if err == nil {
		kept.Undo = func() (screen.Written, error) {
			return k.write(func(now []byte) ([]byte, error) {
				if !bytes.Equal(now, after) {
					return nil, &ChangedError{What: "the file"}
				}
				return before, nil
			})
		}
	}
	return kept, err
}

// write replaces the file with what edit makes of it.
func (k *keeper) write(edit func(old []byte) ([]byte, error)) (screen.Written, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	path := k.path()
	var err error
	if path == "" {
		var fresh []byte
		if fresh, err = edit(k.memory); err == nil {
			k.memory = fresh
		}
	} else {
		err = rewrite(k.ctx, path, edit)
	}
	if err != nil {
		err = &SaveError{File: named(path), Err: err}
	}
	all, rereading := k.reread()
	if rereading != nil {
		return screen.Written{Path: named(path), Saved: k.shown(&k.saved)}, errors.Join(err, rereading)
	}
	return screen.Written{Path: named(path), Saved: k.shown(&all)}, err
}

// named is how messages name a path.
func named(path string) string {
	if path == "" {
		return demoFile
	}
	return path
}

// reread reads the tunnels and groups of the files as they are now.
func (k *keeper) reread() (saved, error) {
	files, err := k.files(k.names())
	if err != nil {
		return saved{}, err
	}
	var all saved
	if len(k.memory) > 0 {
		f, err := parseConfig(demoFile, k.memory, k.names())
		if err != nil {
			return saved{}, err
		}
		all.merge(f.saved)
	}
	for _, f := range files {
		all.merge(f.saved)
	}
	return all, nil
}

// shown returns tunnels and groups in the form for the interface.
func (s *shared) shown(all *saved) screen.Saved {
	var out screen.Saved
	for _, t := range all.tunnels {
		one := t.shown()
		one.Lanes, one.OneTask = s.lanesOf(&t)
		if of := one.Forward.Dynamic; of != nil {
			one.Dynamic = s.anyHostOf(of)
		}
		one.ProxyUser, _ = s.userOf(&t)
		named := t.named(s.accountOf(&t))
		one.Profile, one.Region, one.Role = named.Profile, named.Region, named.Role
		out.Tunnels = append(out.Tunnels, one)
	}
	for _, g := range all.groups {
		out.Groups = append(out.Groups, screen.SavedGroup{Name: g.name, Tunnels: g.tunnels, Project: g.project})
	}
	return out
}

// shown is a saved tunnel in the form for the interface.
func (t *savedTunnel) shown() screen.SavedTunnel {
	one := screen.SavedTunnel{
		Name: t.name, Target: t.target, Forward: t.forward, Profile: t.profile, Region: t.region, Role: t.role,
		Entry: screen.Account{Profile: t.profile, Region: t.region, Role: t.role},
	}
	if t.probe != (probeValue{}) {
		one.Probe = t.probe.String()
	}
	if t.project {
		one.Project = t.file
	}
	return one
}

// How long rewrite waits for another process that holds the lock of a file, and how often it tries to get the lock.
const (
	writeWithin = 5 * time.Second
	writePoll   = 20 * time.Millisecond
)

// rewrite replaces a file with what edit makes of it, in one step or not at all. If path is a symbolic link, its target is
// replaced. A lock keeps out other culverts, but not editors: if the file has changed while edit worked, edit gets the new
// content.
func rewrite(ctx context.Context, path string, edit func(old []byte) ([]byte, error)) error {
	if leads, err := filepath.EvalSymlinks(path); err == nil {
		path = leads
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, writeWithin, errors.New("another culvert writes to it"))
	defer cancel()
	lock, err := lockFile(ctx, path)
	if err != nil {
		return err
	}
	defer flock.Remove(lock) //nolint:errcheck // a lock file that is left does no harm
	old, err := contentsOf(path)
	for err == nil {
		var fresh, now []byte
		if fresh, err = edit(old); err != nil {
			return err
		}
		if now, err = contentsOf(path); err == nil && bytes.Equal(now, old) {
			return replace(path, fresh)
		}
		old = now
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return err
}

// contentsOf is the content of a file; nil when the file does not exist.
func contentsOf(path string) ([]byte, error) {
	body, err := os.ReadFile(path) //nolint:gosec // the user's own choice of file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return body, err
}

// lockFile takes the lock for writing a file. The lock is a file of its own, as the other one is replaced.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
	for {
		lock, err := flock.Open(name, os.O_CREATE)
		if !errors.Is(err, flock.ErrHeld) {
			return lock, err
		}
		select {
		case <-time.After(writePoll):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// replace writes a file that only its owner can read, in one step.
func replace(path string, body []byte) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
