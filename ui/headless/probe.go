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
	ProbeAuto ProbeKind = iota // HTTP where the remote port is one that proxies use, else TCP
	ProbeNone                  // an open session is enough
	ProbeTCP                   // the destination accepts a connection
	ProbeHTTP                  // the destination answers an HTTP request
	ProbeURL                   // a URL is fetched through the proxy at the far end
)

// What a forward was proved by, as the ready event says it. The words are the contract of the command line.
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
	Kind ProbeKind
	URL  *url.URL // of ProbeURL
}

// How long a probe waits.
const (
	connectTimeout = 5 * time.Second  // for the task's own connect
	probeTimeout   = 10 * time.Second // for an answer
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
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+patience)
	defer cancel()
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
	if p.probe.Kind == ProbeTCP || p.probe.Kind == ProbeAuto && !proxyPort(port) {
		return found, nil
	}
	asked := time.Now()
	if p.probe.Kind == ProbeURL {
		err := p.url(ctx)
		return proof{by: provedURL, proxy: true, connect: found.connect, answered: time.Since(asked)}, err
	}
	proxy, err := p.http(ctx)
	if _, silent := errors.AsType[*notHTTPError](err); silent && p.probe.Kind == ProbeAuto {
		found.proxy = false
		return found, nil // it accepts connections and speaks something else
	}
	found.by, found.answered = provedHTTP, time.Since(asked)
	if proxy {
		found.by, found.proxy = provedProxy, true
	}
	return found, err
}

// connect proves that the destination accepts a connection. That it has not answered yet is said early: what swallows
// packets is a matter of minutes.
func (p prober) connect(ctx context.Context) (tunnel.Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return p.tunnel.Prove(ctx)
}

// dial connects to the forward's listener.
func (p prober) dial(ctx context.Context) (net.Conn, error) {
	network, address := "tcp", reachable(p.tunnel.Addr()).String()
	if socket := p.tunnel.Spec().Socket; socket != "" {
		network, address = "unix", socket
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connect to the forward: %w", err)
	}
	return conn, nil
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

// dropped explains a connection that was closed at once: the tunnel knows more than the socket.
func (p prober) dropped(err error) error {
	remote := p.tunnel.Spec().Remote.String()
	for _, c := range slices.Backward(p.tunnel.Connections()) {
		if c.Err != nil {
			err = c.Err
			break
		}
	}
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
