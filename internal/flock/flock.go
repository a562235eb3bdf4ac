// Package flock locks files between processes. The system gives a lock back when its process dies, however it dies.
package flock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrHeld says that another open file has the lock.
var ErrHeld = errors.New("held by another process")

// Open opens a file to read and write, with the flags of os.OpenFile besides, and takes its lock for as long as it is
// open. What is returned is the file that the path leads to: one that was removed or replaced between opening and
// locking it is let go, and the next one is taken. The error is ErrHeld when another has the lock.
func Open(path string, flags int) (*os.File, error) {
	path = filepath.Clean(path)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
		if err != nil {
			return nil, err
		}
		same, err := lock(f, path)
		if same {
			return f, nil
		}
		_ = f.Close() // nothing was written
		if err != nil {
			return nil, err
		}
	}
}

// Create makes a new file in dir, named as by os.CreateTemp, and takes its lock. Others that lock and remove files of
// the directory may do so with the new one before it is locked; then there is another one.
func Create(dir, pattern string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(dir, pattern)
		if err != nil {
			return nil, err
		}
		same, err := lock(f, f.Name())
		if same {
			return f, nil
		}
		_ = f.Close() // nothing was written
		if err != nil && !errors.Is(err, ErrHeld) {
			return nil, errors.Join(err, os.Remove(f.Name()))
		}
	}
}

// Remove removes a locked file and gives its lock back: in this order, so that it is no other file of that name. Windows
// removes no file that is open; there it is removed right behind.
func Remove(f *os.File) error {
	err := os.Remove(f.Name())
	closing := f.Close()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = os.Remove(f.Name())
	}
	return errors.Join(err, closing)
}

// lock takes the lock of f and reports whether path still leads to it.
func lock(f *os.File, path string) (same bool, err error) {
	locked, err := Try(f)
	if err != nil {
		return false, err
	}
	if !locked {
		return false, ErrHeld
	}
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}
