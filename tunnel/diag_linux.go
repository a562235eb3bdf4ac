package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Sizes of messages and offsets in them, by the kernel's linux/inet_diag.h: inet_diag_req_v2, inet_diag_msg and their
// inet_diag_sockid.
const (
	diagRequest = unix.NLMSG_HDRLEN + 56
	diagAnswer  = unix.NLMSG_HDRLEN + 72
	diagState   = unix.NLMSG_HDRLEN + 1
	diagInode   = unix.NLMSG_HDRLEN + 68
	tcpListen   = 10 // enum in linux/tcp_states.h
)

var errNoSocket = errors.New("no such socket")

// kernel asks the kernel about TCP connections, over one socket that it keeps: a new socket for each question could not be had
// when the answer matters most, once the process is out of file descriptors. The zero value opens its socket with the first
// question. Safe for concurrent use.
type kernel struct {
	mu       sync.Mutex
	socket   *int // file descriptor; nil until the socket is open
	closed   bool
	sequence uint32 // of the last question
}

// open opens the socket ahead of the first question, while there are file descriptors. A failure does not matter: tcpInode is
// another way to look.
func (k *kernel) open() {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.prepare()
}

func (k *kernel) prepare() error {
	if k.closed {
		return os.ErrClosed
	}
	if k.socket != nil {
		return nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return fmt.Errorf("open a diagnosis socket: %w", err)
	}
	k.socket = &fd
	return nil
}

// close gives the socket back; later questions fail.
func (k *kernel) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.socket != nil {
		_ = unix.Close(*k.socket)
	}
	k.socket, k.closed = nil, true
}

// diagnose looks one TCP connection of this network namespace up by its two ends, and returns the inode of its socket, which is 0
// once no process holds the socket. Unlike a look into /proc/net/tcp this does not walk through every socket of the machine,
// which takes milliseconds on a busy one. The error is errNoSocket where there is no such connection; the kernel answers the same
// where it cannot look at TCP at all.
func (k *kernel) diagnose(local, remote netip.AddrPort) (inode uint32, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.prepare(); err != nil {
		return 0, err
	}
	k.sequence++
	if err := unix.Sendto(*k.socket, diagnosisOf(local, remote, k.sequence), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("ask for a socket: %w", err)
	}
	for answer := make([]byte, 4*diagAnswer); ; {
		n, _, err := unix.Recvfrom(*k.socket, answer, unix.MSG_DONTWAIT) // the answer is there when Sendto returns
		if err != nil {
			return 0, fmt.Errorf("read about a socket: %w", err)
		}
		if n < unix.NLMSG_HDRLEN || binary.NativeEndian.Uint32(answer[8:]) == k.sequence {
			return parseDiagnosis(answer[:n])
		} // else it is the answer to an earlier question, which was not read as that question had failed
	}
}

func diagnosisOf(local, remote netip.AddrPort, sequence uint32) []byte {
	family, from, to := unix.AF_INET, local.Addr().Unmap(), remote.Addr().Unmap()
	if from.Is6() {
		family = unix.AF_INET6
	}
	b := make([]byte, 0, diagRequest)
	b = binary.NativeEndian.AppendUint32(b, diagRequest)
	b = binary.NativeEndian.AppendUint16(b, unix.SOCK_DIAG_BY_FAMILY)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = append(b, 0, 0, 0, 0) // our netlink port id, which the kernel knows by itself
	b = append(b, byte(family), unix.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, ^uint32(0)) // connections in any state
	b = binary.BigEndian.AppendUint16(b, local.Port())
	b = binary.BigEndian.AppendUint16(b, remote.Port())
	for _, a := range []netip.Addr{from, to} {
		b = append(b, a.AsSlice()...)
		b = append(b, make([]byte, 16-a.BitLen()/8)...)
	}
	b = append(b, make([]byte, 4)...)                      // on any interface
	return binary.NativeEndian.AppendUint64(b, ^uint64(0)) // without a cookie
}

func parseDiagnosis(b []byte) (inode uint32, err error) {
	if len(b) < unix.NLMSG_HDRLEN+4 {
		return 0, fmt.Errorf("answer of %d bytes about a socket", len(b))
	}
	switch kind := binary.NativeEndian.Uint16(b[4:]); {
	case kind == unix.NLMSG_ERROR:
		code := unix.Errno(-int32(binary.NativeEndian.Uint32(b[unix.NLMSG_HDRLEN:]))) //nolint:gosec // a negative errno
		if code == unix.ENOENT {
			return 0, errNoSocket
		}
		return 0, fmt.Errorf("ask for a socket: %w", code)
	case kind != unix.SOCK_DIAG_BY_FAMILY, len(b) < diagAnswer:
		return 0, fmt.Errorf("answer %d of %d bytes about a socket", kind, len(b))
	case b[diagState] == tcpListen:
		return 0, errNoSocket // where there is no such connection the kernel returns the socket that listens on the port
	}
	return binary.NativeEndian.Uint32(b[diagInode:]), nil
}
