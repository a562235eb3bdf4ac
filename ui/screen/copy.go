package screen

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"culvert/internal/say"
	"culvert/tunnel"
)

// copyable is a text that can be copied from a tunnel.
type copyable struct{ Name, Text string }

// curlLine is what a line for curl is called.
const curlLine = "curl line"

// copyables returns the texts that help to use a tunnel, the most useful first. They are for the protocol that has answered at
// its far end: a port number only says what should be there. Where no protocol is known there is only the address.
func copyables(r reading, answered tunnel.Protocol) []copyable {
	if r.Spec.Socket != "" {
		return append(socketLines(r.Spec.Socket, answered), copyable{"socket", r.Spec.Socket})
	}
	addr := dialAddress(r)
	texts := lines(addr, answered, r.User)
	if answered == tunnel.ProtocolPostgres && r.Spec.Remote.Host != "" {
		texts = slices.Insert(texts, 1, copyable{"exports", postgresExports(r.Spec.Remote.Host, addr)})
	}
	return append(texts, copyable{"address", addr.String()})
}

// postgresExports have all that is built on libpq meet a database by its true name. AUTHORITIES is a file of the user's: culvert db
// brings its own.
func postgresExports(host string, at netip.AddrPort) string {
	return fmt.Sprintf("export PGHOST=%s PGHOSTADDR=%s PGPORT=%d PGSSLMODE=verify-full PGSSLROOTCERT=AUTHORITIES", say.Word(host), at.Addr(), at.Port())
}

// lines returns command lines and URLs that use a server at an address. Words in capitals are for the user to fill in.
func lines(addr netip.AddrPort, answered tunnel.Protocol, user string) []copyable {
	at, host, port := addr.String(), addr.Addr().String(), addr.Port()
	switch answered {
	case tunnel.ProtocolHTTPConnect:
		proxy := "http://" + asUser(user) + at
		return []copyable{
			{"exports", proxyExports(proxy)},
			{curlLine, "curl -x " + say.Word(proxy) + " https://HOST/"},
			{"URL", proxy},
		}
	case tunnel.ProtocolSOCKS, tunnel.ProtocolSOCKS4:
		at = asUser(user) + at
		return []copyable{
			{"exports", socksExports(at)},
			{curlLine, "curl -x " + say.Word("socks5h://"+at) + " https://HOST/"},
			{"URL", "socks5h://" + at},
		}
	case tunnel.ProtocolHTTP:
		return []copyable{{"URL", "http://" + at + "/"}, {curlLine, "curl " + say.Word("http://"+at+"/")}}
	case tunnel.ProtocolPostgres:
		return []copyable{{"psql line", fmt.Sprintf("psql -h %s -p %d -U USER DATABASE", host, port)}, {"URL", "postgresql://USER@" + at + "/DATABASE"}}
	case tunnel.ProtocolMySQL:
		// Without a protocol, mysql takes "localhost" for a socket.
		return []copyable{{"mysql line", fmt.Sprintf("mysql --protocol=TCP -h %s -P %d -u USER -p", host, port)}, {"URL", "mysql://USER@" + at + "/DATABASE"}}
	case tunnel.ProtocolRedis:
		return []copyable{{"redis-cli line", fmt.Sprintf("redis-cli -h %s -p %d", host, port)}, {"URL", "redis://" + at}}
	case tunnel.ProtocolSSH:
		return []copyable{{"ssh line", fmt.Sprintf("ssh -p %d USER@%s", port, host)}}
	case tunnel.ProtocolMongoDB:
		return []copyable{{"URL", "mongodb://" + at + "/?directConnection=true"}}
	case tunnel.ProtocolAMQP:
		return []copyable{{"URL", "amqp://" + at}}
	case tunnel.ProtocolLDAP:
		return []copyable{{"URL", "ldap://" + at}}
	case tunnel.ProtocolGRPC:
		return []copyable{{"grpcurl line", "grpcurl -plaintext " + say.Word(at) + " list"}}
	case tunnel.ProtocolUnknown, tunnel.ProtocolTLS, tunnel.ProtocolH2C, tunnel.ProtocolMSSQL, tunnel.ProtocolSMTP, tunnel.ProtocolKafka, tunnel.ProtocolRDP:
	}
	return nil
}

// asUser is the login in the URL of a proxy; empty for nobody. PASSWORD stands for the password, which is not for a clipboard.
func asUser(user string) string {
	if user == "" {
		return ""
	}
	return url.User(user).String() + ":PASSWORD@"
}

// shellURL quotes a URL for a shell where a user's name makes that necessary.
func shellURL(value string) string {
	if strings.Contains(value, "@") {
		return say.Word(value)
	}
	return value
}

// socketLines is lines for a server at a unix socket. Exports and curl cannot name a proxy there, nor psql a socket whose
// name is not PostgreSQL's own.
func socketLines(path string, answered tunnel.Protocol) []copyable {
	switch answered { //nolint:exhaustive // clients of the others take no socket at any path
	case tunnel.ProtocolHTTP:
		return []copyable{{curlLine, "curl --unix-socket " + say.Word(path) + " http://localhost/"}}
	case tunnel.ProtocolMySQL:
		return []copyable{{"mysql line", "mysql -S " + say.Word(path) + " -u USER -p"}}
	case tunnel.ProtocolRedis:
		return []copyable{{"redis-cli line", "redis-cli -s " + say.Word(path)}}
	}
	return nil
}

// answered is the protocol that is known to be spoken at a tunnel's far end: by its proof, by its holder, or else by its
// connections; ProtocolHTTPConnect stands for an HTTP proxy.
func (ts *tunnels) answered(r *row) tunnel.Protocol {
	by := ts.proofs[r.tunnel].by
	if r.holder != nil {
		by = r.holder.proof
	}
	switch by {
	case "http-proxy", "url": // the words of the ready event
		return tunnel.ProtocolHTTPConnect
	case "", "none", string(tunnel.ProtocolUnknown), string(tunnel.ProtocolTLS):
	default:
		return tunnel.Protocol(by)
	}
	if r.tunnel == nil {
		return tunnel.ProtocolUnknown
	}
	return spoken(r.tunnel.Connections())
}

// spoken is the protocol of the newest connection that was answered; a proxy, once it has carried a connection, is
// one for the plain requests as well.
func spoken(connections []tunnel.Connection) tunnel.Protocol {
	newest := tunnel.ProtocolUnknown
	for _, c := range connections {
		switch {
		case c.Received == 0, c.Err != nil, c.Protocol == tunnel.ProtocolUnknown, c.Protocol == tunnel.ProtocolTLS, c.Protocol == "":
		case c.Protocol == tunnel.ProtocolHTTPConnect:
			return c.Protocol
		default:
			newest = c.Protocol
		}
	}
	return newest
}

// dialAddress is the address to which a client on this machine connects.
func dialAddress(r reading) netip.AddrPort {
	addr := r.Local
	if addr.Addr().IsUnspecified() {
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if addr.Addr().Is6() {
			loopback = netip.IPv6Loopback()
		}
		addr = netip.AddrPortFrom(loopback, addr.Port())
	}
	return addr
}

// The hosts for which no proxy is used: this machine, and the addresses from which credentials come, those of EKS left out, as a
// line has to fit a box.
const (
	alwaysDirect = "localhost,127.0.0.1,::1,169.254.169.254,169.254.170.2"
	directOnEKS  = "169.254.170.23,fd00:ec2::23"
)

func proxyExports(proxy string) string {
	var b strings.Builder
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "PROXY_SERVER", "CULVERT_PROXY"} {
		fmt.Fprintf(&b, "export %s=%s\n", name, shellURL(proxy))
	}
	exportDirect(&b)
	return b.String()
}

// socksExports are the exports for a SOCKS proxy. HTTP_PROXY and its like would win over ALL_PROXY, so they are unset;
// PROXY_SERVER is for browsers, which do not know socks5h.
func socksExports(at string) string {
	var b strings.Builder
	b.WriteString("unset HTTP_PROXY http_proxy HTTPS_PROXY https_proxy\n")
	for _, name := range []string{"ALL_PROXY", "all_proxy", "CULVERT_PROXY"} {
		fmt.Fprintf(&b, "export %s=%s\n", name, shellURL("socks5h://"+at))
	}
	fmt.Fprintf(&b, "export PROXY_SERVER=%s\n", shellURL("socks5://"+at))
	exportDirect(&b)
	return b.String()
}

func exportDirect(b *strings.Builder) {
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		fmt.Fprintf(b, "export %s=${%s:+$%s,}%s\n", name, name, name, alwaysDirect)
		fmt.Fprintf(b, "export %s=$%s,%s\n", name, name, directOnEKS)
	}
}

// chooseCopy offers what can be copied from a tunnel.
func chooseCopy(r reading, answered tunnel.Protocol, user string) wish {
	r.User = cmp.Or(r.User, user)
	return chooseText(copyables(r, answered))
}

// chooseText offers texts to copy; a single one is copied at once.
func chooseText(list []copyable) wish {
	if len(list) == 1 {
		return copied("the "+list[0].Name, list[0].Text)
	}
	choices := make([]choice, len(list))
	for i, c := range list {
		first, _, _ := strings.Cut(c.Text, "\n")
		choices[i] = choice{c.Name, say.Line(first)}
	}
	return chooseNumbered("copy", choices, func(i int) wish { return copied("the "+list[i].Name, list[i].Text) })
}
