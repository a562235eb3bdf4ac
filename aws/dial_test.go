package aws

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// What a proxy that wants a login offers decides what there is to do, for a websocket and for the API.
func TestLoginOfAProxyHasARemedyThatFits(t *testing.T) {
	for name, test := range map[string]struct {
		header      string // of the answer, lines
		user        string
		says, never []string
	}{
		"basic":                     {header: `Proxy-Authenticate: Basic realm="corp, NTLM"`, says: []string{"http://USER:PASSWORD@", "%40", "NO_PROXY"}, never: []string{"cntlm"}},
		"nothing":                   {says: []string{"http://USER:PASSWORD@"}, never: []string{"cntlm"}},
		"NTLM":                      {header: "Proxy-Authenticate: NTLM", says: []string{"takes only ntlm", "cntlm", "px", "HTTPS_PROXY"}, never: []string{"USER:PASSWORD"}},
		"NTLM, given a user":        {header: "Proxy-Authenticate: NTLM", user: "ines:secret@", says: []string{"takes only ntlm", "cntlm"}},
		"Negotiate and NTLM":        {header: "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM", says: []string{"negotiate, ntlm", "px"}},
		"Negotiate, NTLM, one line": {header: "Proxy-Authenticate: Negotiate, NTLM", says: []string{"negotiate, ntlm", "px"}},
		"Digest":                    {header: `Proxy-Authenticate: Digest realm="x", nonce="y"`, says: []string{"takes only digest"}},
		"NTLM and Basic":            {header: "Proxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic", says: []string{"http://USER:PASSWORD@"}, never: []string{"cntlm"}},
		"a user it does not take":   {header: "Proxy-Authenticate: Basic", user: "ines:secret@", says: []string{"correct the user and password", "percent-encoded"}},
		"words of its own":          {header: "Proxy-Authenticate: Corp-Ticket go=home", says: []string{"http://USER:PASSWORD@"}, never: []string{"Corp-Ticket", "home"}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := "HTTP/1.1 407 No\r\n" + strings.TrimSuffix(test.header+"\r\n", "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
			if test.header == "" {
				answer = "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
			}
			h := newHostile(t, answering(answer))
			for _, endpoint := range []string{"https://ecs.example.invalid", "http://ecs.example.invalid"} {
				c := attacked(t, endpoint, "http://"+test.user+h.address, 0)
				_, ofAPI := c.Identity(t.Context())
				at := must(url.Parse(strings.Replace(endpoint, "http", "ws", 1)))
				proxy := must(c.Proxy(&http.Request{URL: at}))
				_, err := c.Dial(t.Context(), proxy, hostPort(webURL(at)), func(ctx context.Context, network, address string) (net.Conn, error) {
					var d net.Dialer
					return d.DialContext(ctx, network, address)
				})
				for _, err := range []error{ofAPI, c.Unreachable(at, err)} {
					e := mustBe[*UnreachableError](t, err)
					if e.Temporary() || e.Refused != http.StatusProxyAuthRequired {
						t.Errorf("got temporary %v, status %d", e.Temporary(), e.Refused)
					}
					mustSay(t, err, append(test.says, "407")...)
					for _, never := range append(test.never, "secret") {
						if strings.Contains(text(err), never) {
							t.Errorf("%q in %s", never, text(err))
						}
					}
				}
			}
		})
	}
}

// Who dials can be called off whatever the proxy does, and what it says is bounded.
func TestDialThroughAProxyEnds(t *testing.T) {
	c := must(Connect(t.Context(), Options{Region: "eu-west-1", Keys: Keys{ID: "a", Secret: "b"}}))
	for name, test := range map[string]struct {
		attack func(net.Conn)
		scheme string
	}{
		"silence of http":       {func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, "http"},
		"silence of https":      {func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, "https"},
		"silence of SOCKS":      {func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, "socks5"},
		"an answer without end": {endless("HTTP/1.1 200 OK\r\nX: ", strings.Repeat("a", 8<<10), 0), "http"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t, test.attack)
			ctx, cancel := context.WithTimeout(t.Context(), moment)
			defer cancel()
			conn, err := c.Dial(ctx, &url.URL{Scheme: test.scheme, Host: h.address}, "aws.test:443", func(_ context.Context, network, address string) (net.Conn, error) {
				return net.Dial(network, address)
			})
			if err == nil || conn != nil {
				t.Fatalf("got %v, %v", conn, err)
			}
			if strings.Contains(name, "without end") && !strings.Contains(err.Error(), "has no end") {
				t.Errorf("got %v", err)
			}
		})
	}
}
