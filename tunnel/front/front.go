// Package front is a proxy for clients on this machine: HTTP/1 (CONNECT and absolute form), SOCKS 5, 4 and 4a on one listener, told
// apart by the first byte, and /proxy.pac. It knows no sessions: where a host is to be reached, and how, a Dialer says.
//
// Two parts of it are the standard library's: net/http's Server reads requests, one Server for all clients and a listener of one
// connection for each, and httputil's ReverseProxy forwards those in absolute form, by a Transport of the client's own, whose
// connections end with the client's. What libraries there are for proxies cost each start their initialisation (goproxy), resolve
// names themselves and know neither SOCKS 4 nor causes (go-socks5): a hundred lines of socks.go take the place of the latter.
//
// No web page can use the proxy by itself. A browser that is made to connect to the listener sends a request in origin form or a
// TLS handshake, and gets a refusal and the end of the connection; /proxy.pac is for those alone who ask by the listener's own
// name, and no script reads it.
//
// What is loopback or link-local is never connected to, in whatever spelling. Where a name leads that goes through the task only
// its agent knows; of one that goes directly each address is looked at.
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

// greetWithin is how long a client may take to say what it wants: its first byte, and from then on the whole of its request.
const greetWithin = 60 * time.Second

// leaveWithin is how long a client that was refused may take to hear of it.
const leaveWithin = time.Second

// Dialer connects to a host and port that a client has asked for: a name in small letters and in punycode, without a final dot,
// or an address without brackets. The connection is proved when Dial returns: its destination has taken it. ctx ends when the
// client is gone, and says nothing of the connection from then on. The error of a connection that did not come about may have the
// method of CauseOf; its text and its remedy are shown to the client. A connection that can pass on a half-close has CloseWrite.
type Dialer interface {
	Dial(ctx context.Context, host string, port uint16) (net.Conn, error)
}

// Options of a Server.
type Options struct {
	Through Dialer   // for what Rules send through the task
	Direct  Dialer   // for the rest; nil is Direct, this machine's own network
	Rules   Rules    // which is which
	Names   []string // the hosts, with ports, by which the listener may be addressed: others are refused
	// Own reports whether a host is one that culvert needs to reach AWS: it never goes through the task, but directly, as culvert's
	// own calls do. Nil is none.
	Own func(host string) bool
	// Gone reports whether a client that has finished sending is gone altogether, where the system tells. It is asked again and
	// again where the client's end cannot be passed on. Nil is never known.
	Gone func(client net.Conn) (gone, known bool)
	Log  *slog.Logger // nil is none
}

// Server speaks with clients. Its methods are safe for concurrent use.
type Server struct {
	options Options
	names   map[string]bool
	http    *http.Server
	forward http.Handler
}

// New returns a server for connections that somebody else accepts.
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

// Serve speaks with one client until it or ctx ends, and closes the connection. When it returns, all that it has opened is
// closed. The error says what the client did that no proxy understands; it is nil also of a client that was refused.
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
		return nil // it has said nothing, and is gone
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

// begins reports whether a request of HTTP may begin with a byte: with the token that is its method (RFC 9110, 5.6.2).
func begins(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// LanguageError is a client that speaks nothing that a proxy understands.
type LanguageError struct {
	First  byte // the first that it said
	Silent bool // it said nothing
}

// firstOfTLS is the type of a record of TLS that begins a handshake (RFC 8446, 5.1).
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

// Remedy says what the listener is.
func (e *LanguageError) Remedy() string {
	if e.First == firstOfTLS {
		return "write the proxy's address with http://, not https://: what goes through it is encrypted all the same when the host asked for is https://"
	}
	return "this is a proxy for HTTP and SOCKS: write its address with http:// or socks5h://; a port for one host is what -L forwards"
}

// Cause is CauseMalformed.
func (e *LanguageError) Cause() Cause { return CauseMalformed }

// refuseLanguage says so in HTTP, the one language in which it may be read: a client of TLS calls it a wrong version.
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

// leave lets a client read the last that it was told: with bytes of its own unread, a connection that is closed would be reset,
// and the refusal lost.
func leave(client net.Conn) {
	if closeWrite(client) != nil {
		return
	}
	_ = client.SetReadDeadline(time.Now().Add(leaveWithin))
	_, _ = io.Copy(io.Discard, io.LimitReader(client, maxHead))
}

// plainResponse keeps an answer for a client that no http.Server speaks with.
type plainResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *plainResponse) Header() http.Header         { return w.header }
func (w *plainResponse) WriteHeader(status int)      { w.status = status }
func (w *plainResponse) Write(p []byte) (int, error) { return w.body.Write(p) } //nolint:wrapcheck // a buffer's

func (w *plainResponse) writeTo(to io.Writer) (int64, error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %d\r\n", w.status, http.StatusText(w.status), w.body.Len())
	_ = w.header.Write(&text)
	text.WriteString("\r\n")
	_, _ = w.body.WriteTo(&text)
	return text.WriteTo(to) //nolint:wrapcheck // whether it was written is all that counts
}

// dial connects to what a client asks for, or says why not.
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
		return s.options.Direct.Dial(ctx, h.name, port) //nolint:wrapcheck // it says what it is
	}
	return s.options.Through.Dial(ctx, h.name, port) //nolint:wrapcheck // likewise
}

// parseAuthority reads HOST:PORT; the port may be missing when there is a default, which is not 0.
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
