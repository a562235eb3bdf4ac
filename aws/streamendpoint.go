package aws

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// streamVariable is AWS's own form of such a variable; its tools have none for the websockets of sessions, which go where
// SSM says (session-manager-plugin#122).
const streamVariable = "AWS_ENDPOINT_URL_SSMMESSAGES"

// CheckStreamEndpoint refuses what is no address for websockets. The error is an *EndpointError.
func CheckStreamEndpoint(endpoint string) error {
	_, err := parseStreamEndpoint("--stream-endpoint", endpoint)
	return err
}

// parseStreamEndpoint reads an address; nil for none. Web and websocket schemes mean the same.
func parseStreamEndpoint(setting, endpoint string) (*url.URL, error) {
	if endpoint == "" {
		return nil, nil //nolint:nilnil // as the comment says
	}
	u, err := url.Parse(endpoint)
	if err == nil {
		u = webURL(u)
	}
	switch {
	case strings.Contains(endpoint, "@"): // whether or not it parses: a password is not repeated
		return nil, &EndpointError{Setting: setting, Secret: true}
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "":
		return nil, &EndpointError{Setting: setting, URL: endpoint}
	}
	return u, nil
}

// findStreamEndpoint is where the websockets of sessions are dialled, if not where SSM says: such as a VPC endpoint without
// private DNS. What AWS_ENDPOINT_URL has for every service is not meant: who answers there names a stream himself.
func (c *Client) findStreamEndpoint(ctx context.Context, o Options) (err error) {
	setting := "--stream-endpoint"
	if o.StreamEndpoint == "" {
		setting = streamVariable
	}
	c.streamEndpoint, err = parseStreamEndpoint(setting, cmp.Or(o.StreamEndpoint, c.ownEndpoint(ctx, "ssmmessages")))
	return err
}

// StreamEndpoint is where websockets are dialled instead of where SSM says; "" where they are not.
func (c *Client) StreamEndpoint() string {
	if c.streamEndpoint == nil {
		return ""
	}
	return c.streamEndpoint.String()
}

// Upgrade is the request that opens a session's websocket, with the headers that sign it: dialled, with TLS, under the name
// that its URL has. It is not sent before CheckStreamURL, or the user, has found that good: the token follows it.
func (c *Client) Upgrade(ctx context.Context, s Session) (*http.Request, error) {
	at, err := c.streamURL(s.StreamURL) //nolint:contextcheck // it asks nobody
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("stream URL: %w", err)
	}
	if err := c.SignUpgrade(ctx, request); err != nil {
		return nil, err
	}
	request.Header.Del("Host") // whoever sends the request writes it
	if named, err := url.Parse(s.StreamURL); err == nil && isPresigned(at) && named.Host != at.Host {
		request.Header.Set("Host", named.Host) // it is signed
	}
	return request, nil
}

// streamURL is a session's stream URL as it is dialled: at the endpoint that the user named, with path and query as SSM said
// them, else as it is.
func (c *Client) streamURL(text string) (*url.URL, error) {
	if c.streamEndpoint == nil {
		if err := c.CheckStreamURL(text); err != nil {
			return nil, err
		}
		return url.Parse(text) //nolint:wrapcheck // it was parsed before
	}
	said, err := url.Parse(text)
	if err != nil || !isWord(text) || said.Opaque != "" || !strings.HasPrefix(said.Path, "/") {
		return nil, &StreamURLError{Problem: "it cannot be parsed", Region: c.region}
	}
	at := c.streamEndpoint.JoinPath(said.EscapedPath())
	at.Scheme = map[string]string{"http": "ws", "https": "wss"}[at.Scheme]
	at.RawQuery = said.RawQuery
	return at, nil
}
