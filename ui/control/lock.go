package control

import (
	"context"
	"errors"
	"os"
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
	for first := true; ; first = false {
		file, err := flock.Open(d.lockFile(name), os.O_CREATE)
		if err == nil {
			return &Lock{file: file}, nil
		}
		if !errors.Is(err, flock.ErrHeld) {
			return nil, &FileError{Doing: "lock the set " + name, Err: err}
		}
		if first {
			waiting()
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return nil, &FileError{Doing: "lock the set " + name, Err: context.Cause(ctx)}
		}
	}
}

// Unlock gives the right back. The file stays, see Prune.
func (l *Lock) Unlock() { _ = l.file.Close() }
