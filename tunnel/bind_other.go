//go:build !windows

package tunnel

import "syscall"

// bindNumbers are the error numbers of this system.
var bindNumbers = numbers{ //nolint:gochecknoglobals // never changed; Go has no constants of such types
	addressTaken: {syscall.EADDRINUSE}, notAllowed: {syscall.EACCES, syscall.EPERM},
	noAddress: {syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT},
}
