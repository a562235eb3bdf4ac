package doctor

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"culvert/internal/pattern"
)

// Reason is why a proxy does not pass a request on.
type Reason int

// The reasons.
const (
	ReasonOther      Reason = iota
	ReasonHost              // the proxy's rules forbid this host
	ReasonPort              // the proxy's rules forbid this port
	ReasonRule              // the proxy's rules forbid the host, the port or the client; which one is not known
	ReasonLogin             // the proxy wants a user and password
	ReasonUnresolved        // the proxy cannot resolve the name
	ReasonRefused           // the destination refuses the connection
	ReasonDropped           // the destination does not answer the connection
	ReasonNoRoute           // the network of the task has no way there
	ReasonMute              // the destination accepts the connection and sends nothing
	ReasonEmpty             // the destination hangs up without an answer, or answers in another protocol
)

// RefusalError means that a proxy does not pass a request on, or does not answer it.
type RefusalError struct {
	Reason Reason
	Host   string        // of the destination
	Port   string        // of the destination
	Method string        // CONNECT, GET, or that of SOCKS5
	Status int           // 0 when the proxy has not answered, and for SOCKS
	Code   string        // Squid's ERR_…; empty for other proxies
	Errno  int           // the system's error number that Squid tells; 0 for none
	Server string        // how the proxy names itself, such as squid/5.7
	Says   string        // what a SOCKS proxy has answered; empty for HTTP
	After  time.Duration // how long the answer took
}

func (e *RefusalError) Error() string {
	return fmt.Sprintf("the proxy %s: %s", e.what(), e.answer())
}

func (e *RefusalError) what() string {
	host := e.Host + ":" + e.Port
	switch e.Reason {
	case ReasonHost:
		return "does not let this client to " + e.Host
	case ReasonPort:
		return "does not let clients to port " + e.Port + " of any host by " + e.Method
	case ReasonRule:
		return "does not let this client to " + host
	case ReasonLogin:
		return "wants a user and password"
	case ReasonUnresolved:
		if e.After > slowLookup {
			return "gets no answer from its DNS server for " + e.Host
		}
		return "cannot resolve " + e.Host
	case ReasonRefused:
		return "is refused by " + host
	case ReasonDropped:
		return "gets no answer from " + host + ": packets are dropped"
	case ReasonNoRoute:
		return "has no route to " + host
	case ReasonMute:
		return "reaches " + host + ", which then says nothing"
	case ReasonEmpty:
		return "reaches " + host + ", which hangs up or does not speak HTTP"
	case ReasonOther:
	}
	return "does not reach " + host
}

// answer is the evidence: what the proxy said, and when.
func (e *RefusalError) answer() string {
	if e.Says != "" {
		return fmt.Sprintf("%s answered %q, after %s", e.Method, e.Says, brief(e.After))
	}
	if e.Status == 0 {
		return fmt.Sprintf("no answer to %s within %s", e.Method, brief(e.After))
	}
	text := fmt.Sprintf("%s answered %d", e.Method, e.Status)
	if e.Code != "" {
		text += " " + e.Code
		if e.Errno != 0 {
			text += " " + strconv.Itoa(e.Errno)
		}
	}
	if e.Server != "" {
		text += ", " + quoted(e.Server)
	}
	return text + ", after " + brief(e.After)
}

// scheme is the scheme of the proxy's URL.
func (e *RefusalError) scheme() string {
	if e.Says != "" {
		return "socks5h"
	}
	return "http"
}

// slowLookup is how long a failed look-up has to have taken for the reason to be a DNS server that does not answer.
const slowLookup = 1500 * time.Millisecond

// Remedy says where the reason can be removed.
func (e *RefusalError) Remedy() string {
	host := e.Host + ":" + e.Port
	switch e.Reason {
	case ReasonHost:
		return fmt.Sprintf("add %s to the hosts that the proxy allows (squid.conf: acl NAME dstdomain %s, http_access allow NAME, above the line that denies)", e.Host, e.Host)
	case ReasonPort:
		if e.Method == http.MethodConnect {
			return fmt.Sprintf("add the port to the proxy's (squid.conf: acl SSL_ports port %s; the stock configuration lets CONNECT to 443 alone, and Node and Playwright use CONNECT for http:// too)", e.Port)
		}
		return fmt.Sprintf("add the port to the proxy's (squid.conf: acl Safe_ports port %s)", e.Port)
	case ReasonRule:
		return fmt.Sprintf("look at the proxy's http_access lines for host %s, port %s and this client's address (the task's own 127.0.0.1); its access.log has TCP_DENIED for it", e.Host, e.Port)
	case ReasonLogin:
		return "pass --proxy-user USER, with the password in CULVERT_PROXY_PASSWORD or in the file of --proxy-password-file; give other clients " + e.scheme() + "://USER:PASSWORD@ADDRESS as proxy URL, or let the proxy admit its own task without one"
	case ReasonUnresolved:
		if e.After > slowLookup {
			return "check the DNS server of the task (VPC DHCP options, enableDnsSupport, dns_nameservers in squid.conf) and the resolver rule for the name's domain"
		}
		advice := fmt.Sprintf("check the spelling of %s; associate its private hosted zone with the task's VPC; enableDnsSupport and enableDnsHostnames; a resolver rule for its domain", e.Host)
		if e.Code != "ERR_DNS_FAIL" { // Squid 5.7 gives the same answer for a never_direct rule
			advice += "; if all of that is right, look for never_direct in squid.conf, of which this Squid says the same"
		}
		return advice
	case ReasonRefused:
		return fmt.Sprintf("nothing listens on %s: start the service there, or correct the port", host)
	case ReasonDropped:
		return fmt.Sprintf("let the security group of %s admit port %s from the proxy task's security group; then network ACLs and routes (peering, transit gateway)", e.Host, e.Port)
	case ReasonNoRoute:
		return fmt.Sprintf("give the task's subnet a route to %s (peering, transit gateway, NAT)", e.Host)
	case ReasonMute:
		return fmt.Sprintf("the way to %s works: ask its own log why it does not answer", host)
	case ReasonEmpty:
		return fmt.Sprintf("if %s speaks TLS, use https://; else ask its own log why it hangs up", host)
	case ReasonOther:
	}
	return "look at the proxy's access.log and cache.log (the container's log) for this request"
}

// Refused reads a proxy's refusal from an HTTP answer; nil when the answer comes from the server behind the proxy.
func Refused(method, host, port string, answer *http.Response, after time.Duration) *RefusalError {
	e := &RefusalError{Host: host, Port: port, Method: method, Status: answer.StatusCode, Server: answer.Header.Get("Server"), After: after}
	code, errno, _ := strings.Cut(answer.Header.Get("X-Squid-Error"), " ")
	if codeForm().MatchString(code) {
		e.Code = code
	}
	if n, err := strconv.Atoi(errno); err == nil {
		e.Errno = n
	}
	switch {
	case answer.StatusCode == http.StatusProxyAuthRequired:
		e.Reason = ReasonLogin
	case e.Code != "":
		e.Reason = squidReason(e)
	case method == http.MethodConnect: // CONNECT is always answered by the proxy
		e.Reason = plainReason(answer.StatusCode)
	default:
		return nil // the server's own answer
	}
	return e
}

var codeForm = pattern.Of(`^[A-Z_]{1,40}$`) //nolint:gochecknoglobals // compiled when it is needed

// Error numbers of Linux, on which Squid runs in a task.
const (
	enetunreach  = 101
	econnreset   = 104
	etimedout    = 110
	econnrefused = 111
	ehostunreach = 113
)

// squidReason reads the reason from Squid's error code (Squid's src/error/forward.h and error pages; seen on 5.7).
func squidReason(e *RefusalError) Reason {
	switch e.Code {
	case "ERR_ACCESS_DENIED", "ERR_FORWARDING_DENIED":
		return ReasonRule
	case "ERR_CACHE_ACCESS_DENIED", "ERR_CACHE_MGR_ACCESS_DENIED":
		return ReasonLogin
	case "ERR_DNS_FAIL":
		return ReasonUnresolved
	case "ERR_CANNOT_FORWARD":
		if namelessDNS(e) {
			return ReasonUnresolved
		}
	case "ERR_CONNECT_FAIL", "ERR_SECURE_CONNECT_FAIL":
		return connectReason(e.Errno)
	case "ERR_READ_TIMEOUT":
		return ReasonMute
	case "ERR_READ_ERROR":
		if e.Errno == 0 && namelessDNS(e) {
			return ReasonUnresolved
		}
		return ReasonEmpty
	case "ERR_ZERO_SIZE_OBJECT", "ERR_INVALID_RESP", "ERR_WRITE_ERROR":
		return ReasonEmpty
	}
	return ReasonOther
}

func connectReason(errno int) Reason {
	switch errno {
	case econnrefused, econnreset:
		return ReasonRefused
	case etimedout:
		return ReasonDropped
	case enetunreach, ehostunreach:
		return ReasonNoRoute
	}
	return ReasonOther
}

var versionForm = pattern.Of(`^squid/(\d+)\.(\d+)`) //nolint:gochecknoglobals // compiled when it is needed

// namelessDNS reports whether this Squid hides DNS failures behind other errors: 5.0 to 6.2 do (Squid bug 5294). A Squid
// that does not tell its version is taken for one of them.
func namelessDNS(e *RefusalError) bool {
	m := versionForm().FindStringSubmatch(e.Server)
	if m == nil {
		return true
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major == 5 || major == 6 && minor < 3
}

// plainReason reads the reason from the status of a proxy that tells nothing else.
func plainReason(status int) Reason {
	switch status {
	case http.StatusForbidden:
		return ReasonRule
	case http.StatusGatewayTimeout:
		return ReasonDropped
	}
	return ReasonOther
}
