package front

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"culvert/internal/say"
)

const (
	// maxHead bounds the head of a request, in bytes; net/http adds 4 KiB to it.
	maxHead = 60 << 10
	// idleWithin is how long a client may keep its connection between two requests.
	idleWithin = 2 * time.Minute
)

// newHTTP returns the server that reads the requests of all HTTP clients.
func (s *Server) newHTTP() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           http.HandlerFunc(s.handle),
		ReadHeaderTimeout: greetWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHead,
		Protocols:         &protocols,

		DisableGeneralOptionsHandler: true,

		ErrorLog: slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
		// Each listener is a talk, so that of one client.
		BaseContext: func(l net.Listener) context.Context {
			t := l.(*talk) //nolint:forcetypeassert // serveHTTP made it
			return context.WithValue(t.ctx, talkKey{}, t)
		},
		ConnState: func(conn net.Conn, state http.ConnState) {
			t := conn.(*begun).talk //nolint:forcetypeassert // talk.Accept gave it
			switch state {
			case http.StateClosed:
				t.finished()
			case http.StateHijacked:
				t.hijacked = true
			case http.StateNew, http.StateActive, http.StateIdle:
			}
		},
	}
}

// talkKey is the key under which the context of a request has the talk of its client.
type talkKey struct{}

// talk is one client that speaks HTTP, and at the same time the net.Listener whose only connection the client is.
type talk struct {
	server *Server
	ctx    context.Context //nolint:containedctx // the context of Serve, for BaseContext
	client net.Conn
	first  byte          // the first byte from the client, which was read already
	once   sync.Once     // done when over is closed
	over   chan struct{} // closed when no handler of the client runs any more

	// Only the handlers, which run one after the other, touch what follows, and serveHTTP after over is closed.
	accepted bool     // only Accept touches it
	hijacked bool     // the connection was taken from the http.Server, for a CONNECT or an upgrade
	far      net.Conn // the connection of a CONNECT that was answered
	early    []byte   // bytes that the client sent before the answer to its CONNECT
	links    links    // the connections for requests in absolute form
}

// begun is a client's connection, whose first byte was read already: Read returns that byte first.
type begun struct {
	net.Conn

	talk *talk
	read bool
}

func (b *begun) Read(p []byte) (int, error) {
	if !b.read && len(p) > 0 {
		b.read = true
		p[0] = b.talk.first
		return 1, nil
	}
	return b.Conn.Read(p)
}

// CloseWrite is called by net/http after a refusal, so that the client can read it although it may still be sending.
func (b *begun) CloseWrite() error { return closeWrite(b.Conn) }

// Accept returns the client's connection; the next call waits until the talk is over.
func (t *talk) Accept() (net.Conn, error) {
	if !t.accepted {
		t.accepted = true
		return &begun{Conn: t.client, talk: t}, nil
	}
	<-t.over
	return nil, net.ErrClosed
}

// Close does nothing: the talk ends with its connection.
func (t *talk) Close() error { return nil }

// Addr is the address at which the client has connected.
func (t *talk) Addr() net.Addr { return t.client.LocalAddr() }

func (t *talk) finished() { t.once.Do(func() { close(t.over) }) }

// serveHTTP serves an HTTP client to its end, or until a CONNECT is answered, and then relays the connection of that.
func (s *Server) serveHTTP(ctx context.Context, client net.Conn, first byte) error {
	_ = client.SetReadDeadline(time.Time{})
	t := &talk{server: s, ctx: ctx, client: client, first: first, over: make(chan struct{})}
	_ = s.http.Serve(t) // the error is the net.ErrClosed of Accept
	t.links.close()
	if t.far == nil {
		return nil
	}
	r := &relay{client: client, far: t.far, gone: s.options.Gone, over: make(chan struct{})}
	r.run(ctx, t.early)
	return nil
}

// handle answers one request.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	t := r.Context().Value(talkKey{}).(*talk) //nolint:forcetypeassert // BaseContext put it there
	defer func() {
		if t.hijacked {
			t.finished()
		}
	}()
	switch {
	case r.Method == http.MethodConnect && !strings.HasPrefix(r.RequestURI, "/"):
		t.connect(w, r)
	case r.URL.IsAbs():
		t.absolute(w, r)
	default:
		s.origin(w, r)
	}
}

// connect answers CONNECT when the destination has accepted the connection. The connection itself it leaves to serveHTTP, in
// t.far.
func (t *talk) connect(w http.ResponseWriter, r *http.Request) {
	name, port, err := splitAuthority(r.RequestURI, 0)
	if err != nil {
		refuseFor(w, &RefusalError{Host: r.RequestURI, Why: CauseMalformed, Detail: "CONNECT " + say.Brief(r.RequestURI) + ": " + err.Error()})
		return
	}
	far, err := t.server.dial(r.Context(), name, port)
	switch {
	case r.Context().Err() != nil: // the client is gone
		if far != nil {
			_ = far.Close()
		}
		panic(http.ErrAbortHandler)
	case err != nil:
		refuseFor(w, err)
		return
	}
	_, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = far.Close()
		return
	}
	if n := buffered.Reader.Buffered(); n > 0 {
		early, _ := buffered.Peek(n)
		t.early = append(t.early, early...)
	}
	if _, err := t.client.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		_ = far.Close()
		return
	}
	t.far = far
}

// errWebServer is the answer to clients that take the listener for a web server.
var errWebServer = errors.New("this is a proxy, not a web server")

// origin answers a request in origin form, with the PAC file where the request asks for it under the listener's name, else with a
// refusal. Requests that a web page can make a browser send have this form. After a refusal the connection ends, so that nothing
// in the body of such a request is taken for another request.
func (s *Server) origin(w http.ResponseWriter, r *http.Request) {
	if status, err := s.foreign(r); err != nil {
		s.options.Log.Debug("refused a request to the proxy itself", "error", err)
		closing := &closingResponse{w}
		refuse(closing, status, "http_request_denied", err)
		return
	}
	s.servePAC(w, r)
}

// closingResponse is a response after which the connection ends.
type closingResponse struct{ http.ResponseWriter }

func (w *closingResponse) WriteHeader(status int) {
	w.Header().Set("Connection", "close")
	w.ResponseWriter.WriteHeader(status)
}

// foreign says why a request in origin form is refused; the error is nil for a request that may have the PAC file.
func (s *Server) foreign(r *http.Request) (status int, err error) {
	h, port, err := parseAuthority(r.Host, 80)
	site := r.Header.Get("Sec-Fetch-Site")
	switch {
	case err != nil || !s.names[authority(h, port)]:
		// The owner of any name can make it lead here (DNS rebinding); then a page of that owner would have the same origin as
		// the PAC file.
		return http.StatusForbidden, &originError{problem: "it is not addressed by that name"}
	case r.URL.Path != pacPath || r.RequestURI == "*":
		return http.StatusForbidden, &originError{problem: "it serves " + pacPath + " and nothing else"}
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return http.StatusMethodNotAllowed, &originError{problem: pacPath + " is for GET"}
	case r.Header.Get("Origin") != "", site != "" && site != "none" && site != "same-origin":
		return http.StatusForbidden, &originError{problem: pacPath + " is for browsers, not for web pages"}
	}
	return 0, nil
}

// originError means that a request to the proxy itself was refused.
type originError struct{ problem string }

func (e *originError) Error() string { return errWebServer.Error() + ": " + e.problem }

// Remedy says how the proxy is used.
func (e *originError) Remedy() string {
	return "give its address to a program as its proxy: http_proxy and https_proxy with http://, curl -x or --socks5-hostname; a browser takes http://HOST:PORT" + pacPath
}
