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

// Protocol is what a far end speaks.
type Protocol int

// The protocols that are told apart.
const (
	Unknown Protocol = iota
	HTTP
	TLS
	SSH
	Mail // SMTP or FTP, which greet alike
	MySQL
	Postgres
	Redis
)

// String names the protocol in a sentence.
func (p Protocol) String() string {
	switch p {
	case HTTP:
		return "HTTP"
	case TLS:
		return "TLS"
	case SSH:
		return "SSH"
	case Mail:
		return "SMTP or FTP"
	case MySQL:
		return "MySQL"
	case Postgres:
		return "PostgreSQL"
	case Redis:
		return "Redis"
	case Unknown:
	}
	return "an unknown protocol"
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
		return Answer{Protocol: greeting(peeked(r)), Server: banner(peeked(r)), Took: time.Since(started)}, nil
	case ctx.Err() != nil:
		return Answer{}, context.Cause(ctx)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return Answer{}, &ShutError{Remote: remote, Err: err}
	}
	asked := time.Now()
	if err := conn.SetDeadline(asked.Add(patience)); err != nil {
		return Answer{}, fmt.Errorf("set a deadline: %w", err)
	}
	if _, err := io.WriteString(conn, question(remote.Port)); err != nil {
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
		a.Protocol, a.Server = greeting(head), banner(head)
		if remote.Port == 5432 || remote.Port == 6432 {
			a.Protocol, a.Server = Postgres, ""
		}
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

// question is what makes a server on a port speak.
func question(port uint16) string {
	switch port {
	case 5432, 6432:
		return "\x00\x00\x00\x08\x04\xd2\x16\x2f" // SSLRequest (PostgreSQL, "Message Formats")
	case 6379:
		return "PING\r\n"
	}
	return "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: culvert\r\nConnection: close\r\n\r\n"
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

// greeting knows the protocols whose servers speak first, and those that complain of HTTP.
func greeting(b []byte) Protocol {
	switch {
	case bytes.HasPrefix(b, []byte("SSH-")):
		return SSH
	case bytes.HasPrefix(b, []byte("220")):
		return Mail
	case len(b) > 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3: // a TLS record: alert or handshake
		return TLS
	case len(b) > 5 && b[3] == 0 && (b[4] == 10 || b[4] == 0xff): // handshake v10, or an error, with sequence 0
		return MySQL
	case bytes.HasPrefix(b, []byte("-ERR")), bytes.HasPrefix(b, []byte("-NOAUTH")), bytes.HasPrefix(b, []byte("-DENIED")), bytes.HasPrefix(b, []byte("+PONG")):
		return Redis
	case bytes.HasPrefix(b, []byte("HTTP/")):
		return HTTP
	}
	return Unknown
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
