package need

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
)

var lastPort atomic.Int32

// Port returns a free port of 127.0.0.1, see FreeAddrPort.
func Port(t testing.TB) uint16 {
	t.Helper()
	return unused(t).Port()
}

// FreeAddress is the text of an address of loopback where nobody listens just now, see FreeAddrPort.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return unused(t).String()
}

func unused(t testing.TB) netip.AddrPort {
	t.Helper()
	at, err := FreeAddrPort()
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// FreeAddrPort returns an address of loopback with a port from a range of which the system gives none by itself, neither to a
// listener on port 0 nor to a client, so that it is most likely still free when a server is started there, or a test uses it
// seconds later.
func FreeAddrPort() (netip.AddrPort, error) {
	for range 1000 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(20_000+(int(lastPort.Add(1))+os.Getpid()*17)%10_000))
		if l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at)); err == nil {
			_ = l.Close()
			return at, nil
		}
	}
	return netip.AddrPort{}, errors.New("no free port from 20000 to 29999")
}
