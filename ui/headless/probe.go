package headless

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// ProbeKind says how a forward is proved ready.
type ProbeKind int

// The kinds of probe.
const (
	ProbeAuto     ProbeKind = iota // the destination accepts a connection, and speaks what its port stands for
	ProbeNone                      // an open session is enough: nothing is asked of the destination
	ProbeTCP                       // the destination accepts a connection
	ProbeHTTP                      // the destination answers an HTTP request
	ProbeProxy                     // the destination answers an HTTP request, and is an HTTP proxy
	ProbeProtocol                  // the destination speaks Probe.Protocol
	ProbeURL                       // a URL is fetched through the proxy at the far end
)

// What a forward was proved by, as the ready event says it; where a protocol was proved, the event has the protocol's name. The
// words are the contract of the command line.
const (
	provedNone    = "none"
	provedSession = "session" // only for a tunnel to any host
	provedTCP     = "tcp"
	provedHTTP    = "http"
	provedProxy   = "http-proxy"
	provedURL     = "url"
)

// proof is what a probe has found out.
type proof struct {
	by       string        // one of the words above
	scheme   string        // of the URL of the proxy at the far end, or of what is taken for a proxy: http, socks5h; empty when there is none
	server   string        // the name that the server gives itself; empty when it gives none
	login    bool          // the proxy wants a user and password, and none were given
	connect  time.Duration // how long the task's own connect took
	session  bool          // it is the proof of a tunnel to any host: nothing was connected
	answered time.Duration // how long the answer in the protocol took after that; 0 when none was asked for
}

// Probe is how forwards are proved ready; the zero Probe chooses by the remote port.
type Probe struct {
	Kind     ProbeKind
	Protocol doctor.Protocol // of ProbeProtocol
	URL      *url.URL        // of ProbeURL
}

// How long a probe waits.
const (
	connectTimeout = 5 * time.Second  // for the task's own connect
	probeTimeout   = 10 * time.Second // for an answer
	speakTimeout   = 2 * time.Second  // for the first answer in a protocol; a server that gives none is asked what it is
	// For the first answer of a server at a port that stands for nothing. It is accepted without one as well, after this time: a
	// proxy, which has to be known, answers at once.
	strangerTimeout = 1500 * time.Millisecond
	greetingWithin  = 400 * time.Millisecond
	urlLegs         = 4 // how many probeTimeouts a URL may take: for CONNECT, TLS, the page, and to find out what went wrong
)

// The schemes of a proxy's URL. The h makes curl and others leave names to the proxy, which alone can resolve them.
const (
	schemeHTTP  = "http"
	schemeSOCKS = "socks5h"
)

// proxyPort reports whether a proxy is expected at a port before anything is known of the far end: a URL is probed through it.
func proxyPort(port uint16) bool {
	return slices.Contains([]uint16{1080, 3128, 8080, 8118, 8888}, port)
}

// strictPort reports whether a server at a port that hangs up on an HTTP request is taken as not ready: the ports are the usual
// ones of HTTP proxies.
func strictPort(port uint16) bool { return slices.Contains([]uint16{3128, 8080, 8888}, port) }

// unasked reports whether servers at a port take a stranger's bytes amiss: they print them (9100 to 9107), log them as a
// message (514, 601, 2003) or as an attack on an interpreter (5005), or wait for the rest of a record (1521, 2181, 3389, 9042,
// 9092, 11211).
func unasked(port uint16) bool {
	return port >= 9101 && port <= 9107 || slices.Contains([]uint16{514, 601, 1521, 2003, 2181, 3389, 5005, 9042, 9092, 9100, 11211}, port)
}

// prober proves one forward.
type prober struct {
	tunnel *tunnel.Tunnel
	probe  Probe
	roots  *x509.CertPool // nil for the system's
	login  *doctor.Login  // for a proxy that asks for a login
	before proof          // the earlier proof of the same far end, so that it need not be asked again what it is; zero when there is none
}

// once makes one attempt: first that the destination accepts a connection, then what it speaks.
func (p prober) once(ctx context.Context) (proof, error) {
	patience := probeTimeout
	if p.probe.Kind == ProbeURL {
		patience *= urlLegs
	}
	within, cancel := context.WithTimeout(ctx, connectTimeout+patience)
	defer cancel()
	found, err := p.try(within)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		remote := p.tunnel.Spec().FarEnd()
		err = &ProbeError{
			Problem: fmt.Sprintf("the probe of %s did not end within %s", remote, connectTimeout+patience),
			Advice:  "check that what listens on " + remote + " answers, or use --probe none",
		}
	}
	return found, err
}

func (p prober) try(ctx context.Context) (proof, error) {
	if p.tunnel.Spec().Dynamic != nil {
		return p.anyHost(ctx)
	}
	presumed := ""
	if p.tunnel.Spec().Remote.Port == 3128 {
		presumed = schemeHTTP
	}
	if p.probe.Kind == ProbeNone {
		return proof{by: provedNone, scheme: presumed}, nil
	}
	connected, err := p.connect(ctx)
	if err != nil {
		return proof{}, err
	}
	found := proof{by: provedTCP, scheme: presumed, connect: connected.Connect}
	asked := time.Now()
	switch p.probe.Kind {
	case ProbeNone, ProbeTCP:
	case ProbeAuto:
		err = p.guess(ctx, &found)
	case ProbeHTTP, ProbeProxy:
		err = p.web(ctx, &found)
	case ProbeProtocol:
		err = p.protocol(ctx, &found)
	case ProbeURL:
		err = p.url(ctx, &found)
	}
	if found.by != provedTCP {
		found.answered = time.Since(asked)
	}
	return found, err
}

// speaks proves that the destination speaks a protocol.
func (p prober) speaks(ctx context.Context, want doctor.Protocol) error {
	return doctor.Speak(ctx, p.dial, want, p.tunnel.Spec().Remote, p.patience())
}

// connect proves that the destination accepts a connection. It gives up early (connectTimeout), as a connect to a host that
// drops packets takes minutes to fail.
func (p prober) connect(ctx context.Context) (tunnel.Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return p.tunnel.Prove(ctx)
}

// dial connects to the far end, past the listener: a probe is not the user's traffic.
func (p prober) dial(context.Context) (net.Conn, error) {
	return p.tunnel.Dial()
}

// reachable turns a wildcard address, which cannot be dialled everywhere, into the loopback one.
func reachable(a netip.AddrPort) netip.AddrPort {
	switch a.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
	}
	return a
}

// dropped explains a connection that was closed at once.
func (p prober) dropped(err error) error {
	remote := p.tunnel.Spec().Remote.String()
	return &ProbeError{
		Problem: "the connection to " + remote + " was closed at once",
		Advice:  "check that a server listens on " + remote + " in the task",
		Err:     err,
	}
}

// notHTTPError says that the destination accepted a connection but did not answer a request in HTTP.
type notHTTPError struct{ err error }

func (e *notHTTPError) Error() string { return "no HTTP answer: " + e.err.Error() }
func (e *notHTTPError) Unwrap() error { return e.err }
func (e *notHTTPError) Remedy() string {
	return "use --probe tcp where no HTTP server listens, or forward to another port"
}

// url fetches the probe's URL through the proxy, in the same way and with the same errors as the doctor. A status below 400 is
// success; redirects are not followed.
func (p prober) url(ctx context.Context, found *proof) error {
	found.by, found.scheme = provedURL, cmp.Or(p.before.scheme, schemeHTTP)
	known := p.before.scheme != ""
	if !known && doctor.ByPort(p.tunnel.Spec().Remote.Port) == doctor.SOCKS {
		known, found.scheme = true, p.schemeOf(ctx, schemeSOCKS)
	}
	err := p.fetch(ctx, found.scheme)
	if _, cut := errors.AsType[*doctor.CutError](err); cut && !known { // what hangs up on HTTP may be a SOCKS proxy
		if scheme := p.schemeOf(ctx, found.scheme); scheme != found.scheme {
			found.scheme, err = scheme, p.fetch(ctx, scheme)
		}
	}
	if err == nil {
		return nil
	}
	return p.unfetched(ctx, err)
}

// schemeOf asks the far end which kind of proxy it is; expected is the answer when it does not say.
func (p prober) schemeOf(ctx context.Context, expected string) string {
	answer, err := p.ask(ctx, doctor.Unknown, 0, p.patience())
	switch {
	case err != nil || !answer.Proxy:
		return expected
	case answer.Protocol == doctor.SOCKS:
		return schemeSOCKS
	}
	return schemeHTTP
}

func (p prober) fetch(ctx context.Context, scheme string) error {
	route := doctor.Route{Dial: p.dial, SOCKS: scheme == schemeSOCKS, Login: p.login, Roots: p.roots, Patience: probeTimeout}
	_, err := route.Fetch(ctx, p.probe.URL)
	return err
}
