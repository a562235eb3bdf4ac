package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"culvert/tunnel"
)

// ParseProbe reads a destination of --probe: http://…, https://…, tcp://host:port, host:port, which means the same, or
// tls://host:port.
func ParseProbe(text string) (*url.URL, error) {
	full := text
	if _, _, err := net.SplitHostPort(text); err == nil && !strings.Contains(text, "/") {
		full = "tcp://" + text
	}
	u, err := url.Parse(full)
	if err != nil || u.Hostname() == "" {
		return nil, &ProbeFormError{Form: text}
	}
	switch u.Scheme {
	case "http", "https", "tls":
	case "tcp":
		if u.Port() == "" {
			return nil, &ProbeFormError{Form: text}
		}
	default:
		return nil, &ProbeFormError{Form: text}
	}
	if n, err := strconv.ParseUint(orElse(u.Port(), "1"), 10, 16); err != nil || n == 0 {
		return nil, &ProbeFormError{Form: text}
	}
	return u, nil
}

// ProbeFormError means that a destination of --probe cannot be parsed.
type ProbeFormError struct{ Form string }

func (e *ProbeFormError) Error() string {
	return fmt.Sprintf("%q is no destination for a probe", e.Form)
}

// Remedy shows the forms.
func (e *ProbeFormError) Remedy() string {
	return "write http://HOST/…, https://HOST/…, HOST:PORT or tls://HOST:PORT"
}

// isWeb reports whether a probe is an http:// or https:// URL, which an HTTP proxy can serve.
func isWeb(u *url.URL) bool { return u.Scheme == "http" || u.Scheme == "https" }

func (x *examination) probeCheck(i int, u *url.URL) Check {
	id := fmt.Sprintf("probe-%d", i+1)
	after := []string{checkAnswer}
	switch {
	case x.anyHost():
		after = []string{checkHandshake}
	case !isWeb(u) && x.Spec.Remote.Host == "":
		after = []string{checkAgent} // the probe opens a session of its own
	}
	return Check{
		ID: id, Name: u.Redacted() + " can be reached", After: after, Lasts: true,
		Causes: []Cause{
			{"F3", "the proxy answers 403 (ERR_ACCESS_DENIED) for this host, a SOCKS proxy that its rules do not allow it", "add the host to the proxy's allowed ones (`acl … dstdomain …`)"},
			{"F4", "the proxy answers 403 for this port, but not for 443 of the same host; stock Squid lets CONNECT to 443 alone", "`acl SSL_ports port …` and `acl Safe_ports port …`"},
			{"F5", "the proxy answers 407", "`--proxy-user USER` for culvert and the command behind it, or let the proxy admit the task without one"},
			{"F6", "503 ERR_DNS_FAIL (Squid 4 and from 6.3 on); 500 ERR_CANNOT_FORWARD on CONNECT, 502 ERR_READ_ERROR 0 on GET (Squid 5.0 to 6.2): the task cannot resolve the name, at once or after the resolver's timeout; without a proxy the agent ends the session: `Unable to resolve host`", "spelling; private hosted zone associated with the task's VPC; enableDnsSupport; resolver rules"},
			{"F7", "503 ERR_CONNECT_FAIL 111 within milliseconds, or the agent's report that it cannot connect: refused", "start the service, or correct the port"},
			{"F8", "503 ERR_CONNECT_FAIL 110, or no answer at all: packets are dropped", "the destination's security group must admit the task's, and the task's let it out to the port; network ACLs, routes"},
			{"F9", "503 ERR_CONNECT_FAIL 113 or 101: no route", "a route from the task's subnet"},
			{"F10", "the destination takes the connection and says nothing (504 ERR_READ_TIMEOUT after 15 minutes)", "ask its own log"},
			{"F11", "502 ERR_ZERO_SIZE_OBJECT or ERR_INVALID_RESP: it hangs up or does not speak HTTP", "https:// instead of http://; its own log"},
			{"F12", "after CONNECT the server speaks plain HTTP, or it wants TLS and was asked in HTTP", "the other scheme"},
			{"F13", "after CONNECT the server or a middlebox hangs up in the TLS handshake", "ask the logs of both; an SNI filter"},
			{"F14", "the certificate's authority is not trusted", "SSL_CERT_FILE, `--cacert`, NODE_EXTRA_CA_CERTS"},
			{"F15", "the certificate is for other names", "another URL or another certificate"},
			{"F16", "the certificate has expired or is not valid yet", "renew it; look at the clock"},
			{"F17", "the server was reached and answers with a status from 400 on", "none for the path: it is the server's own answer"},
			{"F18", "the proxy does not reach it for another reason", "its access.log and cache.log"},
			{"F21", "culvert itself connects nobody to it: a pattern of `--deny` means it, or it is loopback or link-local", "another host, or without that pattern"},
			{"F20", "the agent ends the session: `Forwarding to IP address … is forbidden`", "another host: agents forward to no metadata, DNS, time and licence address, and neither to the first four addresses nor to the last one of the VPC's blocks"},
		},
		Run: func(ctx context.Context) Finding { return x.probe(ctx, u) },
	}
}

// probe asks a destination: through the far end if that is a proxy, directly if the destination is the far end, else over a
// session of its own with the remote-host document.
func (x *examination) probe(ctx context.Context, u *url.URL) Finding {
	if !x.anyHost() && x.Spec.Remote.Host == "" && x.answer.Proxy && isWeb(u) {
		return x.fetch(ctx, Route{Dial: x.own.dial, SOCKS: x.answer.Protocol == SOCKS, Login: x.Login}, u)
	}
	remote, err := destination(u)
	if err != nil {
		return fail(err)
	}
	if x.anyHost() {
		if f := x.elsewhere(remote); f != nil {
			return *f
		}
	}
	if remote == x.far() && x.own != nil {
		if x.ownErr != nil { // of a time after the handshake: else this check would be hidden
			return fail(x.ownErr)
		}
		return x.reach(ctx, x.own, remote, u)
	}
	own, err := x.openTunnel(ctx, remote)
	if err != nil {
		return fail(err)
	}
	defer x.end(ctx, own)
	if err := own.await(ctx, x.Patience); err != nil {
		return fail(err, "session for "+remote.String())
	}
	return x.reach(ctx, own, remote, u)
}

// destination is the host and port of a probe.
func destination(u *url.URL) (tunnel.Endpoint, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "tls": "443"}[u.Scheme]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return tunnel.Endpoint{}, &ProbeFormError{Form: u.Redacted()}
	}
	return tunnel.Endpoint{Host: u.Hostname(), Port: uint16(n)}, nil
}

// reach probes a destination that is the far end of the tunnel o.
func (x *examination) reach(ctx context.Context, o *ownTunnel, remote tunnel.Endpoint, u *url.URL) Finding {
	accepts, err := o.prove(ctx, x.Patience)
	if err != nil {
		return fail(x.dropped(ctx, remote, err))
	}
	var f Finding
	if u.Scheme == "tcp" {
		f = x.touch(ctx, o.dial, remote)
	} else {
		f = x.fetch(ctx, Route{Dial: o.dial, Direct: true}, u)
	}
	if _, ok := errors.AsType[*CutError](f.Err); ok || is[*ShutError](f.Err) {
		if why := o.whyEnded(ctx); why != nil {
			f.Err = why
		}
	}
	f.Evidence = append([]string{accepts}, f.Evidence...)
	return f
}

// touch finds out what answers at a TCP destination.
func (x *examination) touch(ctx context.Context, dial Dial, remote tunnel.Endpoint) Finding {
	answer, err := Question{Remote: remote, Patience: min(x.Patience, touchPatience), Greeting: greetingWithin}.Ask(ctx, dial)
	switch {
	case err == nil:
		return pass("it answers: "+answer.String(), "after "+brief(answer.Took))
	case is[*SilentError](err):
		return pass("it waits for its client to speak")
	}
	if shut, ok := errors.AsType[*ShutError](err); ok && shut.Asked {
		return Finding{Verdict: Pass, Evidence: []string{"it hangs up on an HTTP request: it speaks another protocol"}, Err: err}
	}
	return fail(err)
}

// touchPatience bounds the wait for an answer of a server that may give none.
const touchPatience = 5 * time.Second

func (x *examination) fetch(ctx context.Context, r Route, u *url.URL) Finding {
	r.Roots, r.Patience = x.Roots, x.Patience
	trip, err := r.Fetch(ctx, u)
	if err == nil {
		return pass(trip.Evidence()...)
	}
	f := fail(err, trip.Evidence()...)
	if is[*StatusError](err) {
		f.Verdict = Warn
	}
	return f
}
