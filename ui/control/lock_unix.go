//go:build unix

package control

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks a file for this process; held is true when another one has it.
func tryLock(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
