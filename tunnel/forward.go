package tunnel

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"culvert/aws"
	"culvert/tunnel/front"
)

// Forward is a Spec as a user writes it: without the target, which is named on its own.
type Forward struct {
	Remote Endpoint
	Local  netip.AddrPort
	Socket string
	Any    bool // the local port was written as 0
	// To is the name of a destination, in a forward of ParseNamed. Remote is empty until that name has been looked up.
	To string
	// Dynamic is set for a tunnel to any host, which has no Remote; ParseDynamic sets one without patterns.
	Dynamic *Dynamic
}

// Limits of host names, in bytes.
const (
	maxHost  = 253 // of the whole name without the final dot (RFC 1035 2.3.4)
	maxLabel = 63  // of each part between dots
)

// ParseForward reads the forms of -L:
//
//	REMOTE  LOCAL:REMOTE  ADDRESS:LOCAL:REMOTE  LOCAL:HOST:REMOTE  ADDRESS:LOCAL:HOST:REMOTE
//	SOCKET:REMOTE  SOCKET:HOST:REMOTE
//
// IPv6 addresses stand in brackets; a SOCKET begins with "/", "./", "../" or a drive letter. A local port of 0, or none,
// leaves the choice to the engine. Every error is a *FormError.
func ParseForward(form string) (Forward, error) {
	p := formParser{form: form}
	if err := p.text(); err != nil {
		return Forward{}, err
	}
	if path, rest, isSocket := cutSocket(form); isSocket {
		return p.socket(path, rest)
	}
	parts, err := p.split(form)
	if err != nil {
		return Forward{}, err
	}
	return p.ports(parts)
}

// ParseDynamic reads the forms of -D, which are those of ssh:
//
//	LOCAL  ADDRESS:LOCAL  SOCKET
//
// with addresses, SOCKET and a LOCAL of 0 as in ParseForward. Every error is a *FormError.
func ParseDynamic(form string) (Forward, error) {
	p := formParser{form: form, dynamic: true}
	f := Forward{Dynamic: &Dynamic{}}
	path, rest, isSocket := cutSocket(form)
	if err := p.text(); err != nil {
		return Forward{}, err
	}
	if isSocket {
		if path != form {
			return Forward{}, p.problem("%q stands behind the socket path, where nothing may", ":"+rest)
		}
		f.Socket = path
		return f, p.socketPath(path)
	}
	parts, err := p.split(form)
	if err != nil {
		return Forward{}, err
	}
	addr, isAddress, err := p.address(parts[0])
	switch {
	case err != nil:
		return Forward{}, err
	case isAddress && len(parts) == 1:
		return Forward{}, p.problem("the local port is missing")
	case isAddress:
		parts = parts[1:]
	}
	if len(parts) > 1 {
		return Forward{}, p.problem("too many parts: the clients name the hosts, so that there is no remote end")
	}
	port, err := p.port("local", parts[0], 0)
	if err != nil {
		return Forward{}, err
	}
	f.Local, f.Any = netip.AddrPortFrom(addr, port), port == 0
	return f, nil
}

// Same reports whether two forwards are the same in every field.
func (f Forward) Same(other Forward) bool {
	return f.Remote == other.Remote && f.Local == other.Local && f.Socket == other.Socket && f.Any == other.Any && f.To == other.To && f.Dynamic.Same(other.Dynamic)
}

// Same reports whether d and other are the same in every field, or both nil.
func (d *Dynamic) Same(other *Dynamic) bool {
	if d == nil || other == nil {
		return d == other
	}
	alike := func(a, b []front.Pattern) bool {
		return slices.EqualFunc(a, b, func(a, b front.Pattern) bool { return a.String() == b.String() })
	}
	return alike(d.Via, other.Via) && alike(d.Deny, other.Deny) && d.Destinations == other.Destinations && d.Wait == other.Wait &&
		slices.Equal(d.Warm, other.Warm)
}

// Spec returns the forward as the Spec of a tunnel to a target.
func (f Forward) Spec(t aws.Target) Spec {
	return Spec{Target: t, Remote: f.Remote, Local: f.Local, Socket: f.Socket, AnyPort: f.Any, To: f.To, Dynamic: f.Dynamic}
}

// String returns a form that ParseForward reads back, or ParseNamed when the forward is to a name, or ParseDynamic when it is
// dynamic; the patterns and numbers of a dynamic one have no form.
func (f Forward) String() string {
	anywhere := f.Local == netip.AddrPort{} && !f.Any && f.Socket == ""
	switch {
	case f.Dynamic != nil:
		return f.listens()
	case f.To != "" && anywhere:
		return f.To
	case f.To != "":
		return f.listens() + ":" + f.To
	}
	remote := Endpoint{Port: f.Remote.Port}.String()
	if host := f.Remote.Host; strings.Contains(host, ":") {
		remote = "[" + host + "]:" + remote
	} else if host != "" {
		remote = host + ":" + remote
	}
	if anywhere && f.Remote.Host == "" {
		return remote
	}
	return f.listens() + ":" + remote
}

// listens returns the local end of the form.
func (f Forward) listens() string {
	switch local := strconv.Itoa(int(f.Local.Port())); {
	case f.Socket != "":
		return f.Socket
	case !f.Local.Addr().IsValid():
		return local
	case f.Local.Addr().Is6():
		return "[" + f.Local.Addr().String() + "]:" + local
	default:
		return f.Local.Addr().String() + ":" + local
	}
}

// formParser holds the whole form, so that every error can quote it.
type formParser struct {
	form    string
	dynamic bool // the form was given to -D
	named   bool // the form was given to --to
}

func (p formParser) problem(format string, args ...any) error {
	return &FormError{Form: p.form, Problem: fmt.Sprintf(format, args...), Dynamic: p.dynamic, Named: p.named}
}

// text refuses text that no form has: none at all, blanks and control characters.
func (p formParser) text() error {
	switch {
	case p.form == "":
		return p.problem("it is empty")
	case strings.ContainsFunc(p.form, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return p.problem("it contains a blank or a control character")
	}
	return nil
}

// cutSocket cuts a form that begins with a path at the first colon behind that path; ok reports whether it begins with one.
func cutSocket(form string) (path, rest string, ok bool) {
	drive := len(form) > 2 && form[1] == ':' && (form[2] == '\\' || form[2] == '/') && (form[0]|0x20) >= 'a' && (form[0]|0x20) <= 'z'
	switch {
	case drive:
		path, rest, _ = strings.Cut(form[2:], ":")
		return form[:2] + path, rest, true
	case strings.HasPrefix(form, "/"), strings.HasPrefix(form, "./"), strings.HasPrefix(form, "../"):
		path, rest, _ = strings.Cut(form, ":")
		return path, rest, true
	}
	return "", "", false
}

func (p formParser) socket(path, rest string) (Forward, error) {
	if rest == "" {
		return Forward{}, p.problem("no remote port behind the socket path")
	}
	if err := p.socketPath(path); err != nil {
		return Forward{}, err
	}
	parts, err := p.split(rest)
	if err != nil {
		return Forward{}, err
	}
	if len(parts) > 2 {
		return Forward{}, p.problem("more behind the socket path than HOST:REMOTE")
	}
	remote, err := p.remote(parts)
	if err != nil {
		return Forward{}, err
	}
	return Forward{Socket: path, Remote: remote}, nil
}

// socketPath refuses a path that no socket can have.
func (p formParser) socketPath(path string) error {
	switch {
	case strings.HasSuffix(path, "/"):
		return p.problem("%q is a directory, not a socket path", path)
	case len(path) > mostSocketPath:
		return p.problem("the socket path has %d bytes, this system takes %d", len(path), mostSocketPath)
	}
	return nil
}

// ports reads the parts of a form that has no socket path.
func (p formParser) ports(parts []string) (Forward, error) {
	if len(parts) == 1 {
		remote, err := p.remote(parts)
		return Forward{Remote: remote}, err
	}
	var f Forward
	var addr netip.Addr
	if a, isAddress, err := p.address(parts[0]); err != nil {
		return Forward{}, err
	} else if isAddress {
		addr, parts = a, parts[1:]
		if len(parts) == 1 {
			return Forward{}, p.problem("an address needs two ports behind it, the local and the remote one")
		}
	}
	if len(parts) > 3 {
		return Forward{}, p.problem("too many parts")
	}
	port, err := p.port("local", parts[0], 0)
	if err != nil {
		return Forward{}, err
	}
	f.Local, f.Any = netip.AddrPortFrom(addr, port), port == 0
	f.Remote, err = p.remote(parts[1:])
	if err != nil {
		return Forward{}, err
	}
	return f, nil
}

// address reads an address to listen on. Where a form begins with something that is neither an address nor a port, the
// error names it, as people write host names there.
func (p formParser) address(s string) (addr netip.Addr, ok bool, err error) {
	if isNumber(s) {
		return netip.Addr{}, false, nil
	}
	switch s {
	case "localhost":
		return netip.Addr{}, true, nil // both loopback addresses, as without an address
	case "*":
		return netip.IPv4Unspecified(), true, nil // ssh has the same word
	}
	addr, err = netip.ParseAddr(strings.Trim(s, "[]"))
	switch {
	case err != nil:
		return netip.Addr{}, false, p.problem("%q is neither a local port nor an IP address to listen on", s)
	case addr.Zone() != "":
		return netip.Addr{}, false, p.problem("an address with a zone (%q) cannot be listened on", s)
	}
	return addr.Unmap(), true, nil
}

// remote reads REMOTE or HOST:REMOTE.
func (p formParser) remote(parts []string) (Endpoint, error) {
	port, err := p.port("remote", parts[len(parts)-1], 1)
	if err != nil || len(parts) == 1 {
		return Endpoint{Port: port}, err
	}
	host := parts[0]
	if strings.HasPrefix(host, "[") {
		addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil || addr.Zone() != "" {
			return Endpoint{}, p.problem("%q is not an IPv6 address", host)
		}
		return Endpoint{Host: addr.String(), Port: port}, nil
	}
	if err := checkHost(host); err != "" {
		return Endpoint{}, p.problem("remote host %q %s", host, err)
	}
	return Endpoint{Host: host, Port: port}, nil
}

func (p formParser) port(which, s string, least int) (uint16, error) {
	if s == "" {
		return 0, p.problem("the %s port is missing", which)
	}
	if !isNumber(s) {
		return 0, p.problem("the %s port %q is not a number", which, s)
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || int(n) < least {
		return 0, p.problem("the %s port %s is not in %d–65535", which, s, least)
	}
	return uint16(n), nil
}

// last says which port stands at the end of a form.
func (p formParser) last() string {
	if p.dynamic {
		return "local"
	}
	return "remote"
}

// split cuts at colons outside brackets.
func (p formParser) split(s string) ([]string, error) {
	var parts []string
	for {
		if strings.HasPrefix(s, "[") {
			end := strings.IndexByte(s, ']')
			switch {
			case end < 0:
				return nil, p.problem("a bracket is not closed")
			case end+1 == len(s):
				return nil, p.problem("the %s port is missing", p.last())
			case s[end+1] != ':':
				return nil, p.problem("%q must be followed by a colon", s[:end+1])
			}
			parts, s = append(parts, s[:end+1]), s[end+2:]
			continue
		}
		part, rest, more := strings.Cut(s, ":")
		parts = append(parts, part)
		if !more {
			return parts, nil
		}
		s = rest
	}
}

// checkHost says what is wrong with a host name; empty when nothing is.
func checkHost(host string) string {
	name := strings.TrimSuffix(host, ".")
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxHost:
		return fmt.Sprintf("has more than %d characters", maxHost)
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return "has an empty label"
		case len(label) > maxLabel:
			return fmt.Sprintf("has a label of more than %d characters", maxLabel)
		case label[0] == '-' || label[len(label)-1] == '-':
			return "has a label that begins or ends with a hyphen"
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return fmt.Sprintf("contains %q", c)
			}
		}
	}
	return ""
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
