package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"culvert/internal/say"
)

// idleFar is how long a connection to a destination is kept for the next request of the same client.
const idleFar = 60 * time.Second

// newForward returns the handler that forwards all clients' requests in absolute form. Destinations get the requests as the
// clients wrote them, less what is meant for the proxy alone; nothing in them tells that they went through culvert, just as with
// ssh -D.
func (s *Server) newForward() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     transport{},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				panic(http.ErrAbortHandler) // the client is gone
			}
			refuseFor(w, explained(r, err))
		},
	}
}

// rewrite undoes what ReverseProxy changes in a request.
func rewrite(p *httputil.ProxyRequest) {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = values
		}
	}
	p.Out.Host = p.In.Host
	p.Out.URL.Scheme = "http"
	p.Out.URL.User = nil
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	// The path has to stay the same byte for byte, as it may be signed.
	if path := rawPath(p.In.RequestURI); path != p.Out.URL.EscapedPath() && path != "" && !strings.HasPrefix(path, "//") {
		p.Out.URL.Opaque = path
	}
	// The trailers of a request are known only after its body.
	if p.In.Trailer == nil && p.In.ContentLength < 0 {
		p.In.Trailer = http.Header{}
	}
	p.Out.Trailer = p.In.Trailer
	if strings.EqualFold(p.Out.Header.Get("Upgrade"), "h2c") { // an upgrade to h2c is for the next hop alone, which is this proxy
		p.Out.Header.Del("Upgrade")
		p.Out.Header.Del("Connection")
	}
}

// rawPath is the path of a request target in absolute form, as it is written there.
func rawPath(target string) string {
	_, after, _ := strings.Cut(target, "://")
	i := strings.IndexAny(after, "/?")
	if i < 0 {
		return ""
	}
	path, _, _ := strings.Cut(after[i:], "?")
	return path
}

// absolute forwards a request in absolute form.
func (t *talk) absolute(w http.ResponseWriter, r *http.Request) {
	name, port, err := splitAuthority(r.URL.Host, 80)
	switch scheme := strings.ToLower(r.URL.Scheme); {
	case scheme != "http" && scheme != "ws":
		err = fmt.Errorf("%s:// does not go through a proxy in this form: a client asks for such a host by CONNECT", say.Brief(scheme))
	case err == nil:
		// The rules are asked for each request, not only when a connection is made: else a request could go out on a kept
		// connection to a host that they refuse.
		h, _, err := t.server.options.Rules.resolve(name, port)
		if err != nil {
			refuseFor(w, err)
			return
		}
		r.URL.Host = authority(h, port)
	}
	if err != nil {
		refuseFor(w, &RefusalError{Host: name, Port: port, Why: CauseMalformed, Detail: err.Error()})
		return
	}
	// Without this net/http would add a Content-Type that it guesses, and a Date, to an answer that has none.
	w.Header()["Content-Type"], w.Header()["Date"] = nil, nil
	t.server.forward.ServeHTTP(w, r)
}

// transport sends each request over the connections that belong to the request's client.
type transport struct{}

func (transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t := r.Context().Value(talkKey{}).(*talk) //nolint:forcetypeassert // BaseContext put it there
	return t.links.of(t.server).RoundTrip(r)  //nolint:wrapcheck // the function explained does that
}

// links are the connections to destinations over which the requests in absolute form of one client go.
type links struct {
	transport *http.Transport

	mu     sync.Mutex
	open   map[*link]bool
	closed bool
	dials  sync.WaitGroup // dials under way
}

func (l *links) of(s *Server) *http.Transport {
	if l.transport != nil {
		return l.transport
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	l.open = map[*link]bool{}
	l.transport = &http.Transport{
		DialContext:            func(ctx context.Context, _, to string) (net.Conn, error) { return l.dial(ctx, s, to) },
		DisableCompression:     true,
		Protocols:              &protocols,
		MaxIdleConnsPerHost:    1,
		MaxIdleConns:           8,
		IdleConnTimeout:        idleFar,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
	return l.transport
}

func (l *links) dial(ctx context.Context, s *Server, to string) (net.Conn, error) {
	name, port, err := splitAuthority(to, 0)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, net.ErrClosed
	}
	l.dials.Add(1)
	l.mu.Unlock()
	defer l.dials.Done()
	conn, err := s.dial(ctx, name, port)
	if err != nil {
		return nil, &dialError{err}
	}
	k := &link{Conn: conn, of: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || ctx.Err() != nil {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	l.open[k] = true
	return k, nil
}

// close closes the connections that are left, and waits for dials that are under way, as net/http does not end a dial together
// with the request for which it was begun.
func (l *links) close() {
	if l.transport == nil {
		return
	}
	l.mu.Lock()
	l.closed = true
	for k := range l.open {
		_ = k.Conn.Close()
	}
	l.mu.Unlock()
	l.transport.CloseIdleConnections()
	l.dials.Wait()
}

// link is a connection to a destination.
type link struct {
	net.Conn

	of *links
}

// CloseWrite passes on that the client of an upgraded connection has finished sending.
func (k *link) CloseWrite() error { return closeWrite(k.Conn) }

func (k *link) Close() error {
	k.of.mu.Lock()
	delete(k.of.open, k)
	k.of.mu.Unlock()
	return k.Conn.Close()
}

// exchangeError means that a request got no answer after it was sent, wholly or in part.
type exchangeError struct {
	host string
	err  error
}

func (e *exchangeError) Error() string {
	switch CauseOf(e.err) { //nolint:exhaustive // the texts of the others are clear enough
	case CauseEnded, CauseRefused, CauseClosing:
		return fmt.Sprintf("%s ended the connection without an answer", e.host)
	}
	if strings.Contains(e.err.Error(), "readLoopPeekFail") { // net/http says so when bytes come before the request
		return fmt.Sprintf("no answer from %s: it speaks before it is asked, so it is no web server", e.host)
	}
	return fmt.Sprintf("no answer from %s: %v", e.host, e.err)
}

func (e *exchangeError) Unwrap() error { return e.err }

// Cause is CauseEnded, as there was a connection.
func (e *exchangeError) Cause() Cause { return CauseEnded }

// Remedy says where to look.
func (e *exchangeError) Remedy() string {
	if remedy := say.Remedy(e.err); remedy != "" {
		return remedy
	}
	return "look at the log of " + e.host + "; does it speak HTTP without TLS on that port?"
}

// dialError marks an error of a dial, which explains itself.
type dialError struct{ error }

// explained makes an *exchangeError, with a cause and a remedy, of an error of a transport that has no cause. It returns errors
// of a dial as they are.
func explained(r *http.Request, err error) error {
	if e, ok := errors.AsType[*dialError](err); ok {
		return e.error
	}
	if _, ok := errors.AsType[interface {
		error
		Cause() Cause
	}](err); ok {
		return err
	}
	return &exchangeError{host: say.Brief(r.URL.Host), err: err}
}
