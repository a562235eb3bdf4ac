package headless

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// javaOptions are the value of JAVA_TOOL_OPTIONS that leads a JVM to a proxy: before, which is the value that was set, and
// properties behind it. No property holds the user of the proxy: a JVM prints this variable, and asks the program for the user.
//
// A later list of exempted hosts replaces an earlier one in a JVM, so ours repeats the hosts of before, unless drop is set.
func javaOptions(before, proxy string, excepted []string, drop bool) string {
	at, err := url.Parse(proxy)
	if err != nil {
		return before
	}
	options := nonEmpty(before)
	if earlier := javaExcepted(before); !drop {
		excepted = slices.Concat(earlier, slices.DeleteFunc(slices.Clone(excepted), func(host string) bool { return slices.Contains(earlier, host) }))
	}
	if at.Scheme == schemeSOCKS {
		// The first of the two lists is for URLs, the second one for sockets, such as those of a database driver.
		hosts := strings.Join(excepted, "|")
		options = append(options, "-DsocksProxyHost="+at.Hostname(), "-DsocksProxyPort="+at.Port(), "-Dhttp.nonProxyHosts="+hosts, "-DsocksNonProxyHosts="+hosts)
		return strings.Join(options, " ")
	}
	for _, scheme := range []string{"http", "https"} {
		options = append(options, fmt.Sprintf("-D%s.proxyHost=%s", scheme, at.Hostname()), fmt.Sprintf("-D%s.proxyPort=%s", scheme, at.Port()))
	}
	return strings.Join(append(options, "-Dhttp.nonProxyHosts="+strings.Join(excepted, "|")), " ")
}

// javaExcepted are the hosts that a JVM's options exempt from its proxies.
func javaExcepted(options string) []string {
	var hosts []string
	for _, word := range javaWords(options) {
		property, list, _ := strings.Cut(word, "=")
		if property == "-Dhttp.nonProxyHosts" || property == "-DsocksNonProxyHosts" {
			hosts = append(hosts, slices.DeleteFunc(strings.Split(list, "|"), func(host string) bool { return host == "" || strings.ContainsAny(host, " \t\r\n\v\f\"'") })...)
		}
	}
	return hosts
}

// javaWords splits options as a JVM does: at white space that is not between quotes, which are dropped ("JAVA_TOOL_OPTIONS" in
// the JVM Tool Interface).
func javaWords(options string) []string {
	var words []string
	var word strings.Builder
	quote, begun := rune(0), false
	for _, r := range options {
		switch {
		case quote == 0 && strings.ContainsRune(" \t\r\n\v\f", r):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
			continue
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		case r == quote:
			quote = 0
		default:
			word.WriteRune(r)
		}
		begun = true
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

// javaHosts are exceptions in the form that a JVM matches: names and addresses in full, or with a star at one end. dropped are
// the entries that have no such form: networks that do not end at a byte, and ports.
func javaHosts(excepted []string) (hosts, dropped []string) {
	for _, entry := range excepted {
		if said := javaHost(entry); said != nil {
			hosts = append(hosts, said...)
		} else {
			dropped = append(dropped, entry)
		}
	}
	return hosts, dropped
}

func javaHost(entry string) []string {
	if network, err := netip.ParsePrefix(entry); err == nil {
		return javaNetwork(network.Masked())
	}
	if a, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		if a.Is6() {
			return []string{"[" + a.String() + "]"}
		}
		return []string{a.String()}
	}
	bare := strings.TrimPrefix(entry, ".")
	switch {
	case strings.ContainsAny(entry, "|:/\\\"' \t\r\n") || bare == "":
		return nil // a port, or nothing that is a host
	case entry == "*", entry == "localhost":
		return []string{entry}
	case bare != entry:
		return []string{"*." + bare}
	}
	return []string{entry, "*." + entry}
}

// javaNetwork is a network in that form; nil unless it ends at a byte.
func javaNetwork(n netip.Prefix) []string {
	switch {
	case n.IsSingleIP():
		return javaHost(n.Addr().String())
	case n.Bits() == 0 && n.Addr().Is4():
		return []string{"*"}
	case !n.Addr().Is4() || n.Bits()%8 != 0:
		return nil
	}
	bytes := strings.Split(n.Addr().String(), ".")[:n.Bits()/8]
	return []string{strings.Join(bytes, ".") + ".*"}
}
