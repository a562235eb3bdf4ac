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

// newForward is what forwards requests in absolute form, of all clients. To the destination they are as the client wrote them,
// but for what is meant for the proxy alone: nothing tells of culvert, as nothing does of ssh -D.
func (s *Server) newForward() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     transport{},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				panic(http.ErrAbortHandler) // nobody is there to hear it
			}
			refuseFor(w, explained(r, err))
		},
	}
}

// rewrite gives back what ReverseProxy changes for servers behind it.
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
	// The path byte for byte: it may be signed.
	if path := rawPath(p.In.RequestURI); path != p.Out.URL.EscapedPath() && path != "" && !strings.HasPrefix(path, "//") {
		p.Out.URL.Opaque = path
	}
	// The trailers of a request are known after its body.
	if p.In.Trailer == nil && p.In.ContentLength < 0 {
		p.In.Trailer = http.Header{}
	}
	p.Out.Trailer = p.In.Trailer
	if strings.EqualFold(p.Out.Header.Get("Upgrade"), "h2c") { // its settings are for the next hop alone
		p.Out.Header.Del("Upgrade")
		p.Out.Header.Del("Connection")
	}
}

// rawPath is the path of a request target in absolute form.
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
		// Here, and not when a connection is made: a request that is refused is never sent on one that is kept.
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
	// net/http would tell by its content what an answer is of which its server has not said that, and date it.
	w.Header()["Content-Type"], w.Header()["Date"] = nil, nil
	t.server.forward.ServeHTTP(w, r)
}

// transport sends a request on the connections of its client.
type transport struct{}

func (transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t := r.Context().Value(talkKey{}).(*talk) //nolint:forcetypeassert // BaseContext put it there
	return t.links.of(t.server).RoundTrip(r)  //nolint:wrapcheck // explained does
}

// links are the connections to destinations of one client's requests in absolute form.
type links struct {
	transport *http.Transport

	mu     sync.Mutex
	open   map[*link]bool
	closed bool
	dials  sync.WaitGroup
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

// close ends what the client's requests have left: connections, and those that are still being made, as net/http does not end a
// dial with the request for which it was begun.
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

// CloseWrite passes on the end of an upgraded connection.
func (k *link) CloseWrite() error { return closeWrite(k.Conn) }

func (k *link) Close() error {
	k.of.mu.Lock()
	delete(k.of.open, k)
	k.of.mu.Unlock()
	return k.Conn.Close()
}

// exchangeError is a request that was sent, or begun to be, and got no answer.
type exchangeError struct {
	host string
	err  error
}

func (e *exchangeError) Error() string {
	switch CauseOf(e.err) { //nolint:exhaustive // the rest says itself
	case CauseEnded, CauseRefused, CauseClosing:
		return fmt.Sprintf("%s ended the connection without an answer", e.host)
	}
	if strings.Contains(e.err.Error(), "readLoopPeekFail") { // net/http's word for bytes before the request
		return fmt.Sprintf("no answer from %s: it speaks before it is asked, so it is no web server", e.host)
	}
	return fmt.Sprintf("no answer from %s: %v", e.host, e.err)
}

func (e *exchangeError) Unwrap() error { return e.err }

// Cause is that of a connection that was one.
func (e *exchangeError) Cause() Cause { return CauseEnded }

// Remedy says where to look.
func (e *exchangeError) Remedy() string {
	if remedy := say.Remedy(e.err); remedy != "" {
		return remedy
	}
	return "look at the log of " + e.host + "; does it speak HTTP without TLS on that port?"
}

// dialError marks what says itself why there is no connection.
type dialError struct{ error }

// explained gives the error of a transport a cause and a remedy, where it has none: an exchange on a connection that was one.
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
