package screen

import (
	"fmt"
	"net"
	"strconv"

	"culvert/internal/say"
	"culvert/tunnel"
)

// What can be copied from a tunnel to any host, whose listener is a proxy whatever servers are behind it, and from one of its
// destinations.

// proxyCopies returns the texts that help to use the proxy; command is the one that opens the tunnel without the screen.
func proxyCopies(r reading, command string) []copyable {
	list := []copyable{{"culvert line", command}}
	if command == "" {
		list = nil
	}
	if path := r.Spec.Socket; path != "" { // only curl takes a unix socket for a proxy
		return append([]copyable{{curlLine, curl(socketProxy(path), "https://HOST/")}, {"socket", path}}, list...)
	}
	at := dialAddress(r).String()
	http := "http://" + at
	return append([]copyable{
		{"exports", proxyExports(http)},
		{curlLine, curl(http, "https://HOST/")},
		{"URL", http},
		{"PAC URL", http + "/proxy.pac"},
		{"SOCKS exports", socksExports(at)},
		{"SOCKS URL", "socks5h://" + at},
	}, append(list, copyable{"address", at})...)
}

func curl(proxy, url string) string { return "curl -x " + say.Word(proxy) + " " + say.Word(url) }

// socketProxy is a SOCKS proxy at a unix socket, as curl names it.
func socketProxy(path string) string { return "socks5h://localhost" + path }

// The ports that need not be named in a URL.
const (
	portHTTP  = 80
	portHTTPS = 443
)

// destinationCopies returns the texts that use a destination through the proxy: first what fits the protocol that it has answered
// in, else its port. Words in capitals are the user's to fill in.
func destinationCopies(r reading, to tunnel.Endpoint, answered tunnel.Protocol) []copyable {
	name := copyable{"destination", hostPort(to)}
	proxy := "http://" + dialAddress(r).String()
	if r.Spec.Socket != "" {
		proxy = socketProxy(r.Spec.Socket)
	}
	web := copyable{curlLine, curl(proxy, urlTo(to, answered))}
	link := copyable{"URL", urlTo(to, answered)}
	switch {
	case problemOf("1:"+bracketed(to.Host)+":1") != "": // a client has asked for something that is no host name, which must not get into a line for a shell
		return []copyable{name}
	case r.Spec.Socket != "":
		return []copyable{web, link, name}
	}
	switch asUsual(to, answered) { //nolint:exhaustive // for the others there is the line for curl
	case tunnel.ProtocolPostgres:
		local := 10_000 + int(to.Port)%50_000
		return []copyable{{"psql line", relay(r, to, local) + " & psql " + say.Word(fmt.Sprintf("host=%s hostaddr=127.0.0.1 port=%d user=USER dbname=DATABASE", to.Host, local))}, name}
	case tunnel.ProtocolMySQL:
		local := 10_000 + int(to.Port)%50_000
		return []copyable{{"mysql line", relay(r, to, local) + fmt.Sprintf(" & mysql --protocol=TCP -h 127.0.0.1 -P %d -u USER -p", local)}, name}
	case tunnel.ProtocolSSH:
		port := ""
		if to.Port != portSSH {
			port = fmt.Sprintf("-p %d ", to.Port)
		}
		return []copyable{{"ssh line", "ssh -o " + say.Word("ProxyCommand=nc -X 5 -x "+dialAddress(r).String()+" %h %p") + " " + port + say.Word("USER@"+to.Host)}, name}
	}
	return []copyable{web, link, name}
}

const portSSH = 22

// commandOf returns the command that opens a tunnel without the screen; empty where the tunnel's holder does not tell all that is
// needed for it.
func (ts *tunnels) commandOf(r *row) string {
	at := r.place
	if r.holder != nil || at == nil {
		return ""
	}
	again := recipe{
		demo: ts.demo, profile: at.profile, region: at.region, target: lasting(r.Spec), forward: forwardOf(r.Spec, r.Local.Port()),
		probe: r.probe, keepAlive: r.Spec.KeepAlive,
	}
	if again.target.AnyContainer {
		again.target.Container = ""
	}
	if at.client != nil && !ts.demo {
		shell := at.client.Shell()
		again.endpoint, again.role, again.document, again.stream = shell.Endpoint, shell.Role, shell.Document, shell.Stream
	}
	return again.command()
}

// copy offers what can be copied from a tunnel.
func (ts *tunnels) copy(r *row) wish {
	if r.Spec.Dynamic != nil {
		return chooseText(proxyCopies(r.reading, ts.commandOf(r)))
	}
	user := r.user
	if r.holder != nil {
		user = ts.proxyUser
	}
	return chooseCopy(r.reading, ts.answered(r), user)
}

// asUsual is the protocol of a destination: the one in which it has answered, else the one that is usual on its port.
func asUsual(to tunnel.Endpoint, answered tunnel.Protocol) tunnel.Protocol {
	if answered != tunnel.ProtocolUnknown && answered != "" {
		return answered
	}
	switch to.Port {
	case 5432:
		return tunnel.ProtocolPostgres
	case 3306:
		return tunnel.ProtocolMySQL
	case portSSH:
		return tunnel.ProtocolSSH
	}
	return tunnel.ProtocolUnknown
}

// urlTo returns the URL of a web server at a destination: with https where the destination has spoken TLS, or where that is usual
// on its port.
func urlTo(to tunnel.Endpoint, answered tunnel.Protocol) string {
	scheme, usual := "http", uint16(portHTTP)
	if answered == tunnel.ProtocolTLS || to.Port == portHTTPS && answered != tunnel.ProtocolHTTP {
		scheme, usual = "https", portHTTPS
	}
	host := hostPort(to)
	if to.Port == usual {
		host = bracketed(to.Host)
	}
	return scheme + "://" + host + "/"
}

// relay returns a command line that listens on a port of this machine, for clients that cannot use a proxy.
func relay(r reading, to tunnel.Endpoint, local int) string {
	proxy := dialAddress(r)
	host, port, _ := net.SplitHostPort(proxy.String())
	return fmt.Sprintf("socat TCP4-LISTEN:%d,bind=127.0.0.1,reuseaddr,fork ", local) +
		say.Word("PROXY:"+bracketed(host)+":"+bracketed(to.Host)+":"+strconv.Itoa(int(to.Port))+",proxyport="+port)
}
