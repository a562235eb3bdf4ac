//go:build unix

package tunnel

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// crowded reports whether the process has hardly any file descriptors left. The kernel always gives out the lowest free
// descriptor, so the number of a new one tells how many are in use. socket is any socket of the process.
func crowded(socket net.Listener) bool {
	var limit unix.Rlimit
	c, ok := socket.(syscall.Conn)
	if !ok || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	isCrowded := false
	err = raw.Control(func(fd uintptr) {
		next, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			isCrowded = true
			return
		}
		_ = unix.Close(next)
		isCrowded = uint64(next) >= limit.Cur-min(spareDescriptors, limit.Cur/4) //nolint:gosec // a descriptor is not negative
	})
	return err == nil && isCrowded
}
