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

// gone reports whether the local side has closed its connection altogether, not only finished writing: its socket
// belongs to no process any more.
func gone(conn net.Conn) bool {
	switch c := conn.(type) {
	case *net.UnixConn:
		return hungUp(c)
	case *net.TCPConn:
		local, remote := c.LocalAddr().(*net.TCPAddr), c.RemoteAddr().(*net.TCPAddr) //nolint:forcetypeassert // of a TCPConn
		if !remote.IP.IsLoopback() {
			return false // another machine: only its packets tell
		}
		return abandoned(remote.AddrPort(), local.AddrPort())
	}
	return false
}

// abandoned reports whether no process holds a connection of this machine any more, of which the other end is here.
func abandoned(local, remote netip.AddrPort) bool {
	// A kernel that cannot even find our own end is not asked for the other one.
	if _, err := diagnose(remote, local); err == nil {
		inode, err := diagnose(local, remote)
		if err == nil || errors.Is(err, errNoSocket) {
			return inode == 0
		}
	}
	inode, found := tcpInode(local, remote)
	return !found || inode == 0
}

// hungUp asks poll whether both directions of a unix socket are shut.
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

// tcpInode looks a connection of this network namespace up by its two ends; the zero remote finds the listener.
func tcpInode(local, remote netip.AddrPort) (inode uint64, found bool) {
	table := "/proc/self/net/tcp"
	if local.Addr().Unmap().Is6() {
		table += "6"
	}
	file, err := os.Open(table)
	if err != nil {
		return 1, true // cannot tell: do not claim that it is gone
	}
	defer func() { _ = file.Close() }()
	want := procAddress(local)
	wantRemote := procAddress(remote)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[1] != want || fields[2] != wantRemote {
			continue
		}
		inode, err := strconv.ParseUint(fields[9], 10, 64)
		return inode, err == nil
	}
	return 0, false
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
	inode, found := tcpInode(at, none)
	if !found {
		inode, found = tcpInode(netip.AddrPortFrom(none.Addr(), at.Port()), none)
	}
	if !found && at.Addr().Is4() { // a listener on [::] takes IPv4 too
		six := netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		inode, found = tcpInode(netip.AddrPortFrom(six.Addr(), at.Port()), six)
	}
	if !found || inode == 0 {
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
