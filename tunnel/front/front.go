// Package front is a proxy for clients on this machine: HTTP/1 (CONNECT and absolute form), SOCKS 5, 4 and 4a on one listener,
// told apart by the first byte, and /proxy.pac. The package knows nothing of sessions: a Dialer makes the connections to hosts.
//
// Two parts of the proxy are the standard library's. net/http's Server reads requests: there is one Server for all clients, which
// gets a listener with a single connection for each of them. httputil's ReverseProxy forwards requests in absolute form, by a
// Transport of the client's own, whose connections end with that of the client. The libraries that there are for proxies did not
// fit: goproxy's initialisation costs time at each start, and go-socks5 resolves names itself and knows neither SOCKS 4 nor
// causes; the hundred lines of socks.go do.
//
// A web page cannot use the proxy by itself. A browser that a page makes connect to the listener sends a request in origin form
// or a TLS handshake, and gets a refusal and the end of the connection. /proxy.pac is only for requests that name the listener as
// their host, and no script of another page can read it.
//
// The proxy never connects to loopback or link-local addresses, however they are spelled. To which address a name leads that goes
// through the task, only the task's agent knows; for a name that goes directly each address is checked.
package front

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// greetWithin is how long a client may take to send its first byte, and after that to send the whole of its first request.
const greetWithin = 60 * time.Second

// leaveWithin is how long a client that was refused may take to read that.
const leaveWithin = time.Second

// Dialer connects to a host and port that a client has asked for. host is a name in small letters and in punycode, without a
// final dot, or an address without brackets. Dial returns only when the destination has accepted the connection. ctx ends when
// the client is gone; after Dial has returned, ctx has no influence on the connection. An error may have a method Cause
// (CauseOf); its text and its remedy are shown to the client. A connection that can pass on a half-close has a method CloseWrite.
type Dialer interface {
	Dial(ctx context.Context, host string, port uint16) (net.Conn, error)
}

// Options of a Server.
type Options struct {
	Through Dialer   // for hosts that Rules send through the task
	Direct  Dialer   // for the others; nil is Direct{}, this machine's own network
	Rules   Rules    // say which hosts go which way
	Names   []string // the hosts, with ports, by which clients may address the listener; requests to the proxy under another name are refused
	// Own reports whether a host is one that culvert needs to reach AWS. Connections to such a host never go through the task,
	// but directly, as culvert's own calls do. Nil: no host is.
	Own func(host string) bool
	// Gone reports whether a client that has finished sending is gone altogether, where the system tells. It is called again and
	// again where the client's end cannot be passed on to the far side. Nil: that is never known.
	Gone func(client net.Conn) (gone, known bool)
	Log  *slog.Logger // nil: nothing is logged
}

// Server serves the clients of the proxy. Its methods are safe for concurrent use.
type Server struct {
	options Options
	names   map[string]bool
	http    *http.Server
	forward http.Handler
}

// New returns a server, which gets the connections of clients by Serve.
func New(o Options) *Server {
	o.Direct = cmp.Or[Dialer](o.Direct, Direct{})
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	s := &Server{options: o, names: map[string]bool{}}
	for _, name := range o.Names {
		if h, port, err := parseAuthority(name, 80); err == nil {
			s.names[authority(h, port)] = true
		}
	}
	s.http = s.newHTTP()
	s.forward = s.newForward()
	return s
}

// Serve serves one client until the client or ctx ends, and closes its connection. When Serve returns, all that it has opened is
// closed. The error says what the client did that no proxy understands; it is nil also when the client was refused a connection.
func (s *Server) Serve(ctx context.Context, client net.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _ = client.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()

	var first [1]byte
	_ = client.SetReadDeadline(time.Now().Add(greetWithin))
	if _, err := io.ReadFull(client, first[:]); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return &LanguageError{Silent: true}
		}
		return nil // the client is gone without having sent anything
	}
	switch c := first[0]; {
	case c == 5:
		return s.serveSOCKS5(ctx, client)
	case c == 4:
		return s.serveSOCKS4(ctx, client)
	case begins(c):
		return s.serveHTTP(ctx, client, c)
	default:
		return s.refuseLanguage(client, c)
	}
}

// begins reports whether an HTTP request may begin with a byte, that is whether a method may: a token (RFC 9110, 5.6.2).
func begins(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// LanguageError means that a client speaks no protocol that the proxy understands.
type LanguageError struct {
	First  byte // the first byte that the client sent
	Silent bool // the client sent nothing
}

// firstOfTLS is the first byte of a TLS handshake: the type of its record (RFC 8446, 5.1).
const firstOfTLS = 0x16

func (e *LanguageError) Error() string {
	switch {
	case e.Silent:
		return fmt.Sprintf("the client said nothing for %s", greetWithin)
	case e.First == firstOfTLS:
		return "the client began with TLS, which this proxy does not speak itself"
	}
	return fmt.Sprintf("the client's first byte, 0x%02x, is neither HTTP nor SOCKS 5 or 4", e.First)
}

// Remedy says how the proxy's address is to be written.
func (e *LanguageError) Remedy() string {
	if e.First == firstOfTLS {
		return "write the proxy's address with http://, not https://: what goes through it is encrypted all the same when the host asked for is https://"
	}
	return "this is a proxy for HTTP and SOCKS: write its address with http:// or socks5h://; a port for one host is what -L forwards"
}

// Cause is CauseMalformed.
func (e *LanguageError) Cause() Cause { return CauseMalformed }

// refuseLanguage answers in HTTP, the protocol in which the refusal is most likely to be read; a TLS client will report a wrong
// version.
func (s *Server) refuseLanguage(client net.Conn, first byte) error {
	said := &LanguageError{First: first}
	s.options.Log.Debug("refused a client", "error", said)
	w := &plainResponse{header: http.Header{}}
	refuseFor(w, said)
	_ = client.SetDeadline(time.Now().Add(leaveWithin))
	_, _ = w.writeTo(client)
	leave(client)
	return said
}

// leave lets a client read the refusal that it was sent: closing the connection while bytes of the client are unread would reset
// it, and the refusal could be lost.
func leave(client net.Conn) {
	if closeWrite(client) != nil {
		return
	}
	_ = client.SetReadDeadline(time.Now().Add(leaveWithin))
	_, _ = io.Copy(io.Discard, io.LimitReader(client, maxHead))
}

// plainResponse is the http.ResponseWriter of a refusal to a client that no http.Server serves.
type plainResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *plainResponse) Header() http.Header         { return w.header }
func (w *plainResponse) WriteHeader(status int)      { w.status = status }
func (w *plainResponse) Write(p []byte) (int, error) { return w.body.Write(p) } //nolint:wrapcheck // a buffer never fails

func (w *plainResponse) writeTo(to io.Writer) (int64, error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %d\r\n", w.status, http.StatusText(w.status), w.body.Len())
	_ = w.header.Write(&text)
	text.WriteString("\r\n")
	_, _ = w.body.WriteTo(&text)
	return text.WriteTo(to) //nolint:wrapcheck // it only matters whether it was written
}

// dial connects to the host that a client asks for, and logs it when that fails.
func (s *Server) dial(ctx context.Context, name string, port uint16) (net.Conn, error) {
	conn, err := s.connect(ctx, name, port)
	if err != nil && ctx.Err() == nil {
		s.options.Log.Debug("a client gets no connection", "host", name, "port", port, "error", err)
	}
	return conn, err
}

func (s *Server) connect(ctx context.Context, name string, port uint16) (net.Conn, error) {
	h, way, err := s.options.Rules.resolve(name, port)
	switch {
	case err != nil:
		return nil, err
	case s.names[authority(h, port)]:
		return nil, &RefusalError{Host: h.name, Port: port, Why: CauseOwn}
	case way == Directly, s.options.Own != nil && s.options.Own(h.name):
		return s.options.Direct.Dial(ctx, h.name, port) //nolint:wrapcheck // a Dialer's errors explain themselves
	}
	return s.options.Through.Dial(ctx, h.name, port) //nolint:wrapcheck // likewise
}

// parseAuthority reads HOST:PORT. The port may be missing if fallback, which is taken then, is not 0.
func parseAuthority(text string, fallback uint16) (host, uint16, error) {
	name, port, err := splitAuthority(text, fallback)
	if err != nil {
		return host{}, 0, err
	}
	h, err := parseHost(name)
	return h, port, err
}

func splitAuthority(text string, fallback uint16) (name string, port uint16, err error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 || strings.HasSuffix(text, "]") {
		if fallback == 0 {
			return "", 0, errNoPort
		}
		return text, fallback, nil
	}
	n, err := strconv.ParseUint(text[i+1:], 10, 16)
	if err != nil || n == 0 || strings.Trim(text[i+1:], "0123456789") != "" {
		return "", 0, errNoPort
	}
	if strings.Contains(text[:i], ":") && !strings.HasPrefix(text, "[") {
		return "", 0, errors.New("an IPv6 address is written in brackets before a port")
	}
	return text[:i], uint16(n), nil
}

func authority(h host, port uint16) string {
	return net.JoinHostPort(h.name, strconv.Itoa(int(port)))
}
