package tunnel

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Who asks the kernel, and who reads its table, sees the same.
func TestAConnectionIsAbandonedOnceNobodyHoldsIt(t *testing.T) {
	t.Parallel()
	k := &kernel{}
	t.Cleanup(k.close)
	byTable := func(local, remote netip.AddrPort) bool {
		inode, err := tcpInode(local, remote)
		return errors.Is(err, errNoSocket) || inode == 0
	}
	byKernel := func(local, remote netip.AddrPort) bool {
		inode, err := k.diagnose(local, remote)
		return err != nil || inode == 0
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		for name, end := range map[string]func(*net.TCPConn) error{
			"nothing":     func(*net.TCPConn) error { return nil },
			"half closed": (*net.TCPConn).CloseWrite,
			"closed":      (*net.TCPConn).Close,
			"reset": func(c *net.TCPConn) error {
				_ = c.SetLinger(0)
				return c.Close()
			},
		} {
			t.Run(address+" "+name, func(t *testing.T) {
				t.Parallel()
				l, err := net.Listen("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = l.Close() }()
				to := l.Addr().(*net.TCPAddr)
				if to.IP.IsUnspecified() { // an IPv4 client of a listener for both
					to = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: to.Port}
				}
				client, err := net.DialTCP("tcp", nil, to)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = client.Close() }()
				conn, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				local, remote := client.LocalAddr().(*net.TCPAddr).AddrPort(), client.RemoteAddr().(*net.TCPAddr).AddrPort()
				if _, err := k.diagnose(remote, local); err != nil {
					t.Errorf("the kernel does not find our own end: %v", err)
				}
				if err := end(client); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Millisecond)
				want := name == "closed" || name == "reset"
				isGone, known := k.gone(conn)
				if !known {
					t.Error("it cannot be known whether it is gone")
				}
				for who, says := range map[string]bool{
					"the table": byTable(local, remote), "the kernel": byKernel(local, remote), "gone": isGone,
				} {
					if says != want {
						t.Errorf("%s says that it is abandoned: %t, want %t", who, says, want)
					}
				}
			})
		}
	}
}

// Where there is no such connection the kernel says so, or offers who listens on that port: neither is the connection.
func TestTheKernelKnowsNoSuchConnection(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	k := &kernel{}
	defer k.close()
	nobody := netip.MustParseAddrPort("127.0.0.1:1")
	for name, local := range map[string]netip.AddrPort{"nobody": nobody, "a listener": l.Addr().(*net.TCPAddr).AddrPort()} {
		if inode, err := k.diagnose(local, nobody); !errors.Is(err, errNoSocket) {
			t.Errorf("%s: got inode %d, error %v, want errNoSocket", name, inode, err)
		}
	}
}

func FuzzDiagnosis(f *testing.F) {
	f.Add(make([]byte, diagAnswer))
	f.Add(append([]byte{36, 0, 0, 0, unix.NLMSG_ERROR, 0}, make([]byte, 30)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if inode, err := parseDiagnosis(b); err != nil && inode != 0 {
			t.Errorf("inode %d with error %v", inode, err)
		}
	})
}

func BenchmarkAbandoned(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	local, remote := client.LocalAddr().(*net.TCPAddr).AddrPort(), client.RemoteAddr().(*net.TCPAddr).AddrPort()
	k := &kernel{}
	defer k.close()
	b.Run("by the kernel", func(b *testing.B) {
		for b.Loop() {
			_, _ = k.abandoned(local, remote)
		}
	})
	b.Run("by the table", func(b *testing.B) {
		for b.Loop() {
			_, _ = tcpInode(local, remote)
		}
	})
}
