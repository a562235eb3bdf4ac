package doctor

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A proxy is known by what it does, not by its port or name: asked to connect to a host that cannot be, it tries, says that
// it may not, or wants to know who asks. A web server calls the method, the request or the host wrong. Where a web server
// might say the same, its answer to a request for its own page decides.

const (
	// nowhere is a host that no resolver has (RFC 6761).
	nowhere = "culvert.invalid"
	// loginWithin is how long a proxy that is known by its name may take to say that it wants a login: it says so before it
	// looks the host up, which may take long.
	loginWithin = time.Second
	// squidPort is nobody else's.
	squidPort = 3128
	// answerLimit bounds what is read of an answer, and pageLimit of its page.
	answerLimit, pageLimit = 64 << 10, 2 << 10
)

// reply is an answer in HTTP and the beginning of its page.
type reply struct {
	*http.Response

	page []byte
}

// ask sends a request on a connection of its own.
func ask(ctx context.Context, dial Dial, patience time.Duration, method, text string) (reply, error) {
	conn, stop, err := open(ctx, dial)
	if err != nil {
		return reply{}, err
	}
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return reply{}, err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return reply{}, err
	}
	return read(bufio.NewReader(io.LimitReader(conn, answerLimit)), method)
}

// read reads an answer, and of an error the page.
func read(r *bufio.Reader, method string) (reply, error) {
	response, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close() //nolint:errcheck // only its beginning is read
	a := reply{Response: response}
	if response.StatusCode >= http.StatusBadRequest {
		a.page, _ = io.ReadAll(io.LimitReader(response.Body, pageLimit)) // what there is of it is enough
	}
	return a, nil
}

// whether asks an HTTP server whether it is a proxy, when it has answered a request for its page; and, where it is one,
// whether it wants another login. The login is sent to nobody who has not asked for one.
func (q Question) whether(ctx context.Context, dial Dial, page reply) (proxy, wantsLogin bool) {
	patience := q.Patience
	named := saysProxy(page)
	if named {
		patience = min(patience, loginWithin+q.Greeting)
	}
	connect := func(login *Login) (reply, error) {
		return ask(ctx, dial, patience, http.MethodConnect, "CONNECT "+nowhere+":443 HTTP/1.1\r\nHost: "+nowhere+":443\r\n"+login.header()+"\r\n")
	}
	answer, err := connect(nil)
	if err != nil {
		return named, page.StatusCode == http.StatusProxyAuthRequired
	}
	if answer.StatusCode == http.StatusProxyAuthRequired {
		if q.Login == nil {
			return true, true
		}
		again, err := connect(q.Login)
		// tinyproxy says 401 of a wrong one.
		return true, err == nil && (again.StatusCode == http.StatusProxyAuthRequired || again.StatusCode == http.StatusUnauthorized)
	}
	return named || q.acts(ctx, dial, page, answer), false
}

// acts reports whether a server that gives no proxy's name acts like one.
func (q Question) acts(ctx context.Context, dial Dial, page, connect reply) bool {
	switch status := connect.StatusCode; {
	case saysProxy(connect):
		return true
	case status/100 == 2: // a server that says yes to everything has a page for it
		return connect.Header.Get("Content-Length") == "" && len(connect.TransferEncoding) == 0
	case !refuses(status):
		return false
	case page.StatusCode >= http.StatusBadRequest:
		// A server without its backend, or one that lets nobody in, says the same to everybody: Squid's port is left then.
		return status != page.StatusCode || status >= http.StatusInternalServerError && !bytes.Equal(connect.page, page.page) || q.Remote.Port == squidPort
	}
	// It has a page: what a web server says of a method that it does not know may look like a proxy's refusal. Asked for
	// another's page it shows its own, and a proxy cannot.
	other, err := ask(ctx, dial, q.Patience, http.MethodGet, "GET http://"+nowhere+"/ HTTP/1.1\r\nHost: "+nowhere+"\r\nUser-Agent: culvert\r\nConnection: close\r\n\r\n")
	return err == nil && refuses(other.StatusCode)
}

// refuses knows the answers of a proxy that does not, or may not, reach a host.
func refuses(status int) bool {
	switch status {
	case http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// saysProxy knows the proxies that give their name when they are asked like a server.
func saysProxy(answer reply) bool {
	if answer.Header.Get("X-Squid-Error") != "" || answer.StatusCode == http.StatusProxyAuthRequired {
		return true
	}
	server := strings.ToLower(answer.Header.Get("Server"))
	return slices.ContainsFunc([]string{"squid", "tinyproxy", "mitmproxy"}, func(name string) bool { return strings.HasPrefix(server, name) })
}

// wantsTLS knows a server's page, in nginx's, Apache's and Go's own words, for a request in plain HTTP to its TLS port.
func wantsTLS(answer reply) bool {
	return answer.StatusCode == http.StatusBadRequest && bytes.Contains(bytes.ToUpper(answer.page), []byte("HTTPS"))
}
