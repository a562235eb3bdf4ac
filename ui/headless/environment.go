package headless

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"culvert/tunnel/doctor"
	"culvert/ui/control"
)

// ProxyEnv says which proxy variables a command gets; the zero value stands for the usual ones.
type ProxyEnv struct {
	Off  bool   // none of them
	All  bool   // ALL_PROXY too
	Java bool   // JAVA_TOOL_OPTIONS too
	Said string // what the user asked for, as on the command line; empty when the user asked for nothing
	Drop bool   // hosts that NO_PROXY has already are not kept
}

// Listener is the local address of a forward, as the command is told it.
type Listener struct {
	Host string // empty for a socket
	Port uint16
	Addr string // host:port, or the path of a socket
	URL  string // of the proxy at the far end; empty when there is none
}

// listenerVariables name the listeners: CULVERT_HOST, CULVERT_PORT and CULVERT_ADDR for the first, with _1, _2, … for each
// when there are several.
func listenerVariables(listeners []Listener) []string {
	var set []string
	add := func(p Listener, suffix string) {
		if p.Host != "" {
			set = append(set, "CULVERT_HOST"+suffix+"="+p.Host, "CULVERT_PORT"+suffix+"="+strconv.Itoa(int(p.Port)))
		}
		set = append(set, "CULVERT_ADDR"+suffix+"="+p.Addr)
	}
	if len(listeners) == 0 {
		return nil
	}
	add(listeners[0], "")
	if len(listeners) > 1 {
		for i, p := range listeners {
			add(p, fmt.Sprintf("_%d", i+1))
		}
	}
	return set
}

// firstProxy is the URL of the first listener that is a proxy; empty when none is.
func firstProxy(listeners []Listener) string {
	for _, p := range listeners {
		if p.URL != "" {
			return p.URL
		}
	}
	return ""
}

// direct are the hosts that are reached without a proxy: this machine, and those that give credentials on EC2, ECS and EKS (Pod
// Identity).
func direct() []string {
	return []string{"localhost", "127.0.0.1", "::1", "169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"}
}

// environment is the environment of a command: the given one without the variables of an outer culvert, with those of the
// listeners, and with those of the proxy if there is one.
func environment(given []string, listeners []Listener, how ProxyEnv, noProxy []string) []string {
	return append(slices.DeleteFunc(slices.Clone(given), ofAnotherRun), commandVariables(given, listeners, how, noProxy)...)
}

// commandVariables are the variables that a command gets in addition to the given ones, or in their place.
func commandVariables(given []string, listeners []Listener, how ProxyEnv, noProxy []string) []string {
	set := listenerVariables(listeners)
	proxy := firstProxy(listeners)
	if proxy == "" || how.Off {
		return set
	}
	return append(set, proxyVariables(given, proxy, how, noProxy)...)
}

// Variables are what a program that uses the tunnels of a set needs to get: set are variables that are added to the given
// environment or replace some of it, dropped are the names of those that it must not have. login returns the user and password
// of the proxy behind a tunnel, as the set has its URL without the password.
func Variables(given []string, s control.Set, login func(id int) *doctor.Login, how ProxyEnv, noProxy []string) (set []Pair, dropped []string) {
	var listeners []Listener
	for _, t := range s.Tunnels {
		p := Listener{Host: t.Host, Port: t.Port, Addr: t.Local, URL: WithLogin(t.ProxyURL, login(t.ID))}
		if t.Host != "" {
			p.Addr = net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
		}
		listeners = append(listeners, p)
	}
	set = pairs(commandVariables(given, listeners, how, noProxy))
	for _, variable := range given {
		name, _, _ := strings.Cut(variable, "=")
		if ofAnotherRun(variable) && !slices.ContainsFunc(set, func(p Pair) bool { return p.Name == name }) {
			dropped = append(dropped, name)
		}
	}
	return set, dropped
}

// ofAnotherRun reports whether a variable was set by an outer culvert, whose listeners are not ours.
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

// proxyVariables are the settings that lead programs to a proxy, given those of an environment. The URL of an HTTP proxy always
// begins with http://, even in HTTPS_PROXY, as the connection to the proxy itself is not TLS.
func proxyVariables(given []string, proxy string, how ProxyEnv, noProxy []string) []string {
	excepted := exceptions(given, how, noProxy)
	var set []string
	if strings.HasPrefix(proxy, schemeSOCKS+"://") {
		set = socksVariables(given, proxy)
	} else {
		for _, name := range append(httpProxyNames(), "PROXY_SERVER", "CULVERT_PROXY") {
			set = append(set, name+"="+proxy)
		}
		if how.All {
			set = append(set, "ALL_PROXY="+proxy, "all_proxy="+proxy)
		}
		set = append(set, "NODE_USE_ENV_PROXY=1")
	}
	set = append(set, "NO_PROXY="+strings.Join(excepted, ","), "no_proxy="+strings.Join(excepted, ","))
	if how.Java {
		hosts, _ := javaHosts(excepted)
		set = append(set, "JAVA_TOOL_OPTIONS="+javaOptions(lookup(given, "JAVA_TOOL_OPTIONS"), proxy, hosts, how.Drop))
	}
	return set
}

func httpProxyNames() []string {
	return []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"}
}

// socksVariables are those for a SOCKS proxy. Programs look at ALL_PROXY last, so the variables of another proxy are set to
// nothing. Browsers do not know the scheme socks5h, and leave names to a socks5 proxy anyway.
func socksVariables(given []string, proxy string) []string {
	var set []string
	for _, name := range httpProxyNames() {
		if lookup(given, name) != "" {
			set = append(set, name+"=")
		}
	}
	plain := "socks5" + strings.TrimPrefix(proxy, schemeSOCKS)
	return append(set, "ALL_PROXY="+proxy, "all_proxy="+proxy, "PROXY_SERVER="+plain, "CULVERT_PROXY="+proxy)
}

// ProxyPairs are the variables that lead programs to a proxy, given those of an environment: names and values.
func ProxyPairs(given []string, proxy string, how ProxyEnv, noProxy []string) []Pair {
	return pairs(proxyVariables(given, proxy, how, noProxy))
}

// pairs splits variables into names and values.
func pairs(variables []string) []Pair {
	var all []Pair
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		all = append(all, Pair{name, value})
	}
	return all
}

// exceptions are the hosts that are reached without the proxy: those that were set before, this machine, and the user's.
func exceptions(given []string, how ProxyEnv, noProxy []string) []string {
	all := entries(direct(), noProxy)
	if how.Drop {
		return all
	}
	inherited := inherited(given)
	return append(inherited, slices.DeleteFunc(all, func(host string) bool { return slices.Contains(inherited, host) })...)
}

// inherited are the hosts in NO_PROXY and no_proxy of an environment.
func inherited(given []string) []string {
	return entries(strings.Split(lookup(given, "NO_PROXY"), ","), strings.Split(lookup(given, "no_proxy"), ","))
}

// entries are the hosts of all lists, each once.
func entries(lists ...[]string) []string {
	var all []string
	for _, host := range slices.Concat(lists...) {
		host = strings.TrimSpace(host)
		if rest, ok := strings.CutPrefix(host, "*."); ok {
			host = "." + rest // curl does not know the star; everybody knows the dot
		}
		if host != "" && !slices.Contains(all, host) {
			all = append(all, host)
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
