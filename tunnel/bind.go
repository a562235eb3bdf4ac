package tunnel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// obstacle is why an address cannot be listened on.
type obstacle int

const (
	otherObstacle obstacle = iota
	addressTaken           // by another process
	notAllowed             // this user, or nobody, may listen on the port
	noAddress              // the system does not have the address, or no addresses of its kind
)

// obstacleOf reads the obstacle from an error of listen, by the numbers that this system has for its errors.
func obstacleOf(err error) obstacle { return bindNumbers.obstacle(err) }

// numbers are the error numbers that a system has for each obstacle.
type numbers map[obstacle][]syscall.Errno

func (n numbers) obstacle(err error) obstacle {
	said, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return otherObstacle
	}
	for means, all := range n {
		if slices.Contains(all, said) {
			return means
		}
	}
	return otherObstacle
}

// windowsNumbers are the error numbers of Windows Sockets; those of the same names in package syscall are others, which no call
// returns. On Windows everybody may listen on the ports below 1024, and nobody on those that the system has set aside, for
// virtual machines say.
func windowsNumbers() numbers {
	return numbers{
		addressTaken: {10048},               // WSAEADDRINUSE
		notAllowed:   {10013},               // WSAEACCES
		noAddress:    {10049, 10047, 10043}, // WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAEPROTONOSUPPORT
	}
}

// bindError returns the error for people about an address that cannot be listened on.
func bindError(at netip.AddrPort, err error) error {
	switch obstacleOf(err) {
	case addressTaken:
		return &PortTakenError{Address: at.String(), Holder: holder(at)}
	case notAllowed:
		return &PrivilegedPortError{Address: at.String(), Err: err}
	case noAddress:
		return &NoAddressError{Address: at.String(), Err: err}
	case otherObstacle:
	}
	return fmt.Errorf("listen on %s: %w", at, err)
}
