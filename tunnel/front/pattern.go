package front

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"culvert/internal/address"
	"culvert/internal/say"
)

// maxPattern bounds the length of a form, in bytes.
const maxPattern = 512

// Pattern is one form of --via and --deny:
//
//	*.internal  .corp.example  db?.example:5432  10.0.0.0/8  [fd00::/8]:443
//
// Names are compared without regard to capitals and a final dot, names in other scripts as punycode. * stands for any number of
// characters, dots included, and ? for one; a dot in front means the name itself and all names below it. Addresses and blocks of
// addresses match only hosts that are asked for as addresses: no name is looked up. Without a port a pattern means all ports.
type Pattern struct {
	glob   string       // of a pattern for names; empty for addresses
	below  bool         // the pattern also means all names below glob
	prefix netip.Prefix // of a pattern for addresses; invalid for names
	port   uint16       // 0 is any port
}

// PatternError is a pattern that cannot be read.
type PatternError struct{ Form, Problem string }

func (e *PatternError) Error() string {
	return fmt.Sprintf("pattern %q: %s", say.Brief(e.Form), e.Problem)
}

// Remedy says how a pattern is written.
func (e *PatternError) Remedy() string {
	return "write *.internal, .corp.example (that and all below it), db.example:5432, 10.0.0.0/8 or [fd00::/8]:443; a wildcard in a shell in quotes"
}

// ParsePattern reads a pattern. Every error is a *PatternError, which says what is wrong with which part.
func ParsePattern(form string) (Pattern, error) {
	p, err := readPattern(form)
	if err != nil {
		return Pattern{}, &PatternError{Form: form, Problem: err.Error()}
	}
	return p, nil
}

func readPattern(form string) (Pattern, error) {
	switch {
	case form == "":
		return Pattern{}, errors.New("it is empty")
	case len(form) > maxPattern:
		return Pattern{}, fmt.Errorf("it has %d bytes, %d are enough", len(form), maxPattern)
	case strings.ContainsAny(form, " \t\r\n,;"):
		return Pattern{}, errors.New("one pattern has neither blanks nor commas: give the flag once for each")
	case strings.Contains(form, "://"):
		return Pattern{}, errors.New("a pattern is a host, not a URL: leave out the scheme and the path")
	case strings.Contains(form, "@"):
		return Pattern{}, errors.New("a pattern has no user")
	}
	what, port, err := cutPort(form)
	if err != nil {
		return Pattern{}, err
	}
	p := Pattern{port: port}
	if base, bits, ok := strings.Cut(what, "/"); ok {
		p.prefix, err = parsePrefix(base, bits)
		return p, err
	}
	if addr, ok := address.Parse(what); ok || strings.Contains(what, ":") {
		p.prefix, err = single(what, addr)
		return p, err
	}
	p.glob, p.below, err = parseGlob(what)
	return p, err
}

// cutPort cuts the port off a form; 0 is none. In an IPv6 address without brackets all colons belong to the address, unless the
// address is a block: after its length a colon begins the port.
func cutPort(form string) (what string, port uint16, err error) {
	what, text, found := form, "", false
	switch i := strings.LastIndexByte(form, ':'); {
	case strings.HasPrefix(form, "["):
		inner, after, closed := strings.Cut(form[1:], "]")
		if !closed {
			return "", 0, errors.New("the bracket is not closed")
		}
		if bits, ok := strings.CutPrefix(after, "/"); ok { // [fd00::]/8:443
			bits, rest, more := strings.Cut(bits, ":")
			inner, after = inner+"/"+bits, ""
			if more {
				after = ":" + rest
			}
		}
		what = inner
		if !strings.Contains(what, ":") {
			return "", 0, fmt.Errorf("%q in brackets is no IPv6 address", say.Brief(what))
		}
		if text, found = strings.CutPrefix(after, ":"); !found && after != "" {
			return "", 0, fmt.Errorf("after the bracket comes a port or nothing, not %q", say.Brief(after))
		}
	case i >= 0 && (strings.Count(form, ":") == 1 || strings.LastIndexByte(form, '/') > 0 && i > strings.LastIndexByte(form, '/')):
		what, text, found = form[:i], form[i+1:], true
	}
	if !found {
		return what, 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || strings.Trim(text, "0123456789") != "" {
		return "", 0, fmt.Errorf("the port %q is no number from 1 to 65535", say.Brief(text))
	}
	if what == "" {
		return "", 0, errors.New("there is no host before the port: * is any")
	}
	return what, uint16(n), nil
}

func parsePrefix(base, bits string) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(base)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q before the slash is no address", say.Brief(base))
	}
	n, err := strconv.ParseUint(bits, 10, 8)
	if err != nil || int(n) > addr.BitLen() || strings.Trim(bits, "0123456789") != "" {
		return netip.Prefix{}, fmt.Errorf("the length %q is no number from 0 to %d", say.Brief(bits), addr.BitLen())
	}
	if addr.Is4In6() && n >= 96 {
		addr, n = addr.Unmap(), n-96
	}
	return netip.PrefixFrom(addr, int(n)).Masked(), nil
}

// single returns the block of a single address. In a pattern an address has to be written in full: 10.1 would be 10.0.0.1 to a
// resolver, but people would mean 10.1.0.0/16.
func single(what string, addr netip.Addr) (netip.Prefix, error) {
	strict, err := netip.ParseAddr(strings.TrimSuffix(what, "."))
	switch {
	case !addr.IsValid():
		return netip.Prefix{}, fmt.Errorf("%q is no IPv6 address", say.Brief(what))
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is no address in full: write %s, or the block that is meant, such as 10.1.0.0/16", say.Brief(what), addr)
	case addr.Zone() != "":
		return netip.Prefix{}, fmt.Errorf("an address with the zone %q is of one machine", say.Brief(addr.Zone()))
	}
	strict = strict.Unmap()
	return netip.PrefixFrom(strict, strict.BitLen()), nil
}

// parseGlob reads a name with wildcards.
func parseGlob(what string) (glob string, below bool, err error) {
	glob, below = strings.CutPrefix(what, ".")
	labels := strings.Split(strings.TrimSuffix(glob, "."), ".")
	for i, label := range labels {
		plain := !strings.ContainsFunc(label, func(r rune) bool { return r > 0x7e })
		switch {
		case plain:
			labels[i] = strings.ToLower(label)
		case strings.ContainsAny(label, "*?"):
			return "", false, fmt.Errorf("the label %q has a wildcard and letters that the DNS writes as punycode: write it as xn--… or without the wildcard", say.Brief(label))
		default:
			if labels[i], err = canonical(label); err != nil {
				return "", false, err
			}
		}
	}
	glob = strings.Join(labels, ".")
	for strings.Contains(glob, "**") {
		glob = strings.ReplaceAll(glob, "**", "*")
	}
	if strings.Contains(glob, "[") || strings.Contains(glob, "]") {
		return "", false, errors.New("sets of characters in brackets are not known: * and ? are")
	}
	if err := wellFormed(glob, "*?"); err != nil {
		return "", false, err
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return "", false, fmt.Errorf("%q ends in a number and is no IPv4 address", say.Brief(what))
	}
	return glob, below, nil
}

// String returns a form that ParsePattern reads back.
func (p Pattern) String() string {
	if !p.prefix.IsValid() {
		text := p.glob
		if p.below {
			text = "." + text
		}
		if p.port != 0 {
			text += ":" + strconv.Itoa(int(p.port))
		}
		return text
	}
	text := p.prefix.String()
	if p.prefix.IsSingleIP() {
		text = p.prefix.Addr().String()
	}
	if p.port == 0 {
		return text
	}
	if p.prefix.Addr().Is6() {
		text = "[" + text + "]"
	}
	return text + ":" + strconv.Itoa(int(p.port))
}

// matches reports whether the pattern means a host and port.
func (p Pattern) matches(h host, port uint16) bool {
	switch {
	case p.port != 0 && p.port != port:
		return false
	case p.prefix.IsValid():
		return h.addr.IsValid() && (p.prefix.Contains(h.addr) || p.prefix.Contains(address.Innermost(h.addr)))
	case h.addr.Is6(): // an IPv6 address is no name, but * means every host
		return p.glob == "*"
	}
	return globbed(p.glob, h.name) || p.below && globbed("*."+p.glob, h.name)
}

// globbed reports whether a text matches a glob. Its time is at most proportional to the product of their lengths.
func globbed(glob, text string) bool {
	g, t, star, from := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, from = g, t
			g++
		case g < len(glob) && (glob[g] == '?' || glob[g] == text[t]):
			g++
			t++
		case star >= 0: // let the last star stand for one more character
			from++
			g, t = star+1, from
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}
