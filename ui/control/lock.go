package control

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"culvert/internal/flock"
)

// Lock is the right to start or end a set: whoever has it is the only one to do so. A process that dies gives it back.
type Lock struct{ file *os.File }

// lockPoll is how often a lock that another process has is asked for again.
const lockPoll = 25 * time.Millisecond

// Lock waits for the right to start or end a set, at most until ctx ends. waiting is called once when another process
// has it.
func (d Dir) Lock(ctx context.Context, name string, waiting func()) (*Lock, error) {
	file, err := os.OpenFile(filepath.Join(d.Runtime, name+".lock"), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // names are checked
	if err != nil {
		return nil, &FileError{Doing: "lock the set " + name, Err: err}
	}
	for first := true; ; first = false {
		locked, err := flock.Try(file)
		if locked {
			return &Lock{file: file}, nil
		}
		if err != nil {
			_ = file.Close()
			return nil, &FileError{Doing: "lock the set " + name, Err: err}
		}
		if first {
			waiting()
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			_ = file.Close()
			return nil, &FileError{Doing: "lock the set " + name, Err: context.Cause(ctx)}
		}
	}
}

// Unlock gives the right back. The file stays: removing it would let two processes lock two files of one name.
func (l *Lock) Unlock() { _ = l.file.Close() }
