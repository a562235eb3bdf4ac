package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"culvert/internal/say"
)

// hold listens on an address as another process would.
func hold(t *testing.T, at string) uint16 {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", at)
	if err != nil {
		t.Skipf("this system does not have %s: %v", at, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

// A port that is taken on one of the two loopback addresses is taken: whoever asks for localhost may be led there.
func TestAPortThatIsTakenOnOneAddressIsTaken(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "[::1]"} {
		port := hold(t, address+":0")
		l, err := listen(Spec{Local: netip.AddrPortFrom(netip.Addr{}, port)})
		if taken, ok := errors.AsType[*PortTakenError](err); !ok || taken.Address != fmt.Sprintf("%s:%d", address, port) {
			t.Errorf("%s is taken: got %v", address, err)
		}
		if err == nil {
			l.close()
		}
		if err := (Spec{Local: netip.AddrPortFrom(netip.Addr{}, port)}).Listenable(); err == nil {
			t.Errorf("%s is taken, and said to be free", address)
		}

		l, err = listen(Spec{Remote: Endpoint{Port: port}})
		if err != nil {
			t.Fatalf("%s is taken, and any port would do: %v", address, err)
		}
		if l.taken == nil || len(l.addresses()) != 2 || l.address().Port() == port {
			t.Errorf("%s is taken: got %v, replaced because of %v", address, l.addresses(), l.taken)
		}
		l.close()
	}
}

func TestEverySystemSaysInItsNumbersWhatIsInTheWay(t *testing.T) {
	for i, all := range []numbers{windowsNumbers(), bindNumbers} {
		windows := i == 0 || runtime.GOOS == "windows"
		for number, want := range map[syscall.Errno]obstacle{
			10048: addressTaken, 10013: notAllowed, 10049: noAddress, 10047: noAddress, 10043: noAddress, 10061: otherObstacle,
		} {
			if !windows {
				want = otherObstacle
			}
			err := &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", number)}
			if got := all.obstacle(err); got != want {
				t.Errorf("%d is %d, want %d; Windows: %t", number, got, want, windows)
			}
		}
	}
	if windows := runtime.GOOS == "windows"; windows != (obstacleOf(syscall.Errno(10048)) == addressTaken) {
		t.Error("the numbers are those of another system")
	} else if !windows {
		for number, want := range map[syscall.Errno]obstacle{
			syscall.EADDRINUSE: addressTaken, syscall.EACCES: notAllowed, syscall.EPERM: notAllowed, syscall.EADDRNOTAVAIL: noAddress, syscall.EAFNOSUPPORT: noAddress, syscall.EINVAL: otherObstacle,
		} {
			if got := obstacleOf(os.NewSyscallError("bind", number)); got != want {
				t.Errorf("%d is %d, want %d", number, got, want)
			}
		}
	}
	if obstacleOf(io.EOF) != otherObstacle {
		t.Error("what is no number is something")
	}
	for _, port := range []string{"127.0.0.1:80", "127.0.0.1:50000"} {
		err := &PrivilegedPortError{Address: port, Err: syscall.EACCES}
		if below := strings.Contains(err.Error(), "below 1024"); below != (port == "127.0.0.1:80" && runtime.GOOS != "windows") || say.Remedy(err) == "" {
			t.Errorf("%s: %v, %s", port, err, say.Remedy(err))
		}
	}
}

// room makes a directory whose path has n bytes.
func room(t *testing.T, n int) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "culvert") //nolint:usetesting // that one is of any length
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	dir = filepath.Join(dir, strings.Repeat("d", n-len(dir)-1))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What the system takes as the path of a socket is taken: others have no longer one to connect with.
func TestASocketMayHaveAPathAsLongAsTheSystemTakes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no directory /tmp, and no modes of sockets")
	}
	for _, length := range []int{mostSocketPath, mostSocketPath - 1, 90, 60} {
		for _, name := range []string{"s", "database.sock"} {
			path := filepath.Join(room(t, length-len(name)-1), name)
			if len(path) != length {
				t.Fatalf("the test's path has %d bytes", len(path))
			}
			for range 2 { // the second time beside nothing of the first
				l, err := listen(Spec{Socket: path})
				if err != nil {
					t.Fatalf("%d bytes: %v", length, err)
				}
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%d bytes: got %v, %v; want mode 0600", length, info, err)
				}
				conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", path)
				if err != nil {
					t.Fatalf("%d bytes: nobody can connect: %v", length, err)
				}
				_ = conn.Close()
				l.close()
				if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 0 {
					t.Errorf("%d bytes: %v is left, %v", length, left, err)
				}
			}
		}
	}
	_, err := listen(Spec{Socket: filepath.Join(room(t, mostSocketPath-1), "s")})
	if long, ok := errors.AsType[*SocketPathError](err); !ok || !strings.Contains(long.Error(), fmt.Sprint(mostSocketPath)) || say.Remedy(err) == "" {
		t.Errorf("one byte too many: got %v", err)
	}
	gone := filepath.Join(room(t, 60), "gone")
	_, err = listen(Spec{Socket: filepath.Join(gone, "x.sock")})
	if !strings.Contains(say.Remedy(err), gone) {
		t.Errorf("a directory that is not there: got %v, remedy %q", err, say.Remedy(err))
	}
}

func TestAPlaceForASocketIsFoundWhateverTMPDIRSays(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("TMPDIR means nothing to Windows")
	}
	t.Setenv("HOME", room(t, mostSocketPath))
	t.Setenv("XDG_RUNTIME_DIR", "")
	for name, dir := range map[string]string{"long": room(t, mostSocketPath), "missing": filepath.Join(room(t, 60), "gone"), "a file": "/etc/hostname", "macOS": room(t, 79)} {
		t.Setenv("TMPDIR", dir)
		got, err := ShortDir(2)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		l, err := listen(Spec{Socket: filepath.Join(got, "s")})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			l.close()
		}
		_ = os.Remove(got)
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
	_, err := ShortDir(mostSocketPath)
	if !strings.Contains(say.Remedy(err), "TMPDIR") {
		t.Errorf("no place at all: got %v, remedy %q", err, say.Remedy(err))
	}
}
