// Package address knows where a host leads that is written as an address, in whatever spelling a resolver takes, and which of
// them lead to no other machine: loopback and link-local ones.
package address

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Parse reads an address in any of its spellings: those of netip.ParseAddr, and those of IPv4 that inet_aton(3) knows, as
// resolvers written in C do. Dots at the end do not count. A zone is kept.
func Parse(host string) (netip.Addr, bool) {
	host = strings.TrimRight(host, ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr, true
	}
	return classic(host)
}

// LinkLocal reports whether an address is of 169.254.0.0/16 or fe80::/10, or one of AWS's own of fd00:ec2::/32, also as one that
// is translated into it, see Innermost.
func LinkLocal(addr netip.Addr) bool { return within(surroundings(), addr) }

// Loopback reports whether an address leads back to the machine that connects to it: loopback, and those of no host, which
// systems take for it, also as one that is translated into it, see Innermost.
func Loopback(addr netip.Addr) bool { return within(itself(), addr) }

// Local are the blocks of what is loopback or link-local.
func Local() []netip.Prefix { return append(itself(), surroundings()...) }

func itself() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("::/127"),
	}
}

func surroundings() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"),
		netip.MustParsePrefix("fd00:ec2::/32"), // where AWS has addresses of IPv6 for what is link-local in IPv4
	}
}

func within(blocks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	inner := Innermost(addr)
	return slices.ContainsFunc(blocks, func(p netip.Prefix) bool { return p.Contains(addr) || p.Contains(inner) })
}

// LoopbackName reports whether a name is one of the machine that looks it up: localhost and what is below it (RFC 6761, 6.3),
// and what the hosts files of systems and containers have beside it.
func LoopbackName(name string) bool {
	name = strings.ToLower(strings.TrimRight(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(LoopbackNames(), name)
}

// LoopbackNames are those in hosts files that do not end in localhost as a label.
func LoopbackNames() []string {
	return []string{
		"localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6",
		"ip6-localhost", "ip6-loopback",
	}
}

// Translation is a prefix of IPv6 whose addresses stand for one of IPv4, which begins at a byte of them.
type Translation struct {
	Prefix netip.Prefix
	At     int
}

// Translations are the prefixes that a network or a system may translate: compatible and translated addresses (RFC 4291,
// RFC 2765), NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056). Mapped ones are IPv4 everywhere.
func Translations() []Translation {
	return []Translation{
		{netip.MustParsePrefix("::/96"), 12}, {netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, {netip.MustParsePrefix("64:ff9b::/96"), 12},
		{netip.MustParsePrefix("64:ff9b:1::/48"), 12}, {netip.MustParsePrefix("2002::/16"), 2},
	}
}

// Innermost is the IPv4 address that an IPv6 one stands for; else the address itself.
func Innermost(addr netip.Addr) netip.Addr {
	if addr = addr.Unmap(); addr.Is4() {
		return addr
	}
	b := addr.As16()
	for _, t := range Translations() {
		if t.Prefix.Contains(addr) {
			return netip.AddrFrom4([4]byte(b[t.At : t.At+4]))
		}
	}
	return addr
}

// classic reads one to four numbers, decimal, octal or hexadecimal, of which the last fills what is left. A number that is
// octal by its zero but has an 8 or a 9 is taken as decimal, as some do.
func classic(s string) (netip.Addr, bool) {
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
