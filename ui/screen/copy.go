package screen

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"culvert/internal/say"
	"culvert/tunnel"
)

// copyable is a text that can be copied from a tunnel.
type copyable struct{ Name, Text string }

// copyables are the texts that help to use a tunnel: its address, the exports of a proxy, a curl line.
func copyables(r reading) []copyable {
	address := dialAddress(r)
	list := []copyable{{Name: "address", Text: address}}
	switch {
	case r.Spec.Socket != "":
		return append(list, copyable{Name: "curl", Text: "curl --unix-socket " + say.Word(address) + " http://localhost/"})
	case proxyLike(r.Spec.Remote):
		return append(list,
			copyable{Name: "exports", Text: proxyExports("http://" + address)},
			copyable{Name: "curl", Text: "curl -x http://" + address + " https://HOST/"})
	}
	return append(list, copyable{Name: "curl", Text: "curl http://" + address + "/"})
}

// dialAddress is what a client on this machine connects to.
func dialAddress(r reading) string {
	if r.Spec.Socket != "" {
		return r.Spec.Socket
	}
	addr := r.Local
	if addr.Addr().IsUnspecified() {
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if addr.Addr().Is6() {
			loopback = netip.IPv6Loopback()
		}
		addr = netip.AddrPortFrom(loopback, addr.Port())
	}
	return addr.String()
}

// proxyLike reports whether an HTTP proxy is expected at a remote port: Squid's, and the usual other two.
func proxyLike(e tunnel.Endpoint) bool {
	return slices.Contains([]uint16{3128, 8080, 8888}, e.Port)
}

// alwaysDirect are the hosts that no proxy is asked for: this machine and the metadata addresses of AWS.
const alwaysDirect = "localhost,127.0.0.1,::1,169.254.169.254,169.254.170.2"

func proxyExports(url string) string {
	var b strings.Builder
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "PROXY_SERVER", "CULVERT_PROXY"} {
		fmt.Fprintf(&b, "export %s=%s\n", name, url)
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		fmt.Fprintf(&b, "export %s=${%s:+$%s,}%s\n", name, name, name, alwaysDirect)
	}
	return b.String()
}

// chooseCopy offers what can be copied from a tunnel.
func chooseCopy(r reading) wish {
	texts := map[string]string{}
	var choices []choice
	for _, c := range copyables(r) {
		texts[c.Name] = c.Text
		first, _, _ := strings.Cut(c.Text, "\n")
		choices = append(choices, choice{name: c.Name, about: say.Line(first)})
	}
	return choose("copy", choices, func(name string) wish {
		return copied("the "+strings.Replace(name, "curl", "curl line", 1), texts[name])
	})
}
