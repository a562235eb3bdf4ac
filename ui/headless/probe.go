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
	ProbeTCP                   // the destination accepts a connection and keeps it
	ProbeHTTP                  // the destination answers an HTTP request
	ProbeURL                   // a URL is fetched through the proxy at the far end
)

// Probe is how forwards are proved ready; the zero Probe chooses by the remote port.
type Probe struct {
	Kind ProbeKind
	URL  *url.URL // of ProbeURL
}

// How long a probe waits. The agent never says that a connection was accepted (a mux stream has no answer), only that
// it was not: so one that lives on for a while counts as accepted.
const (
	probeTimeout    = 10 * time.Second // for an answer
	urlLegs         = 4                // a URL may take that long for each: CONNECT, TLS, the page, and to find out what went wrong
	silentOnTask    = 300 * time.Millisecond
	silentOnNetwork = time.Second // a remote host is further away than the task itself
)

// proxyPort tells the ports at which an HTTP proxy is expected: Squid's, and the usual other two.
func proxyPort(port uint16) bool { return slices.Contains([]uint16{3128, 8080, 8888}, port) }

// prober proves one forward.
type prober struct {
	tunnel *tunnel.Tunnel
	probe  Probe
	roots  *x509.CertPool // nil are the system's
}

// once probes a single time. It reports whether the far end is an HTTP proxy.
func (p prober) once(ctx context.Context) (proxy bool, err error) {
	patience := probeTimeout
	if p.probe.Kind == ProbeURL {
		patience *= urlLegs
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	proxy, err = p.try(within)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		remote := p.tunnel.Spec().Remote.String()
		err = &ProbeError{
			Problem: fmt.Sprintf("the probe of %s did not end within %s", remote, patience),
			Advice:  "check that what listens on " + remote + " answers, or use --probe none",
		}
	}
	return proxy, err
}

func (p prober) try(ctx context.Context) (proxy bool, err error) {
	remote := p.tunnel.Spec().Remote
	bySquidsPort := remote.Port == 3128
	switch p.probe.Kind {
	case ProbeNone:
		return bySquidsPort, nil
	case ProbeTCP:
		return bySquidsPort, p.tcp(ctx)
	case ProbeHTTP:
		proxy, err = p.http(ctx)
		return proxy || err == nil && bySquidsPort, err
	case ProbeURL:
		return true, p.url(ctx)
	case ProbeAuto:
	}
	if !proxyPort(remote.Port) {
		return false, p.tcp(ctx)
	}
	proxy, err = p.http(ctx)
	if _, silent := errors.AsType[*notHTTPError](err); silent {
		return false, nil // it accepts connections and speaks something else
	}
	return proxy || err == nil && bySquidsPort, err
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

// tcp proves that the destination accepts a connection: it says something or at least keeps it.
func (p prober) tcp(ctx context.Context) error {
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	callOff := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer callOff()
	patience := silentOnTask
	if p.tunnel.Spec().Remote.Host != "" {
		patience = silentOnNetwork
	}
	patience += 4 * p.tunnel.Stats().RoundTrip
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	_, err = conn.Read(make([]byte, 1))
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		return ctx.Err()
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return p.dropped(err)
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
