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
	"slices"
	"strings"
	"time"

	"culvert/tunnel"
)

// Dial connects to a far end.
type Dial func(context.Context) (net.Conn, error)

// Answer is what a far end says of itself.
type Answer struct {
	Protocol Protocol
	Server   string // the name that it gives; empty when it gives none
	Status   int    // of an HTTP answer
	Proxy    bool   // it is an HTTP proxy
	Took     time.Duration
}

// String describes the answer in a clause.
func (a Answer) String() string {
	what := a.Protocol.String()
	if a.Proxy {
		what = "an HTTP proxy"
	}
	if a.Server != "" {
		what += fmt.Sprintf(" (%s)", quoted(a.Server))
	}
	if a.Protocol == HTTP && !a.Proxy {
		what += fmt.Sprintf(", status %d", a.Status)
	}
	return what
}

const (
	// greetingWithin is how long a server that speaks first may take.
	greetingWithin = 400 * time.Millisecond
	// bannerLimit bounds what is read of a greeting.
	bannerLimit = 512
	// nowhere is a name that no resolver has (RFC 6761).
	nowhere = "culvert.invalid:443"
)

// Ask finds out what answers at the far end, within patience: by its greeting, else by what it says to a request for "/"
// in the form of a web server's client. Squid answers that with 400 and its name, without going anywhere. The error is a
// *ShutError, a *SilentError or one of the connection.
func Ask(ctx context.Context, dial Dial, remote tunnel.Endpoint, patience time.Duration) (Answer, error) {
	started := time.Now()
	conn, stop, err := open(ctx, dial)
	if err != nil {
		return Answer{}, err
	}
	defer stop()
	r := bufio.NewReader(conn)
	if err := conn.SetReadDeadline(time.Now().Add(greetingWithin)); err != nil {
		return Answer{}, fmt.Errorf("set a deadline: %w", err)
	}
	_, err = r.Peek(1)
	switch {
	case err == nil:
		return Answer{Protocol: recognize(peeked(r), Unknown), Server: banner(peeked(r)), Took: time.Since(started)}, nil
	case ctx.Err() != nil:
		return Answer{}, context.Cause(ctx)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return Answer{}, &ShutError{Remote: remote, Err: err}
	}
	asked := time.Now()
	if err := conn.SetDeadline(asked.Add(patience)); err != nil {
		return Answer{}, fmt.Errorf("set a deadline: %w", err)
	}
	if _, err := io.WriteString(conn, opening(ByPort(remote.Port))); err != nil {
		return Answer{}, &ShutError{Remote: remote, Err: err}
	}
	_, err = r.Peek(1)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Answer{}, context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Answer{}, &SilentError{Remote: remote, After: patience}
	default:
		return Answer{}, &ShutError{Remote: remote, Asked: true, Err: err}
	}
	a := Answer{Took: time.Since(asked)}
	head := peeked(r)
	if !bytes.HasPrefix(head, []byte("HTTP/")) {
		a.Protocol, a.Server = recognize(head, ByPort(remote.Port)), banner(head)
		return a, nil
	}
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return a, nil // it is something that begins like HTTP
	}
	defer response.Body.Close() //nolint:errcheck // not read
	a.Protocol, a.Server, a.Status = HTTP, response.Header.Get("Server"), response.StatusCode
	a.Proxy = SaysProxy(response) || takesConnect(ctx, dial, patience)
	return a, nil
}

// open dials, and closes the connection when ctx ends or stop is called.
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

// banner is the first line of a greeting that is text.
func banner(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSpace(line)
	if len(line) > 80 || bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return string(line)
}

// SaysProxy knows the proxies that give their name when they are asked like a server.
func SaysProxy(answer *http.Response) bool {
	if answer.Header.Get("X-Squid-Error") != "" || answer.StatusCode == http.StatusProxyAuthRequired {
		return true
	}
	server := strings.ToLower(answer.Header.Get("Server"))
	return slices.ContainsFunc([]string{"squid", "tinyproxy", "mitmproxy"}, func(name string) bool { return strings.HasPrefix(server, name) })
}

// takesConnect reports whether a server that gives no proxy's name handles CONNECT like one: it tries, or refuses as a
// proxy does, where a web server calls the method or the request wrong.
func takesConnect(ctx context.Context, dial Dial, patience time.Duration) bool {
	conn, stop, err := open(ctx, dial)
	if err != nil {
		return false
	}
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return false
	}
	if _, err := io.WriteString(conn, "CONNECT "+nowhere+" HTTP/1.1\r\nHost: "+nowhere+"\r\n\r\n"); err != nil {
		return false
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return false
	}
	defer answer.Body.Close() //nolint:errcheck // not read
	switch answer.StatusCode {
	case http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
