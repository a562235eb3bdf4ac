package aws

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"

	socks "golang.org/x/net/proxy"
)

// dialFunc connects as net.Dialer.DialContext does.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// proxySchemes are the schemes of proxies that net/http's transport takes, with their default ports.
func proxySchemes() map[string]string {
	return map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}
}

// DialContext connects to an address directly, as the client's calls do: for connections that are not the SDK's.
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if c.dial != nil {
		return c.dial(ctx, network, address)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address) //nolint:wrapcheck // explainConnection looks into it
}

// Dial connects to address, HOST:PORT, through a proxy in the same way as net/http's transport, which dials for the API: so a
// websocket goes wherever the API goes. connect makes the connection to the proxy, or to address where proxy is nil. The errors
// of a proxy are like those of net/http.
func (c *Client) Dial(ctx context.Context, proxy *url.URL, address string, connect func(ctx context.Context, network, address string) (net.Conn, error)) (net.Conn, error) {
	if proxy == nil {
		return connect(ctx, "tcp", address)
	}
	toProxy := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := connect(ctx, network, address)
		if err != nil {
			return nil, &net.OpError{Op: proxyConnect, Net: network, Err: err}
		}
		return conn, nil
	}
	at := proxyAddress(proxy)
	if strings.HasPrefix(proxy.Scheme, "socks") {
		return dialSOCKS(ctx, proxy, at, address, toProxy)
	}
	conn, err := toProxy(ctx, "tcp", at)
	if err != nil {
		return nil, err
	}
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer release()
	through := conn
	if proxy.Scheme == "https" {
		if through, err = secureProxy(ctx, conn, c.TLS(), proxy.Hostname()); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	if err := askProxy(through, proxy.User, address); err != nil {
		_ = conn.Close()
		return nil, err
	}
	phasesOf(ctx).tunnelled()
	return through, nil
}

// proxyConnect is the Op of net/http's errors about the connection to a proxy, see atProxy.
const proxyConnect = "proxyconnect"

func proxyAddress(proxy *url.URL) string {
	port := proxy.Port()
	if port == "" {
		port = proxySchemes()[proxy.Scheme]
	}
	return net.JoinHostPort(proxy.Hostname(), port)
}

// dialSOCKS connects through a SOCKS proxy, which resolves the name. net/http leaves it to the proxy for socks5 as well as for
// socks5h.
func dialSOCKS(ctx context.Context, proxy *url.URL, at, address string, connect dialFunc) (net.Conn, error) {
	var auth *socks.Auth
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		auth = &socks.Auth{User: u.Username(), Password: password}
	}
	dialer, err := socks.SOCKS5("tcp", at, auth, nil)
	if err != nil {
		return nil, fmt.Errorf("use the proxy: %w", err)
	}
	over, ok := dialer.(interface {
		DialWithConn(ctx context.Context, conn net.Conn, network, address string) (net.Addr, error)
	})
	if !ok {
		return nil, errors.ErrUnsupported
	}
	conn, err := connect(ctx, "tcp", at)
	if err != nil {
		return nil, err
	}
	if _, err := over.DialWithConn(ctx, conn, "tcp", address); err != nil {
		_ = conn.Close()
		return nil, err //nolint:wrapcheck // explainConnection looks into it
	}
	phasesOf(ctx).tunnelled()
	return conn, nil
}

// secureProxy shakes hands with a proxy that is served over TLS, trusting the same authorities as for AWS.
func secureProxy(ctx context.Context, conn net.Conn, settings *tls.Config, name string) (net.Conn, error) {
	settings.ServerName, settings.NextProtos = name, nil
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	secure := tls.Client(conn, settings)
	err := secure.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(secure.ConnectionState(), err)
	}
	if err != nil {
		return nil, &net.OpError{Op: proxyConnect, Net: "tcp", Err: err}
	}
	return secure, nil
}

// askProxy has an HTTP proxy connect to address. A refusal is a *proxyRefusalError.
func askProxy(conn net.Conn, user *url.Userinfo, address string) error {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return fmt.Errorf("ask the proxy: %w", err)
	}
	// The buffered reader can be dropped: nothing arrives before we have sent something to what is behind the proxy.
	header := &io.LimitedReader{R: conn, N: maxHeader}
	answer, err := http.ReadResponse(bufio.NewReader(header), request)
	switch {
	case err != nil && header.N <= 0:
		return errors.New("the proxy's answer to CONNECT has no end")
	case err != nil:
		return fmt.Errorf("the proxy's answer to CONNECT: %w", err)
	}
	_ = answer.Body.Close()
	return refusalOf(answer)
}

// refusalOf is the error of a proxy's answer to CONNECT; nil when the proxy has connected.
func refusalOf(answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyRefusalError{Status: answer.StatusCode, Logins: loginsOf(answer.Header)}
}

// proxyRefusalError means that a proxy does not let a request through.
type proxyRefusalError struct {
	Status int
	Logins []string // of a 407: the ways to log in that the proxy takes, in lower case
}

func (e *proxyRefusalError) Error() string {
	text := fmt.Sprintf("the proxy answers %d %s", e.Status, http.StatusText(e.Status))
	if len(e.Logins) > 0 {
		text += " (it takes " + strings.Join(e.Logins, ", ") + ")"
	}
	return text
}

// knownLogins are the schemes of IANA's registry that proxies are known to ask for. Other words of a proxy are not repeated.
func knownLogins() []string {
	return []string{"basic", "bearer", "digest", "kerberos", "negotiate", "ntlm"}
}

// loginsOf are the ways to log in that a proxy offers, each once. One header may list several, with parameters between them
// (RFC 9110, 11.6.1), so each word is compared.
func loginsOf(h http.Header) []string {
	var found []string
	for _, line := range h.Values("Proxy-Authenticate") {
		for word := range strings.FieldsFuncSeq(strings.ToLower(line), func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
			if slices.Contains(knownLogins(), word) && !slices.Contains(found, word) {
				found = append(found, word)
			}
		}
	}
	return found
}

// socksLogin reports whether a SOCKS proxy has refused our login, or that we have none; net/http and x/net have no type for it.
func socksLogin(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || !strings.HasPrefix(op.Op, "socks") || op.Err == nil {
		return false
	}
	text := op.Err.Error()
	return strings.Contains(text, "no acceptable authentication methods") || strings.Contains(text, "authentication failed")
}
