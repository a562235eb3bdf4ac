//go:build unix

package control

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedByUs reports whether a file is the user's own.
func ownedByUs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}

// end asks the process to end.
func (p Process) end() error { return syscall.Kill(p.PID, syscall.SIGTERM) }
