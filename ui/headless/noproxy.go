package headless

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Warning is something that is likely to go wrong, and what to do about it. The zero Warning is none.
type Warning struct{ Problem, Remedy string }

// Exempted warns of a NO_PROXY that leads past a proxy in the VPC: that exempts the host of a URL which was probed through
// it (nil where there is none), or hosts that are usually private. The exceptions are those that ProxyPairs sets.
func Exempted(given []string, how ProxyEnv, noProxy []string, probed *url.URL) Warning {
	remedy := "drop what NO_PROXY holds already with --no-proxy-keep=no, or take the entry out of it"
	if probed != nil {
		if entry := exempts(exceptions(given, how, noProxy), probed); entry != "" {
			switch kept := slices.Contains(inherited(given), entry) && !how.Drop; {
			case slices.Contains(direct(), entry):
				remedy = "have the command ask for it by another name or address: this machine, and the addresses of credentials, are always asked directly"
			case !kept:
				remedy = "take it out of --no-proxy"
			}
			return Warning{Problem: "NO_PROXY has " + entry + ", which exempts " + probed.Hostname() + ": it is asked for directly, not through the tunnel", Remedy: remedy}
		}
	}
	if how.Drop {
		return Warning{}
	}
	private := slices.DeleteFunc(inherited(given), func(entry string) bool { return !isPrivate(entry) })
	if len(private) == 0 {
		return Warning{}
	}
	return Warning{Problem: "NO_PROXY has " + strings.Join(private, ", ") + ": private hosts of that kind are asked for directly, not through the tunnel", Remedy: remedy}
}

// exempts is the first entry that exempts the host of a URL, as curl, Go and Python understand it; empty when none does.
func exempts(excepted []string, u *url.URL) string {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	addr, notAddr := netip.ParseAddr(host)
	for _, entry := range excepted {
		name := strings.ToLower(entry)
		if bare, only, found := cutPort(name); found {
			if only != port {
				continue
			}
			name = bare
		}
		name = strings.TrimSuffix(name, ".")
		network, notNetwork := netip.ParsePrefix(name)
		other, notOther := netip.ParseAddr(strings.Trim(name, "[]"))
		switch {
		case name == "*", notNetwork == nil && notAddr == nil && network.Contains(addr.Unmap()), notOther == nil && notAddr == nil && other.Unmap() == addr.Unmap():
			return entry
		case notAddr == nil, name == "":
		case host == strings.TrimPrefix(name, "."), strings.HasSuffix(host, "."+strings.TrimPrefix(name, ".")):
			return entry
		}
	}
	return ""
}

// cutPort takes the port off an entry that has one.
func cutPort(entry string) (host, port string, found bool) {
	at := strings.LastIndex(entry, ":")
	if at < 0 || strings.Count(entry, ":") > 1 && !strings.Contains(entry, "]:") {
		return entry, "", false
	}
	return entry[:at], entry[at+1:], true
}

// isPrivate reports whether an entry is of hosts that are usually behind the tunnel: everything, AWS's and other private
// zones, private networks. Single addresses, and what culvert itself exempts, are somebody's choice.
func isPrivate(entry string) bool {
	if slices.Contains(direct(), entry) {
		return false
	}
	name, _, _ := cutPort(strings.ToLower(strings.Trim(entry, ".")))
	if network, err := netip.ParsePrefix(name); err == nil {
		return !network.IsSingleIP() && slices.ContainsFunc(privateNetworks(), network.Overlaps)
	}
	return name == "*" || name == "internal" || strings.HasSuffix(name, ".internal") || name == "local" || strings.HasSuffix(name, ".local")
}

// privateNetworks are those of RFC 1918, 6598 and 4193.
func privateNetworks() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Undone warns of exceptions that a JVM cannot be told of.
func Undone(given []string, how ProxyEnv, noProxy []string) Warning {
	if !how.Java {
		return Warning{}
	}
	_, dropped := javaHosts(exceptions(given, how, noProxy))
	if len(dropped) == 0 {
		return Warning{}
	}
	return Warning{
		Problem: "JAVA_TOOL_OPTIONS cannot say " + strings.Join(dropped, ", ") + " of NO_PROXY: a JVM asks the proxy for those",
		Remedy:  "name hosts, or networks that end at a byte, as 10.0.0.0/8 (NO_PROXY, --no-proxy); a JVM knows no ports there",
	}
}
