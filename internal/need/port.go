package need

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

var lastPort atomic.Int32

// Port returns a free port of 127.0.0.1 from a range of which the system gives none by itself, neither to a listener on port 0 nor to
// a client, so that it is most likely still free when the test uses it seconds later.
func Port(t testing.TB) uint16 {
	t.Helper()
	for range 1000 {
		port := uint16(20_000 + (int(lastPort.Add(1))+os.Getpid()*17)%10_000)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}
