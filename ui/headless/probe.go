package headless

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
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
	ProbeNone                      // an open session is enough
	ProbeTCP                       // the destination accepts a connection
	ProbeHTTP                      // the destination answers an HTTP request
	ProbeProxy                     // the same, and is an HTTP proxy
	ProbeProtocol                  // the destination speaks Probe.Protocol
	ProbeURL                       // a URL is fetched through the proxy at the far end
)

// What a forward was proved by, as the ready event says it; else the name of a protocol. The words are the contract of the
// command line.
const (
	provedNone  = "none"
	provedTCP   = "tcp"
	provedHTTP  = "http"
	provedProxy = "http-proxy"
	provedURL   = "url"
)

// proof is what a probe has found out.
type proof struct {
	by       string        // one of the words above
	proxy    bool          // the far end is an HTTP proxy, or taken for one
	connect  time.Duration // what the task's own connect took
	answered time.Duration // and then the answer in the protocol; 0 where none was asked for
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
	speakTimeout   = 2 * time.Second  // for the first word in a protocol; who says none is asked who he is
	urlLegs        = 4                // a URL may take that long for each: CONNECT, TLS, the page, and to find out what went wrong
)

// proxyPort tells the ports at which an HTTP proxy is expected: Squid's, and the usual other two.
func proxyPort(port uint16) bool { return slices.Contains([]uint16{3128, 8080, 8888}, port) }

// prober proves one forward.
type prober struct {
	tunnel *tunnel.Tunnel
	probe  Probe
	roots  *x509.CertPool // nil are the system's
}

// once probes a single time: first that the destination accepts a connection, then what it speaks.
func (p prober) once(ctx context.Context) (proof, error) {
	patience := probeTimeout
	if p.probe.Kind == ProbeURL {
		patience *= urlLegs
	}
	within, cancel := context.WithTimeout(ctx, connectTimeout+patience)
	defer cancel()
	found, err := p.try(within)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		remote := p.tunnel.Spec().Remote.String()
		err = &ProbeError{
			Problem: fmt.Sprintf("the probe of %s did not end within %s", remote, connectTimeout+patience),
			Advice:  "check that what listens on " + remote + " answers, or use --probe none",
		}
	}
	return found, err
}

func (p prober) try(ctx context.Context) (proof, error) {
	port := p.tunnel.Spec().Remote.Port
	bySquidsPort := port == 3128
	if p.probe.Kind == ProbeNone {
		return proof{by: provedNone, proxy: bySquidsPort}, nil
	}
	connected, err := p.connect(ctx)
	if err != nil {
		return proof{}, err
	}
	found := proof{by: provedTCP, proxy: bySquidsPort, connect: connected.Connect}
	asked := time.Now()
	switch p.probe.Kind {
	case ProbeNone, ProbeTCP:
	case ProbeAuto:
		err = p.guess(ctx, &found)
	case ProbeHTTP, ProbeProxy:
		err = p.web(ctx, &found)
	case ProbeProtocol:
		found.by, err = p.probe.Protocol.Name(), p.speaks(ctx, p.probe.Protocol)
	case ProbeURL:
		found.by, found.proxy, err = provedURL, true, p.url(ctx)
	}
	if found.by != provedTCP {
		found.answered = time.Since(asked)
	}
	return found, err
}

// web asks for an answer in HTTP.
func (p prober) web(ctx context.Context, found *proof) error {
	proxy, err := p.http(ctx)
	found.by = provedHTTP
	switch {
	case err != nil:
		return err
	case proxy:
		found.by, found.proxy = provedProxy, true
	case p.probe.Kind == ProbeProxy:
		return &ProbeError{
			Problem: p.tunnel.Spec().Remote.String() + " accepts, but is a web server, no HTTP proxy",
			Advice:  "check the port, or use --probe http if a web server is what should be there",
			Lasting: true,
		}
	}
	return nil
}

// guess proves the protocol that the port stands for. A server that says nothing in it is taken as it is, one that is
// known to speak another is not.
func (p prober) guess(ctx context.Context, found *proof) error {
	port := p.tunnel.Spec().Remote.Port
	expected := doctor.ByPort(port)
	if proxyPort(port) {
		err := p.web(ctx, found)
		if _, silent := errors.AsType[*notHTTPError](err); silent {
			found.by, found.proxy = provedTCP, false
			return nil
		}
		return err
	}
	if expected == doctor.Unknown || expected == doctor.HTTP { // a page is asked for where a proxy is expected, nowhere else
		return nil
	}
	err := p.speaks(ctx, expected)
	if other, ok := errors.AsType[*doctor.OtherProtocolError](err); ok && other.Got == doctor.TLS {
		expected, err = doctor.TLS, nil // the protocol of the port, wrapped
	} else if ok && other.Got != doctor.Unknown {
		return err
	}
	if err == nil {
		found.by = expected.Name()
	}
	return ctx.Err()
}

// speaks proves that the destination speaks a protocol.
func (p prober) speaks(ctx context.Context, want doctor.Protocol) error {
	return doctor.Speak(ctx, p.dial, want, p.tunnel.Spec().Remote, speakTimeout+4*p.tunnel.Stats().RoundTrip)
}

// connect proves that the destination accepts a connection. That it has not answered yet is said early: what swallows
// packets is a matter of minutes.
func (p prober) connect(ctx context.Context) (tunnel.Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return p.tunnel.Prove(ctx)
}

// dial connects to the far end, past the listener: a probe is not the user's traffic.
func (p prober) dial(context.Context) (net.Conn, error) {
	return p.tunnel.Dial() //nolint:contextcheck // it lives until it is closed
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

// http asks for "/" in the form of an ordinary server's client. Squid answers that with 400 and its name, without going
// anywhere: the cheapest sign that it lives.
func (p prober) http(ctx context.Context) (proxy bool, err error) {
	conn, err := p.dial(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close() //nolint:errcheck // read to the end or not wanted
	callOff := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer callOff()
	const request = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: culvert\r\nConnection: close\r\n\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		return false, p.dropped(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(probeTimeout / 2)); err != nil {
		return false, fmt.Errorf("set a deadline: %w", err)
	}
	r := bufio.NewReader(conn)
	switch _, err := r.Peek(1); {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, &notHTTPError{err}
	case err != nil:
		return false, p.dropped(err)
	}
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		return false, &notHTTPError{err}
	}
	defer answer.Body.Close() //nolint:errcheck // not read
	return doctor.SaysProxy(answer), nil
}

// url fetches the URL through the proxy, as the doctor does and with its words; a status below 400 is success, redirects
// are not followed.
func (p prober) url(ctx context.Context) error {
	route := doctor.Route{Dial: p.dial, Roots: p.roots, Patience: probeTimeout}
	_, err := route.Fetch(ctx, p.probe.URL)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &ProbeError{Problem: "probe " + p.probe.URL.Redacted(), Advice: "check the URL from a machine that reaches it, or use --probe tcp", Err: err}
}

// proxyHost is the host:port of the proxy URL.
func proxyHost(t *tunnel.Tunnel) string {
	if t.Spec().Socket != "" {
		return "localhost" // never dialled: the probe connects to the socket
	}
	return reachable(t.Addr()).String()
}
