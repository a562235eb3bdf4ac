package headless

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ProxyEnv says which proxy variables a command gets; the zero value are the usual ones.
type ProxyEnv struct {
	Off  bool // none of them
	All  bool // ALL_PROXY too
	Java bool // JAVA_TOOL_OPTIONS too
}

// Place is where a forward listens, as a command is told.
type Place struct {
	Host string // empty for a socket
	Port uint16
	Addr string // host:port, or the path of a socket
	URL  string // of the proxy at the far end; empty when there is none
}

// placeVariables name the places: CULVERT_HOST, CULVERT_PORT and CULVERT_ADDR for the first, with _1, _2, … for each
// when there are several.
func placeVariables(places []Place) []string {
	var set []string
	add := func(p Place, suffix string) {
		if p.Host != "" {
			set = append(set, "CULVERT_HOST"+suffix+"="+p.Host, "CULVERT_PORT"+suffix+"="+strconv.Itoa(int(p.Port)))
		}
		set = append(set, "CULVERT_ADDR"+suffix+"="+p.Addr)
	}
	if len(places) == 0 {
		return nil
	}
	add(places[0], "")
	if len(places) > 1 {
		for i, p := range places {
			add(p, fmt.Sprintf("_%d", i+1))
		}
	}
	return set
}

// firstProxy is the URL of the first place that is a proxy; empty when none is.
func firstProxy(places []Place) string {
	for _, p := range places {
		if p.URL != "" {
			return p.URL
		}
	}
	return ""
}

// direct are reached without a proxy: this machine, and the credentials of EC2 and ECS.
func direct() []string {
	return []string{"localhost", "127.0.0.1", "::1", "169.254.169.254", "169.254.170.2"}
}

// environment is what a command gets: the given one with the places, and the proxy variables if there is a proxy.
func environment(given []string, places []Place, how ProxyEnv, noProxy []string) []string {
	env := slices.DeleteFunc(slices.Clone(given), ofAnotherRun)
	env = append(env, placeVariables(places)...)
	proxy := firstProxy(places)
	if proxy == "" || how.Off {
		return env
	}
	return append(env, proxyVariables(given, proxy, how, noProxy)...)
}

// ofAnotherRun finds what an outer culvert has set: its places are not ours.
func ofAnotherRun(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	for _, ours := range []string{"CULVERT_HOST", "CULVERT_PORT", "CULVERT_ADDR", "CULVERT_PROXY"} {
		if rest, ok := strings.CutPrefix(name, ours); ok {
			if rest == "" {
				return true
			}
			if number, ok := strings.CutPrefix(rest, "_"); ok && strings.Trim(number, "0123456789") == "" {
				return true
			}
		}
	}
	return false
}

// proxyVariables are the settings that lead programs to a proxy, over those of an environment. Always with http://, as
// the connection to the proxy itself is not TLS.
func proxyVariables(given []string, proxy string, how ProxyEnv, noProxy []string) []string {
	var set []string
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "PROXY_SERVER", "CULVERT_PROXY"} {
		set = append(set, name+"="+proxy)
	}
	if how.All {
		set = append(set, "ALL_PROXY="+proxy, "all_proxy="+proxy)
	}
	excepted := exceptions(given, noProxy)
	set = append(set, "NO_PROXY="+strings.Join(excepted, ","), "no_proxy="+strings.Join(excepted, ","), "NODE_USE_ENV_PROXY=1")
	if how.Java {
		set = append(set, "JAVA_TOOL_OPTIONS="+javaOptions(lookup(given, "JAVA_TOOL_OPTIONS"), proxy, excepted))
	}
	return set
}

// ProxyPairs are the variables that lead programs to a proxy, over an empty environment: names and values.
func ProxyPairs(proxy string, how ProxyEnv, noProxy []string) []Pair {
	var pairs []Pair
	for _, variable := range proxyVariables(nil, proxy, how, noProxy) {
		name, value, _ := strings.Cut(variable, "=")
		pairs = append(pairs, Pair{name, value})
	}
	return pairs
}

// exceptions are the hosts that are reached without the proxy: those that were set before, this machine, and the user's.
func exceptions(given, noProxy []string) []string {
	var all []string
	for _, list := range []string{lookup(given, "NO_PROXY"), lookup(given, "no_proxy"), strings.Join(direct(), ","), strings.Join(noProxy, ",")} {
		for host := range strings.SplitSeq(list, ",") {
			host = strings.TrimSpace(host)
			if rest, ok := strings.CutPrefix(host, "*."); ok {
				host = "." + rest // curl does not know the star; everybody knows the dot
			}
			if host != "" && !slices.Contains(all, host) {
				all = append(all, host)
			}
		}
	}
	return all
}

// lookup returns the value that a program would see: the last one of that name.
func lookup(env []string, name string) string {
	for _, variable := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// javaOptions are the properties of a JVM, behind the ones that were set before. Its list of exceptions has bars and
// stars in it.
func javaOptions(before, proxy string, excepted []string) string {
	at, err := netip.ParseAddrPort(strings.TrimPrefix(proxy, "http://"))
	if err != nil {
		return before
	}
	var hosts []string
	for _, host := range excepted {
		bare := strings.TrimPrefix(host, ".")
		if a, err := netip.ParseAddr(host); err == nil {
			if a.Is6() {
				host = "[" + host + "]"
			}
			hosts = append(hosts, host)
			continue
		}
		if !strings.HasPrefix(host, ".") {
			hosts = append(hosts, host)
		}
		if host != "localhost" {
			hosts = append(hosts, "*."+bare)
		}
	}
	options := nonEmpty(before)
	for _, scheme := range []string{"http", "https"} {
		options = append(options, fmt.Sprintf("-D%s.proxyHost=%s", scheme, at.Addr()), fmt.Sprintf("-D%s.proxyPort=%d", scheme, at.Port()))
	}
	return strings.Join(append(options, "-Dhttp.nonProxyHosts="+strings.Join(hosts, "|")), " ")
}
