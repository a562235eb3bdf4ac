package headless

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"culvert/tunnel"
	"culvert/tunnel/front"
)

// Warning is something that is likely to go wrong, and what to do about it. The zero Warning is none.
type Warning struct{ Problem, Remedy string }

// Exempted warns of a NO_PROXY that leads past a proxy in the VPC: one that exempts the host of probed, the URL that was
// fetched through the proxy (nil when none was), or hosts that are usually private. The exceptions are those that ProxyPairs
// sets. For a tunnel to any host, to (nil for other tunnels), the hosts that matter are those that --via sends through it: what
// goes directly anyway is not exempted from anything.
func Exempted(given []string, how ProxyEnv, noProxy []string, probed *url.URL, to *tunnel.Dynamic) Warning {
	remedy := "drop what NO_PROXY holds already with --no-proxy-keep=no, or take the entry out of it"
	if probed != nil && goesThrough(to, probed) {
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
	private := slices.DeleteFunc(inherited(given), func(entry string) bool {
		if to != nil && len(to.Via) > 0 {
			return slices.Contains(direct(), entry) || !slices.ContainsFunc(to.Via, func(p front.Pattern) bool { return meets(p, entry) })
		}
		return !isPrivate(entry)
	})
	if len(private) == 0 {
		return Warning{}
	}
	if to != nil && len(to.Via) > 0 {
		return Warning{Problem: "NO_PROXY has " + strings.Join(private, ", ") + ": hosts that --via sends through the tunnel are asked for directly", Remedy: remedy}
	}
	return Warning{Problem: "NO_PROXY has " + strings.Join(private, ", ") + ": private hosts of that kind are asked for directly, not through the tunnel", Remedy: remedy}
}

// goesThrough reports whether a URL is asked for through the task. Through a proxy in the VPC everything is; to is that of a
// tunnel to any host, which has rules.
func goesThrough(to *tunnel.Dynamic, u *url.URL) bool {
	if to == nil {
		return true
	}
	port, err := strconv.ParseUint(portOf(u), 10, 16)
	way, refused := front.NewRules(to.Via, to.Deny).Way(u.Hostname(), uint16(port))
	return err == nil && refused == nil && way == front.Through
}

// meets reports whether an entry of NO_PROXY and a pattern mean some of the same hosts, whatever their ports.
func meets(p front.Pattern, entry string) bool {
	exempt, _, _ := cutPort(strings.ToLower(entry))
	exempt = strings.Trim(exempt, ".[]")
	meant, port, _ := cutPort(p.String())
	meant = strings.Trim(meant, "[]")
	if exempt == "*" || meant == "*" {
		return true
	}
	block, isBlock := network(exempt)
	other, alsoBlock := network(meant)
	if isBlock || alsoBlock {
		return isBlock && alsoBlock && block.Overlaps(other)
	}
	name := strings.TrimPrefix(meant, ".")
	if name == exempt || strings.HasSuffix(name, "."+exempt) {
		return true
	}
	number, err := strconv.ParseUint(cmp.Or(port, "443"), 10, 16)
	rules := front.NewRules([]front.Pattern{p}, nil)
	for _, host := range []string{exempt, "x." + exempt} {
		if way, refused := rules.Way(host, uint16(number)); err == nil && refused == nil && way == front.Through {
			return true
		}
	}
	return false
}

// network parses a block of addresses, or one address.
func network(s string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		return prefix, true
	}
	addr, err := netip.ParseAddr(s)
	return netip.PrefixFrom(addr, addr.BitLen()), err == nil
}

// portOf is the port of a URL, or the usual one of its scheme.
func portOf(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

// exempts is the first entry that exempts the host of a URL, as curl, Go and Python read NO_PROXY; empty when none does.
func exempts(excepted []string, u *url.URL) string {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	port := portOf(u)
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

// isPrivate reports whether an entry means hosts that are usually behind the tunnel: all hosts, private zones of AWS and
// others, private networks. Single addresses, and the hosts that culvert itself exempts, are not meant: somebody chose them.
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

// privateNetworks are the networks of RFC 1918, 6598 and 4193.
func privateNetworks() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Undone warns of exceptions that have no form for a JVM.
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
