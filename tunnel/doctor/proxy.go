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

// A proxy is recognized by what it does, not by its port or name. Asked to connect to a host that does not exist, a proxy tries,
// says that it may not, or wants a login; a web server says that the method, the request or the host is wrong. Where a web server
// might give the same answer as a proxy, its answer to a request for its own page decides.

const (
	// nowhere is a host name that never resolves (RFC 6761).
	nowhere = "culvert.invalid"
	// loginWithin is how long a proxy that has told its name may take to say that it wants a login: a proxy says so before it
	// looks the host up, which may take long.
	loginWithin = time.Second
	// squidPort is Squid's port, on which nothing but a proxy is expected.
	squidPort = 3128
	// answerLimit bounds how many bytes are read of an answer, and pageLimit how many of its page.
	answerLimit, pageLimit = 64 << 10, 2 << 10
)

// reply is an HTTP answer, with the beginning of its page if the status is an error.
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

// read reads an HTTP answer.
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

// whether finds out whether an HTTP server that has answered a request for its page is a proxy; and if so, whether it wants
// another login than it was given. The login is only sent to a server that has asked for one.
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
		// tinyproxy answers a wrong login with 401.
		return true, err == nil && (again.StatusCode == http.StatusProxyAuthRequired || again.StatusCode == http.StatusUnauthorized)
	}
	return named || q.acts(ctx, dial, page, answer), false
}

// acts reports whether a server that has not told a proxy's name acts like a proxy.
func (q Question) acts(ctx context.Context, dial Dial, page, connect reply) bool {
	switch status := connect.StatusCode; {
	case saysProxy(connect):
		return true
	case status/100 == 2: // a web server that accepts every request has a page as its answer
		return connect.Header.Get("Content-Length") == "" && len(connect.TransferEncoding) == 0
	case !refuses(status):
		return false
	case page.StatusCode >= http.StatusBadRequest:
		// A web server whose backend is down, or that lets nobody in, gives this answer to every request: then only the port can
		// tell.
		return status != page.StatusCode || status >= http.StatusInternalServerError && !bytes.Equal(connect.page, page.page) || q.Remote.Port == squidPort
	}
	// The server has a page. A web server's answer to a method that it does not know may look like a proxy's refusal. But asked
	// for a page of another host a web server shows its own, which a proxy cannot.
	other, err := ask(ctx, dial, q.Patience, http.MethodGet, "GET http://"+nowhere+"/ HTTP/1.1\r\nHost: "+nowhere+"\r\nUser-Agent: culvert\r\nConnection: close\r\n\r\n")
	return err == nil && refuses(other.StatusCode)
}

// refuses reports whether a status may be the answer of a proxy that cannot, or may not, reach a host.
func refuses(status int) bool {
	switch status {
	case http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// saysProxy reports whether an answer tells that it comes from a proxy.
func saysProxy(answer reply) bool {
	if answer.Header.Get("X-Squid-Error") != "" || answer.StatusCode == http.StatusProxyAuthRequired {
		return true
	}
	server := strings.ToLower(answer.Header.Get("Server"))
	return slices.ContainsFunc([]string{"squid", "tinyproxy", "mitmproxy"}, func(name string) bool { return strings.HasPrefix(server, name) })
}

// wantsTLS reports whether an answer says that plain HTTP was sent to a TLS port, as nginx, Apache and Go's server word it.
func wantsTLS(answer reply) bool {
	return answer.StatusCode == http.StatusBadRequest && bytes.Contains(bytes.ToUpper(answer.page), []byte("HTTPS"))
}
