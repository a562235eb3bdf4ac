package tunnel

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"culvert/internal/say"
)

// gone reports whether the local client has closed its connection altogether, and has not only finished writing: a half-closed
// connection still wants its answer. known is false where the system does not tell, as for clients on other machines.
func (k *kernel) gone(conn net.Conn) (gone, known bool) {
	switch c := conn.(type) {
	case *net.UnixConn:
		return hungUp(c), true
	case *net.TCPConn:
		local, remote := c.LocalAddr().(*net.TCPAddr), c.RemoteAddr().(*net.TCPAddr) //nolint:forcetypeassert // of a TCPConn
		if !remote.IP.IsLoopback() {
			return false, false // a client on another machine, of which this kernel knows nothing but its packets
		}
		return k.abandoned(remote.AddrPort(), local.AddrPort())
	}
	return false, false
}

// abandoned reports whether the process at the other end of a loopback connection has closed its socket: the kernel then still
// has that end, which closes in its own time, but no process owns it. local and remote are the addresses as that other end sees
// them, so remote is our own. known is false when the kernel cannot tell.
func (k *kernel) abandoned(local, remote netip.AddrPort) (abandoned, known bool) {
	// A kernel that cannot even find our own end is not asked for the other one.
	if _, err := k.diagnose(remote, local); err == nil {
		inode, err := k.diagnose(local, remote)
		if err == nil || errors.Is(err, errNoSocket) {
			return inode == 0, true
		}
	}
	inode, err := tcpInode(local, remote)
	none := errors.Is(err, errNoSocket)
	return none || (err == nil && inode == 0), none || err == nil
}

// hungUp reports whether both directions of a unix socket are shut, by poll.
func hungUp(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	var events int16
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // a file descriptor
		if _, err := unix.Poll(fds, 0); err == nil {
			events = fds[0].Revents
		}
	})
	return err != nil || events&unix.POLLHUP != 0
}

// tcpInode looks the inode of a TCP socket of this network namespace up by its two addresses; an unspecified remote address with
// port 0 finds a listener. The error is errNoSocket when there is no such socket.
func tcpInode(local, remote netip.AddrPort) (inode uint64, err error) {
	table := "/proc/self/net/tcp"
	if local.Addr().Unmap().Is6() {
		table += "6"
	}
	file, err := os.Open(table)
	if err != nil {
		return 0, fmt.Errorf("look for a socket: %w", err)
	}
	defer func() { _ = file.Close() }()
	want := procAddress(local)
	wantRemote := procAddress(remote)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[1] != want || fields[2] != wantRemote {
			continue
		}
		return strconv.ParseUint(fields[9], 10, 64)
	}
	return 0, errNoSocket
}

// procAddress writes an address as /proc/net/tcp does: 32-bit words in host order, then the port.
func procAddress(a netip.AddrPort) string {
	ip := a.Addr().Unmap().AsSlice()
	for i := 0; i+4 <= len(ip); i += 4 {
		binary.NativeEndian.PutUint32(ip[i:], binary.BigEndian.Uint32(ip[i:]))
	}
	return fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(ip)), a.Port())
}

// holder names the process that listens on an address; empty when the system does not tell.
func holder(at netip.AddrPort) string {
	none := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if at.Addr().Is6() {
		none = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	inode, err := tcpInode(at, none)
	if err != nil {
		inode, err = tcpInode(netip.AddrPortFrom(none.Addr(), at.Port()), none)
	}
	if err != nil && at.Addr().Is4() { // a listener on [::] takes IPv4 too
		six := netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		inode, err = tcpInode(netip.AddrPortFrom(six.Addr(), at.Port()), six)
	}
	if err != nil || inode == 0 {
		return ""
	}
	link := fmt.Sprintf("socket:[%d]", inode)
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, d := range descriptors {
		if to, err := os.Readlink(d); err != nil || to != link {
			continue
		}
		pid := strings.Split(d, "/")[2]
		name, err := os.ReadFile(filepath.Join("/proc", pid, "comm")) //nolint:gosec // a path that the glob has found
		if err != nil {
			return "pid " + pid
		}
		return fmt.Sprintf("%s (pid %s)", say.Brief(string(name)), pid)
	}
	return ""
}
