package aws

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// swallowing is an address of which the kernel drops every SYN: a listener whose queue is full.
func swallowing(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		t.Fatalf("got %T", name)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: at.Port}).String()
	for range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		cancel()
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue does not fill")
	return ""
}

func TestSwallowedPacketsEnd(t *testing.T) {
	address := swallowing(t)
	for title, row := range map[string]struct{ endpoint, proxy, says string }{
		"of an endpoint": {"http://" + address, "", "reach " + address + ": no connection to " + address + " within"},
		"of a proxy":     {"https://ecs.example.invalid", "http://" + address, "through the proxy " + address + ": no connection to " + address + " within"},
	} {
		t.Run(title, func(t *testing.T) {
			started := time.Now()
			_, err := attacked(t, row.endpoint, row.proxy, moment).Discover(t.Context())
			mustSay(t, err, row.says, "packets are dropped")
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("took %s, want about the 400 ms that a call has", took)
			}
			if strings.Contains(text(err), "deadline") {
				t.Errorf("got %s", text(err))
			}
		})
	}
}
