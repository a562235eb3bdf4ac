package front

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"culvert/internal/address"
	"culvert/internal/say"
)

// Limits of a name in bytes, from the DNS (RFC 1035, 2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// host is a host that a client has asked for, in the spelling in which hosts are compared and dialled: a name in small letters
// and in punycode, without a final dot, or an address.
type host struct {
	name string
	addr netip.Addr // the address, where the host is one: IPv4 where possible, and without a zone; invalid for a name
	zone bool       // the address was written with a zone, so that it belongs to a link of this machine
}

// parseHost reads a host in any spelling that clients use; the error says what is wrong with it.
func parseHost(text string) (host, error) {
	if len(text) > 4*maxName { // a character of another script has up to four bytes
		return host{}, fmt.Errorf("a host of %d bytes is no name and no address", len(text))
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(inner, ":") {
			return host{}, fmt.Errorf("the host %q is in brackets and is no IPv6 address", say.Brief(text))
		}
		text = inner
	}
	if strings.Contains(text, ":") {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return host{}, fmt.Errorf("the host %q is no IPv6 address", say.Brief(text))
		}
		return hostOf(addr), nil
	}
	name, err := canonical(text)
	if err != nil {
		return host{}, err
	}
	if addr, ok := address.Parse(name); ok {
		return hostOf(addr), nil
	}
	// A host that ends in a number is an address or none at all: the DNS has no such top level, and some resolvers let numbers
	// overflow.
	last := name[strings.LastIndexByte(name, '.')+1:]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" {
		return host{}, fmt.Errorf("the host %q ends in a number and is no IPv4 address", say.Brief(name))
	}
	return host{name: name}, nil
}

func hostOf(addr netip.Addr) host {
	zone := addr.Zone() != ""
	addr = addr.WithZone("").Unmap()
	return host{name: addr.String(), addr: addr, zone: zone}
}

// local says why nobody may be connected to a host: linkLocal or loopback, as it leads to the connecting machine itself or its
// surroundings. It is empty for other hosts.
func (h host) local() string {
	switch {
	case h.addr.IsValid() && address.LinkLocal(h.addr), h.zone:
		return linkLocal
	case h.addr.IsValid() && address.Loopback(h.addr), !h.addr.IsValid() && address.LoopbackName(h.name):
		return loopback
	}
	return ""
}

// The kinds of hosts to which nobody is connected.
const (
	linkLocal = "link-local"
	loopback  = "loopback"
)

// canonical returns a name in small letters and in punycode, without a final dot.
func canonical(text string) (string, error) {
	name := text
	if strings.ContainsFunc(name, func(r rune) bool { return r > 0x7e }) {
		// As browsers do it (UTS 46), but names of private hosts may have underscores, for instance.
		ascii, err := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule()).ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("the host %q has no form in the DNS", say.Brief(text))
		}
		name = ascii
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	return name, wellFormed(name, "")
}

// wellFormed checks a name in small letters; more are characters that it may have besides those of host names.
func wellFormed(name, more string) error {
	switch {
	case name == "":
		return errors.New("there is no host")
	case len(name) > maxName:
		return fmt.Errorf("a name has at most %d characters, not %d", maxName, len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return fmt.Errorf("the name %q has an empty label", say.Brief(name))
		case len(label) > maxLabel:
			return fmt.Errorf("the label %q is longer than %d characters", say.Brief(label), maxLabel)
		}
		for _, r := range label {
			if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_"+more, r) {
				return fmt.Errorf("the label %q has a character that no name has: %q", say.Brief(label), r)
			}
		}
	}
	return nil
}
