package tunnel

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxName bounds the name of a destination, in characters: an ARN may have 2,048, and other names are shorter.
const maxName = 2048

// ParseNamed reads the forms of --to: the name of a destination, behind a local end as in the forms of -L:
//
//	NAME  LOCAL:NAME  ADDRESS:LOCAL:NAME  SOCKET:NAME
//
// NAME may end in :PORT. A form that begins with digits and a colon begins with a local port, unless all of it is an IPv6
// address. The forward has no Remote, which the caller sets when it has looked the name up. Every error is a *FormError.
func ParseNamed(form string) (Forward, error) {
	p := formParser{form: form, named: true}
	if err := p.text(); err != nil {
		return Forward{}, err
	}
	if path, rest, isSocket := cutSocket(form); isSocket {
		if err := p.socketPath(path); err != nil {
			return Forward{}, err
		}
		name, err := p.name(rest)
		return Forward{Socket: path, To: name}, err
	}
	var f Forward
	local, name := cutLocal(form)
	if local != "" {
		var addr netip.Addr
		if at := strings.LastIndexByte(local, ':'); at >= 0 {
			var err error
			if addr, _, err = p.address(local[:at]); err != nil {
				return Forward{}, err
			}
			local = local[at+1:]
		}
		port, err := p.port("local", local, 0)
		if err != nil {
			return Forward{}, err
		}
		f.Local, f.Any = netip.AddrPortFrom(addr, port), port == 0
	}
	name, err := p.name(name)
	f.To = name
	return f, err
}

// cutLocal cuts the local end of a form, a port or an address with a port, from the name behind it; local is empty where a form
// has none.
func cutLocal(form string) (local, name string) {
	if _, err := netip.ParseAddr(form); err == nil {
		return "", form
	}
	first, rest, more := strings.Cut(form, ":")
	if end := strings.IndexByte(form, ']'); strings.HasPrefix(form, "[") && strings.HasPrefix(form[end+1:], ":") {
		first, rest, more = form[:end+1], form[end+2:], true
	}
	if !more {
		return "", form
	}
	if isNumber(first) {
		return first, rest
	}
	if port, name, more := strings.Cut(rest, ":"); more && isListened(first) {
		return first + ":" + port, name
	}
	return "", form
}

// isListened reports whether s is written as an address to listen on.
func isListened(s string) bool {
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil || isHere(s)
}

// isHere reports whether s is one of the words that stand for addresses of this machine.
func isHere(s string) bool { return s == "localhost" || s == "*" }

// name returns the name of a destination, an IP address in its usual spelling, and refuses what can be no name.
func (p formParser) name(name string) (string, error) {
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return addr.Unmap().String(), nil
	}
	host, port, err := net.SplitHostPort(name)
	switch {
	case strings.HasPrefix(name, "arn:"), !strings.Contains(name, ":"):
		host, port = name, "1"
	case err != nil:
		return "", p.problem("%q is no name, nor a name and a port", name)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", p.problem("the port %q of %q is not in 1–65535", port, host)
	}
	switch {
	case host == "":
		return "", p.problem("the name is missing")
	case isHere(host):
		return "", p.problem("%q is this machine: a local port and a name are to stand behind it", host)
	case len(name) > maxName:
		return "", p.problem("the name has more than %d characters", maxName)
	}
	return name, nil
}
