package tunnel

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// LinkLocalError is a remote host that is not behind the task but the task's own surroundings.
type LinkLocalError struct{ Host string }

func (e *LinkLocalError) Error() string {
	return fmt.Sprintf("remote host %s is link-local: the metadata and the credentials of the task are at such addresses, no host behind it", e.Host)
}

// Remedy says what the way past it means.
func (e *LinkLocalError) Remedy() string {
	return "name another host; or pass --allow-link-local if everybody who can use the tunnel may have what answers there, such as the credentials of the task's role"
}

// LinkLocal reports whether the host is a link-local address (169.254.0.0/16, fe80::/10, or AWS's own fd00:ec2::/32), however
// it is spelled. The agent forwards to all of them but a few: to 169.254.170.2 too, where every process of the task gets the
// credentials of its role (protocol.md, "Documents"). Of a name only the agent knows where it leads.
func (e Endpoint) LinkLocal() bool {
	host := strings.TrimRight(e.Host, ".")
	addr, err := netip.ParseAddr(host)
	if err != nil {
		var ok bool
		if addr, ok = classicAddr(host); !ok {
			return false
		}
	}
	addr = innermost(addr.WithZone(""))
	return addr.IsLinkLocalUnicast() || netip.PrefixFrom(amazonLocal, 32).Contains(addr)
}

// amazonLocal is fd00:ec2::, where AWS has IPv6 addresses for what is link-local in IPv4.
var amazonLocal = netip.AddrFrom16([16]byte{0: 0xfd, 2: 0x0e, 3: 0xc2}) //nolint:gochecknoglobals // a constant

// innermost is the IPv4 address that an IPv6 one stands for, where a network or a system may translate it: mapped,
// compatible and translated ones (RFC 4291, RFC 2765), NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056).
func innermost(addr netip.Addr) netip.Addr {
	if addr = addr.Unmap(); addr.Is4() {
		return addr
	}
	b := addr.As16()
	for prefix, at := range map[string]int{
		"::/96": 12, "::ffff:0:0:0/96": 12, "64:ff9b::/96": 12, "64:ff9b:1::/48": 12, "2002::/16": 2,
	} {
		if netip.MustParsePrefix(prefix).Contains(addr) {
			return netip.AddrFrom4([4]byte(b[at : at+4]))
		}
	}
	return addr
}

// classicAddr reads the spellings of IPv4 that inet_aton(3) knows, as resolvers written in C do: one to four numbers,
// decimal, octal or hexadecimal, of which the last fills what is left. A number that is octal by its zero but has an 8 or
// a 9 is taken as decimal, as some do.
func classicAddr(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var whole uint64
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 0, 32)
		if strings.Contains(part, "_") || strings.HasPrefix(strings.ToLower(part), "0b") || strings.HasPrefix(strings.ToLower(part), "0o") {
			return netip.Addr{}, false // numbers in Go alone
		}
		if err != nil {
			n, err = strconv.ParseUint(part, 10, 32)
		}
		most := uint64(math.MaxUint8)
		if i == len(parts)-1 {
			most = 1<<(8*(5-len(parts))) - 1
		}
		if err != nil || n > most {
			return netip.Addr{}, false
		}
		if i == len(parts)-1 {
			whole |= n
		} else {
			whole |= n << (24 - 8*i)
		}
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(whole))
	return netip.AddrFrom4(b), true
}
