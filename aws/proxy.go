package aws

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http/httpproxy"

	"culvert/internal/address"
	"culvert/internal/say"
)

// proxies finds the proxy for a URL, from the environment as it was at the start, and leaves out proxies that are culvert
// itself.
type proxies struct {
	log  *slog.Logger
	find func(*url.URL) (*url.URL, error)
	own  atomic.Pointer[[]netip.AddrPort] // where culvert listens; nil before Own was called
}

func newProxies(log *slog.Logger) *proxies {
	return &proxies{log: log, find: usable(httpproxy.FromEnvironment())}
}

// usable finds proxies as httpproxy does, but with an error for those that cannot be used: httpproxy takes a text that is no
// URL for no proxy, and net/http takes an unknown scheme for http.
func usable(variables *httpproxy.Config) func(*url.URL) (*url.URL, error) {
	find := variables.ProxyFunc()
	some := *variables // with it, as if there were a proxy, a URL that still gets none is exempt from proxies
	some.HTTPProxy, some.HTTPSProxy = "http://proxy.invalid", "http://proxy.invalid"
	exempt := some.ProxyFunc()
	return func(u *url.URL) (*url.URL, error) {
		text := variables.HTTPSProxy
		if u.Scheme == "http" {
			text = variables.HTTPProxy
		}
		proxy, err := find(u)
		switch {
		case err != nil:
			return nil, err //nolint:wrapcheck // forURL explains it
		case proxy == nil && text != "":
			if other, err := exempt(u); other == nil || err != nil {
				return nil, nil //nolint:nilerr // find has no error for the same URL
			}
			return nil, errProxyForm
		case proxy == nil:
			return nil, nil
		case misread(text, proxy):
			return nil, errProxyForm
		case proxySchemes()[proxy.Scheme] == "":
			return nil, fmt.Errorf("%s:// is no proxy that culvert speaks to", say.Brief(proxy.Scheme))
		}
		return proxy, nil
	}
}

// misread reports whether httpproxy has read something else in a text than was meant: in one that is no URL a host named http,
// in one with a # or a / in its password a host named like the user.
func misread(text string, proxy *url.URL) bool {
	_, err := url.Parse(text)
	return err != nil && strings.Contains(text, "://") || strings.Contains(text, "@") && proxy.User == nil || proxy.Hostname() == ""
}

// errProxyForm does not repeat the text that is wrong, as there may be a password in it.
var errProxyForm = errors.New("what the environment says is no URL")

// Own says on which addresses culvert listens now, in place of those of the last call. They are never used as a proxy, whatever
// HTTPS_PROXY says. Nobody may change the slice afterwards.
func (c *Client) Own(listeners []netip.AddrPort) { c.proxies.own.Store(&listeners) }

// Proxy is the proxy for a request, from HTTPS_PROXY and NO_PROXY, but never one of culvert's own listeners. It takes ws and
// wss URLs as well.
func (c *Client) Proxy(r *http.Request) (*url.URL, error) { return c.proxies.forURL(r.URL) }

func (p *proxies) forURL(u *url.URL) (*url.URL, error) {
	u = webURL(u)
	proxy, err := p.find(u)
	if err != nil {
		return nil, &ProxyURLError{Host: u.Host, Err: err}
	}
	if proxy == nil {
		return nil, nil //nolint:nilnil // http.Transport.Proxy says no proxy like this
	}
	if p.ours(proxy) {
		p.log.Debug("proxy from the environment is our own listener: ignored", "proxy", proxy.Host)
		return nil, nil //nolint:nilnil // as above
	}
	return proxy, nil
}

// webURL gives a websocket URL the scheme by which the proxy variables are chosen.
func webURL(u *url.URL) *url.URL {
	scheme := map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	if scheme == "" {
		return u
	}
	web := *u
	web.Scheme = scheme
	return &web
}

// ours reports whether a proxy's URL leads to one of culvert's listeners, however its host is written.
func (p *proxies) ours(proxy *url.URL) bool {
	port, ok := proxyPort(proxy)
	own := p.own.Load()
	if !ok || own == nil {
		return false
	}
	for _, a := range *own {
		if a.Port() == port && sameHost(a.Addr().Unmap(), proxy.Hostname()) {
			return true
		}
	}
	return false
}

func proxyPort(proxy *url.URL) (uint16, bool) {
	_, text, _ := net.SplitHostPort(proxyAddress(proxy))
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil
}

// sameHost reports whether a connection to host may end at a listener on own.
func sameHost(own netip.Addr, host string) bool {
	if address.LoopbackName(host) {
		return own.IsLoopback() || own.IsUnspecified()
	}
	to, ok := address.Parse(host)
	if !ok {
		return false
	}
	to = to.WithZone("").Unmap()
	switch {
	case to == own:
		return true
	case to.IsLoopback(), to.IsUnspecified(): // 0.0.0.0 and :: connect to this machine
		return own.IsLoopback() || own.IsUnspecified()
	case own.IsUnspecified():
		return isLocal(to)
	}
	return false
}

// isLocal reports whether an address is one of this machine's.
func isLocal(a netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, local := range addrs {
		if prefix, err := netip.ParsePrefix(local.String()); err == nil && prefix.Addr().Unmap() == a {
			return true
		}
	}
	return false
}
