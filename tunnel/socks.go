package tunnel

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
)

// maxSOCKS is how many bytes of a SOCKS message are kept until it is whole: a user, a password and a host name have 255 bytes
// each at the most.
const maxSOCKS = 1 << 10

// socksAsk reads where a client of SOCKS 5 (RFC 1928, RFC 1929) or 4 and 4a wants to go.
type socksAsk struct {
	sniffer *sniffer
	head    []byte  // the message that is not whole yet
	greeted bool    // the client has sent its methods
	asked   bool    // the client has sent its request
	inner   *alerts // reads what the client sends once it is connected
}

func (a *socksAsk) read(p []byte) bool {
	if a.asked {
		if a.inner == nil && a.connected() {
			a.inner = &alerts{sniffer: a.sniffer, by: "client"}
		}
		return a.inner != nil && a.inner.read(p)
	}
	a.head = append(a.head, p[:min(len(p), maxSOCKS)]...)
	for !a.asked && len(a.head) > 0 {
		n, host := a.message()
		switch {
		case n < 0 || n == 0 && len(a.head) >= maxSOCKS:
			return false
		case n == 0:
			return true
		}
		a.head = a.head[n:]
		if host != "" {
			a.asked, a.head = true, nil
			a.sniffer.mu.Lock()
			a.sniffer.host = clean(host)
			a.sniffer.mu.Unlock()
		}
	}
	return true
}

func (a *socksAsk) connected() bool {
	a.sniffer.mu.Lock()
	defer a.sniffer.mu.Unlock()
	return a.sniffer.talk.connected
}

// message returns how long the message in a.head is (0 while it is not whole, less if it is none of SOCKS), and if it is the
// request for which host.
func (a *socksAsk) message() (n int, host string) {
	b := a.head
	switch {
	case b[0] == 4:
		return socks4(b)
	case b[0] == 5 && !a.greeted: // the client's methods
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return 0, ""
		}
		a.greeted = true
		return 2 + int(b[1]), ""
	case b[0] == 5:
		return socks5(b)
	case b[0] == 1 && a.greeted: // the client's user and password
		if len(b) < 2 || len(b) < 3+int(b[1]) {
			return 0, ""
		}
		n = 3 + int(b[1])
		if n += int(b[n-1]); len(b) < n {
			return 0, ""
		}
		return n, ""
	}
	return -1, ""
}

// socks5 reads a request of SOCKS 5, or an answer, which has the same form.
func socks5(b []byte) (n int, host string) {
	if len(b) < 5 {
		return 0, ""
	}
	from := 4
	switch b[3] {
	case 1:
		n = from + net.IPv4len
	case 4:
		n = from + net.IPv6len
	case 3:
		from++
		n = from + int(b[4])
	default:
		return -1, ""
	}
	if len(b) < n+2 {
		return 0, ""
	}
	host = string(b[from:n])
	if addr, ok := netip.AddrFromSlice(b[from:n]); ok && b[3] != 3 {
		host = addr.String()
	}
	return n + 2, net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(b[n:]))))
}

// socks4 reads a request of SOCKS 4: port, address and the user's name. A request of 4a has an address of 0.0.0.x, and a host
// name at its end.
func socks4(b []byte) (n int, host string) {
	const head = 8
	if len(b) < head {
		return 0, ""
	}
	end := bytes.IndexByte(b[head:], 0)
	if end < 0 {
		return 0, ""
	}
	n = head + end + 1
	host = netip.AddrFrom4([4]byte(b[4:head])).String()
	if b[4] == 0 && b[5] == 0 && b[6] == 0 && b[7] != 0 {
		if end = bytes.IndexByte(b[n:], 0); end < 0 {
			return 0, ""
		}
		host = string(b[n : n+end])
		n += end + 1
	}
	return n, net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(b[2:]))))
}

// socksAnswer reads the answers of a SOCKS server.
type socksAnswer struct {
	sniffer *sniffer
	old     bool    // the protocol is SOCKS 4
	head    []byte  // the answer that is not whole yet
	chosen  bool    // the answer to the request has come
	inner   *alerts // reads what the server sends once the client is connected
}

func (a *socksAnswer) read(p []byte) bool {
	if a.inner != nil {
		return a.inner.read(p)
	}
	a.head = append(a.head, p[:min(len(p), maxSOCKS)]...)
	for {
		n, code := a.message()
		switch {
		case n < 0:
			return false
		case n == 0:
			return true
		}
		a.head = a.head[n:]
		switch {
		case code == 0 && !a.chosen && !a.old: // the answer to the methods, or to the login
			continue
		case code != 0 && (!a.old || code != 90):
			s := a.sniffer
			s.mu.Lock()
			protocol, host := s.protocol, s.host
			s.mu.Unlock()
			s.refused(&AnswerError{Protocol: protocol, Code: strconv.Itoa(code), Host: host})
			return false
		}
		a.sniffer.mu.Lock()
		a.sniffer.talk.connected = true
		a.sniffer.mu.Unlock()
		rest := a.head
		a.head, a.inner = nil, &alerts{sniffer: a.sniffer, by: "server"}
		return a.inner.read(rest)
	}
}

// message returns how long the answer in a.head is (0 while it is not whole, less if it is none of SOCKS), and its code.
func (a *socksAnswer) message() (n, code int) {
	b := a.head
	switch {
	case len(b) == 0:
		return 0, 0
	case a.old:
		if len(b) < 8 {
			return 0, 0
		}
		return 8, int(b[1])
	case len(b) < 2:
		return 0, 0
	case b[0] == 1: // the answer to a login
		return 2, int(b[1])
	case b[0] != 5:
		return -1, 0
	case !a.method(): // the answer to the request
		n, _ = socks5(b)
		a.chosen = n > 0
		return n, int(b[1])
	}
	if b[1] == 0xff {
		return 2, 0xff
	}
	return 2, 0
}

// method reports whether the next answer is to the client's methods, and not to its request, which the client has not sent then.
func (a *socksAnswer) method() bool {
	a.sniffer.mu.Lock()
	defer a.sniffer.mu.Unlock()
	return a.sniffer.host == ""
}
