package tunnel

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxName bounds the name of a destination: an ARN has up to 2,048 characters, and none of these things a longer one.
const maxName = 2048

// ParseNamed reads the forms of --to, a destination by its name behind a local end as -L has it:
//
//	NAME  LOCAL:NAME  ADDRESS:LOCAL:NAME  SOCKET:NAME
//
// NAME may end in :PORT. What begins with digits and a colon begins with a local port, unless all of it is an IPv6 address. The
// forward has no Remote: that is for whoever knows what the name means. Every error is a *FormError.
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

// cutLocal tells the local end of a form from the name: a port, or an address with a port, and a colon.
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
	if port, name, more := strings.Cut(rest, ":"); more && isNumber(port) && isListened(first) {
		return first + ":" + port, name
	}
	return "", form
}

// isListened reports whether s is written as an address to listen on.
func isListened(s string) bool {
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil || isHere(s)
}

// isHere tells the words for addresses of this machine.
func isHere(s string) bool { return s == "localhost" || s == "*" }

// name refuses what no destination can be called.
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
