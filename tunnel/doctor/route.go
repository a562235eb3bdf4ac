package doctor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Route is a way to web servers: through an HTTP or SOCKS5 proxy, or directly to one server.
type Route struct {
	Dial     Dial           // leads to an HTTP proxy, unless Direct or SOCKS is set
	Direct   bool           // Dial leads to the server itself
	SOCKS    bool           // Dial leads to a SOCKS5 proxy
	Login    *Login         // for the proxy
	Roots    *x509.CertPool // for the server's certificate; nil are the system's
	Patience time.Duration  // how long each leg may take; 0 is defaultPatience
}

// Trip is what was seen of a request over a route.
type Trip struct {
	Legs   []Leg
	Status int    // of the server's answer; 0 without one
	Server string // how the server names itself, or the proxy that refused
	Issuer string // of the server's certificate
}

// Leg is a part of a trip and how long it took.
type Leg struct {
	Name string
	Took time.Duration
}

func (t *Trip) leg(name string, since time.Time) {
	t.Legs = append(t.Legs, Leg{Name: name, Took: time.Since(since)})
}

// Evidence lists the legs, the status and the issuer of the certificate.
func (t *Trip) Evidence() []string {
	legs := make([]string, 0, len(t.Legs)+1)
	for _, l := range t.Legs {
		legs = append(legs, l.Name+" "+brief(l.Took))
	}
	evidence := []string{strings.Join(legs, ", ")}
	if t.Status != 0 {
		evidence = append(evidence, fmt.Sprintf("status %d", t.Status))
	}
	if t.Issuer != "" {
		evidence = append(evidence, "certificate by "+quoted(t.Issuer))
	}
	return evidence
}

// Fetch asks for a page and follows no redirect. The error says what stands in the way: a *RefusalError, *SchemeError,
// *CertificateError, *CutError, *MuteError, a *StatusError for a server's own status from 400 on, or one of the connection.
func (r Route) Fetch(ctx context.Context, u *url.URL) (*Trip, error) {
	if r.Patience == 0 {
		r.Patience = defaultPatience
	}
	trip := &Trip{}
	started := time.Now()
	conn, stop, err := open(ctx, r.Dial)
	if err != nil {
		return trip, err
	}
	defer stop()
	w := &walk{Route: r, trip: trip, url: u, conn: conn, r: bufio.NewReader(conn)}
	w.leg("connect", started)
	err = w.run(ctx)
	if ctx.Err() != nil && err != nil {
		return trip, context.Cause(ctx)
	}
	return trip, err
}

// walk is one Fetch under way.
type walk struct {
	Route

	trip *Trip
	url  *url.URL
	conn net.Conn
	r    *bufio.Reader
}

func (w *walk) leg(name string, since time.Time) { w.trip.leg(name, since) }

func (w *walk) host() string { return w.url.Hostname() }

func (w *walk) port() string {
	if p := w.url.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443", "tls": "443"}[w.url.Scheme]
}

func (w *walk) address() string { return net.JoinHostPort(w.host(), w.port()) }

func (w *walk) run(ctx context.Context) error {
	secure := w.url.Scheme == "https" || w.url.Scheme == "tls"
	if w.SOCKS {
		if err := w.socks(); err != nil {
			return err
		}
		w.Direct = true // from here on
	}
	if secure && !w.Direct {
		if err := w.tunnel(ctx); err != nil {
			return err
		}
	}
	if secure {
		if err := w.secure(ctx); err != nil {
			return err
		}
	}
	if w.url.Scheme == "tls" {
		return nil
	}
	return w.get(ctx, secure)
}

// socks has a SOCKS5 proxy connect to the server.
func (w *walk) socks() error {
	started := time.Now()
	until := started.Add(w.Patience)
	if err := w.conn.SetDeadline(until); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	err := throughSOCKS(w.conn, w.Login, w.host(), w.port(), until)
	if err != nil && !is[*RefusalError](err) {
		return w.unanswered("SOCKS5", err, time.Since(started))
	}
	w.leg("SOCKS5", started)
	return err
}

// tunnel asks the proxy for a connection to the server.
func (w *walk) tunnel(ctx context.Context) error {
	started := time.Now()
	answer, err := w.ask("CONNECT "+w.address()+" HTTP/1.1\r\nHost: "+w.address()+"\r\nUser-Agent: culvert\r\n"+w.Login.header()+"\r\n", http.MethodConnect)
	if err != nil {
		return w.unanswered(http.MethodConnect, err, time.Since(started))
	}
	defer answer.Body.Close() //nolint:errcheck // the connection goes on
	w.leg("CONNECT", started)
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	refused := Refused(http.MethodConnect, w.host(), w.port(), answer, time.Since(started))
	w.trip.Server = refused.Server
	return w.refine(ctx, refused)
}

// ask writes a request and reads the head of the answer.
func (w *walk) ask(request, method string) (*http.Response, error) {
	if err := w.conn.SetDeadline(time.Now().Add(w.Patience)); err != nil {
		return nil, fmt.Errorf("set a deadline: %w", err)
	}
	if _, err := io.WriteString(w.conn, request); err != nil {
		return nil, err
	}
	return http.ReadResponse(w.r, &http.Request{Method: method})
}

// unanswered is the error for a request to the proxy that got no answer.
func (w *walk) unanswered(method string, err error, after time.Duration) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &RefusalError{Reason: ReasonDropped, Host: w.host(), Port: w.port(), Method: method, After: after}
	}
	return &CutError{Host: "the proxy", Problem: "it hangs up on " + method, Err: err}
}

// refine finds out whether a proxy's rule is about the host or the port, by asking for the same host on port 443, which a proxy
// allows whenever it allows the host.
func (w *walk) refine(ctx context.Context, e *RefusalError) error {
	if e.Reason != ReasonRule {
		return e
	}
	if e.Method == http.MethodConnect && w.port() == "443" {
		e.Reason = ReasonHost
		return e
	}
	if denied, known := w.denies(ctx, "443"); known && denied {
		e.Reason = ReasonHost
	} else if known {
		e.Reason = ReasonPort
	}
	return e
}

// denies reports whether the proxy's rules refuse a CONNECT to the host on another port. known is false when that could not be
// found out.
func (w *walk) denies(ctx context.Context, port string) (denied, known bool) {
	conn, stop, err := open(ctx, w.Dial)
	if err != nil {
		return false, false
	}
	defer stop()
	other := &walk{Route: w.Route, trip: &Trip{}, url: w.url, conn: conn, r: bufio.NewReader(conn)}
	address := net.JoinHostPort(w.host(), port)
	answer, err := other.ask("CONNECT "+address+" HTTP/1.1\r\nHost: "+address+"\r\n\r\n", http.MethodConnect)
	if err != nil {
		return false, errors.Is(err, os.ErrDeadlineExceeded) // a proxy that takes long is trying to connect, so its rules allow it
	}
	defer answer.Body.Close() //nolint:errcheck // not read
	return answer.StatusCode == http.StatusForbidden, true
}

// secure makes the TLS handshake with the server.
func (w *walk) secure(ctx context.Context) error {
	started := time.Now()
	if err := w.conn.SetDeadline(time.Now().Add(w.Patience)); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	settings := &tls.Config{ServerName: w.host(), RootCAs: w.Roots, MinVersion: tls.VersionTLS12}
	conn := tls.Client(&bufferedConn{Conn: w.conn, r: w.r}, settings)
	if err := conn.HandshakeContext(ctx); err != nil {
		return w.tlsError(err)
	}
	w.leg("TLS", started)
	if chain := conn.ConnectionState().PeerCertificates; len(chain) > 0 {
		w.trip.Issuer = chain[0].Issuer.String()
	}
	w.conn, w.r = conn, bufio.NewReader(conn)
	return nil
}

// bufferedConn is a connection that is read through a buffer, in which bytes may wait that were read ahead.
type bufferedConn struct {
	net.Conn

	r *bufio.Reader
}

// Read implements net.Conn.
func (c *bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// tlsError is the error for a TLS handshake that failed.
func (w *walk) tlsError(err error) error {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateError(w.host(), e)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &SchemeError{Host: w.address()}
	}
	problem := "it hangs up in the TLS handshake"
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &MuteError{Host: w.address(), Asked: "a TLS handshake", After: w.Patience}
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		problem = "the TLS handshake fails"
	}
	return &CutError{Host: w.address(), Problem: problem, Err: err}
}

func certificateError(host string, e *tls.CertificateVerificationError) error {
	c := &CertificateError{Host: host, Problem: OtherwiseInvalid, Err: e.Err}
	if len(e.UnverifiedCertificates) > 0 {
		leaf := e.UnverifiedCertificates[0]
		c.Subject, c.Issuer, c.Names, c.Expired = leaf.Subject.String(), leaf.Issuer.String(), leaf.DNSNames, leaf.NotAfter
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](e.Err); ok {
		c.Problem = UnknownAuthority
	}
	if _, ok := errors.AsType[x509.HostnameError](e.Err); ok {
		c.Problem = WrongName
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](e.Err); ok && invalid.Reason == x509.Expired {
		c.Problem = OutOfDate
	}
	return c
}

// get asks for the page: in absolute form where the proxy is at the other end of the connection, else in origin form.
func (w *walk) get(ctx context.Context, secure bool) error {
	started := time.Now()
	where := *w.url
	where.User, where.Fragment = nil, ""
	target, login := where.RequestURI(), ""
	if !secure && !w.Direct {
		target, login = where.String(), w.Login.header()
	}
	host := w.url.Host
	answer, err := w.ask("GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\nUser-Agent: culvert\r\nAccept: */*\r\nConnection: close\r\n"+login+"\r\n", http.MethodGet)
	if err != nil {
		return w.noPage(ctx, err, secure, time.Since(started))
	}
	defer answer.Body.Close() //nolint:errcheck // only its beginning is read
	w.leg("answer", started)
	w.trip.Server = answer.Header.Get("Server")
	if !secure && !w.Direct {
		if refused := Refused(http.MethodGet, w.host(), w.port(), answer, time.Since(started)); refused != nil {
			return w.refine(ctx, refused)
		}
	}
	w.trip.Status = answer.StatusCode
	if answer.StatusCode < http.StatusBadRequest {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 2048))
	if answer.StatusCode == http.StatusBadRequest && !secure && bytes.Contains(bytes.ToUpper(body), []byte("HTTPS")) {
		return &SchemeError{Host: w.address(), TLS: true} // in nginx's, Apache's and Go's own words
	}
	return &StatusError{URL: where.Redacted(), Status: answer.StatusCode, Server: w.trip.Server}
}

// noPage is the error for a request for a page that got no answer.
func (w *walk) noPage(ctx context.Context, err error, secure bool, after time.Duration) error {
	silent := errors.Is(err, os.ErrDeadlineExceeded)
	mute := &MuteError{Host: w.address(), Asked: "a request", After: after}
	switch {
	case silent && (secure || w.Direct):
		return mute
	case secure || w.Direct:
		return &CutError{Host: w.address(), Problem: "it hangs up on the request", Err: err}
	case !silent:
		return w.unanswered(http.MethodGet, err, after)
	}
	// The proxy has not answered yet. A CONNECT shows whether it reaches the server.
	conn, stop, dialErr := open(ctx, w.Dial)
	if dialErr != nil {
		return w.unanswered(http.MethodGet, err, after)
	}
	defer stop()
	other := &walk{Route: w.Route, trip: &Trip{}, url: w.url, conn: conn, r: bufio.NewReader(conn)}
	if other.tunnel(ctx) == nil {
		return mute
	}
	return w.unanswered(http.MethodGet, err, after)
}
