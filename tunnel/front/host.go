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

// Limits of a name, from the DNS (RFC 1035, 2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// host is what a client has asked for, in the one spelling in which it is compared and dialled: a name in small letters and in
// punycode, without a final dot, or an address.
type host struct {
	name string
	addr netip.Addr // when it is one: of IPv4 if it can be, without a zone
	zone bool       // it had a zone, which is a link of one machine
}

// parseHost reads a host as clients spell it; the error says what is wrong with it.
func parseHost(text string) (host, error) {
	if len(text) > 4*maxName { // in letters of other scripts
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
	// What ends in a number is an address or nothing: the DNS has no such top level, and some resolvers let numbers overflow.
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

// local says why a host is none that may be connected to: it leads back to whoever connects, or to what surrounds it. Empty
// when it may.
func (h host) local() string {
	switch {
	case h.addr.IsValid() && address.LinkLocal(h.addr), h.zone:
		return linkLocal
	case h.addr.IsValid() && address.Loopback(h.addr), !h.addr.IsValid() && address.LoopbackName(h.name):
		return loopback
	}
	return ""
}

// The kinds of hosts that nobody is connected to.
const (
	linkLocal = "link-local"
	loopback  = "loopback"
)

// canonical is a name in small letters and in punycode, without a final dot.
func canonical(text string) (string, error) {
	name := text
	if strings.ContainsFunc(name, func(r rune) bool { return r > 0x7e }) {
		// As browsers do (UTS 46), but for what names of private hosts may have, such as underscores.
		ascii, err := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule()).ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("the host %q has no form in the DNS", say.Brief(text))
		}
		name = ascii
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	return name, wellFormed(name, "")
}

// wellFormed looks at every label of a name in small letters; more are characters that it may have beside those of names.
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
