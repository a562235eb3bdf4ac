package doctor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"culvert/tunnel"
)

// Dial connects to a far end.
type Dial func(context.Context) (net.Conn, error)

// Answer is what was found out about a far end.
type Answer struct {
	Protocol Protocol
	Server   string        // the name that the server gives itself; empty when it gives none
	Status   int           // the status of an HTTP answer; else 0
	Proxy    bool          // the server is a proxy, of HTTP or of SOCKS as Protocol says
	Login    bool          // the proxy wants a user and password, or others than it was given
	Took     time.Duration // how long the answer took
}

// String describes the answer in a clause.
func (a Answer) String() string {
	what := a.Protocol.String()
	if a.Proxy {
		what = map[Protocol]string{HTTP: "an HTTP proxy", SOCKS: "a SOCKS5 proxy"}[a.Protocol]
	}
	if a.Server != "" {
		what += fmt.Sprintf(" (%s)", quoted(a.Server))
	}
	if a.Protocol == HTTP && !a.Proxy {
		what += fmt.Sprintf(", status %d", a.Status)
	}
	if a.Login {
		what += ", which wants a user and password"
	}
	return what
}

const (
	// greetingWithin is how long a server that speaks first may take to do so.
	greetingWithin = 400 * time.Millisecond
	// bannerLimit bounds what is read of a greeting, in bytes.
	bannerLimit = 512
)

// Question is how a far end is asked what it is.
type Question struct {
	Remote   tunnel.Endpoint
	Patience time.Duration // how long each answer may take
	// Greeting is how long a server that speaks first may take to do so. Only after that is anything sent, as a server that
	// speaks first must not get bytes of another protocol. 0 waits for no greeting, for servers that are known to speak HTTP.
	Greeting time.Duration
	Login    *Login // for a proxy that asks for a login
	// Opening is the protocol in which the far end is asked first; with Unknown it is the one for which the port is usual.
	Opening Protocol
	// Shallow asks only which protocol the far end speaks, and not whether it is a proxy.
	Shallow bool
}

// Ask finds out what answers at the far end, and whether that is a proxy. It goes by the server's greeting; without one by its
// answer to a request for "/" as web servers get it, which Squid answers with 400 and its name, without connecting anywhere. A
// server that hangs up on that request is asked as a SOCKS server. The error is a *ShutError, a *SilentError or one of the
// connection.
func (q Question) Ask(ctx context.Context, dial Dial) (Answer, error) {
	started := time.Now()
	conn, stop, err := open(ctx, dial)
	if err != nil {
		return Answer{}, err
	}
	defer stop()
	r := bufio.NewReader(io.LimitReader(conn, answerLimit))
	if q.Greeting > 0 {
		if err := conn.SetReadDeadline(time.Now().Add(q.Greeting)); err != nil {
			return Answer{}, fmt.Errorf("set a deadline: %w", err)
		}
		_, err = r.Peek(1)
		switch {
		case err == nil:
			return Answer{Protocol: recognize(peeked(r), Unknown), Server: banner(peeked(r)), Took: time.Since(started)}, nil
		case ctx.Err() != nil:
			return Answer{}, context.Cause(ctx)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return Answer{}, &ShutError{Remote: q.Remote, Err: err}
		}
	}
	if q.Opening == Unknown {
		q.Opening = ByPort(q.Remote.Port)
	}
	if q.Opening == SOCKS {
		if a, ok := q.socks(ctx, dial); ok {
			return a, nil
		}
		q.Opening = Unknown
	}
	return q.prompt(ctx, dial, conn, r)
}

// prompt asks a far end that has not spoken by itself, on the connection conn.
func (q Question) prompt(ctx context.Context, dial Dial, conn net.Conn, r *bufio.Reader) (Answer, error) {
	asked := time.Now()
	if err := conn.SetDeadline(asked.Add(q.Patience)); err != nil {
		return Answer{}, fmt.Errorf("set a deadline: %w", err)
	}
	_, err := io.WriteString(conn, opening(q.Opening))
	if err == nil {
		_, err = r.Peek(1)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Answer{}, context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Answer{}, &SilentError{Remote: q.Remote, After: q.Patience}
	default:
		if !q.Shallow && (q.Opening == Unknown || q.Opening == HTTP) {
			if a, ok := q.socks(ctx, dial); ok {
				return a, nil
			}
		}
		return Answer{}, &ShutError{Remote: q.Remote, Asked: true, Err: err}
	}
	a := Answer{Took: time.Since(asked)}
	head := peeked(r)
	if !bytes.HasPrefix(head, []byte("HTTP/")) {
		if !q.Shallow && head[0] == socksVersion { // some SOCKS servers refuse HTTP in their own protocol
			if socks, ok := q.socks(ctx, dial); ok {
				return socks, nil
			}
		}
		a.Protocol, a.Server = recognize(head, q.Opening), banner(head)
		return a, nil
	}
	page, err := read(r, http.MethodGet)
	switch {
	case err != nil:
		return a, nil //nolint:nilerr // the answer begins like HTTP, but is none: the protocol stays unknown
	case wantsTLS(page):
		a.Protocol = TLS
		return a, nil
	}
	a.Protocol, a.Server, a.Status = HTTP, page.Header.Get("Server"), page.StatusCode
	if !q.Shallow {
		a.Proxy, a.Login = q.whether(ctx, dial, page)
	}
	return a, nil
}

// socks asks the far end as a SOCKS5 server.
func (q Question) socks(ctx context.Context, dial Dial) (Answer, bool) {
	asked := time.Now()
	is, wantsLogin := askSOCKS(ctx, dial, q.Login, q.Patience)
	return Answer{Protocol: SOCKS, Proxy: true, Login: wantsLogin, Took: time.Since(asked)}, is
}

// open dials. The connection is closed when ctx ends or stop is called.
func open(ctx context.Context, dial Dial) (conn net.Conn, stop func(), err error) {
	if conn, err = dial(ctx); err != nil {
		return nil, nil, err
	}
	off := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, func() {
		off()
		_ = conn.Close()
	}, nil
}

func peeked(r *bufio.Reader) []byte {
	b, _ := r.Peek(min(r.Buffered(), bannerLimit))
	return b
}

// banner is the first line of a greeting, if that is printable text; else empty.
func banner(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSpace(line)
	if len(line) > 80 || bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return string(line)
}
