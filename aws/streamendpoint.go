package aws

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// streamVariable has the form of AWS's own variables for endpoints. AWS's tools have no such variable for the websockets of
// sessions, which they dial where SSM says (session-manager-plugin#122).
const streamVariable = "AWS_ENDPOINT_URL_SSMMESSAGES"

// CheckStreamEndpoint refuses what is no address for websockets, with an *EndpointError.
func CheckStreamEndpoint(endpoint string) error {
	_, err := parseStreamEndpoint("--stream-endpoint", endpoint)
	return err
}

// parseStreamEndpoint reads an address; nil for an empty one. The schemes http and ws mean the same, as do https and wss.
func parseStreamEndpoint(setting, endpoint string) (*url.URL, error) {
	if endpoint == "" {
		return nil, nil //nolint:nilnil // as the comment says
	}
	u, err := url.Parse(endpoint)
	if err == nil {
		u = webURL(u)
	}
	switch {
	case strings.Contains(endpoint, "@"): // even if it cannot be parsed: an error must not repeat a password
		return nil, &EndpointError{Setting: setting, Secret: true}
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "":
		return nil, &EndpointError{Setting: setting, URL: endpoint}
	}
	return u, nil
}

// findStreamEndpoint finds where the websockets of sessions are dialled, if not where SSM says: for instance at a VPC endpoint
// without private DNS. AWS_ENDPOINT_URL, which is for every service, does not count: what answers there as SSM names a stream
// URL of its own.
func (c *Client) findStreamEndpoint(ctx context.Context, o Options) (err error) {
	setting := "--stream-endpoint"
	if o.StreamEndpoint == "" {
		setting = streamVariable
	}
	c.streamEndpoint, err = parseStreamEndpoint(setting, cmp.Or(o.StreamEndpoint, c.ownEndpoint(ctx, "ssmmessages")))
	return err
}

// StreamEndpoint is where websockets are dialled in place of the host that SSM names; "" when it is that host.
func (c *Client) StreamEndpoint() string {
	if c.streamEndpoint == nil {
		return ""
	}
	return c.streamEndpoint.String()
}

// Upgrade is the signed request that opens a session's websocket. The caller dials, with TLS, the host of the request's URL.
// The request is only made for a stream URL that CheckStreamURL has accepted, or for an endpoint that the user has named, as
// the session's token is sent there.
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
	request.Header.Del("Host") // whoever sends the request adds it
	if named, err := url.Parse(s.StreamURL); err == nil && isPresigned(at) && named.Host != at.Host {
		request.Header.Set("Host", named.Host) // this host is the one that was signed
	}
	return request, nil
}

// streamURL is a session's stream URL as it is dialled: at the endpoint that the user named, with the path and query that SSM
// said, else unchanged.
func (c *Client) streamURL(text string) (*url.URL, error) {
	if c.streamEndpoint == nil {
		if err := c.CheckStreamURL(text); err != nil {
			return nil, err
		}
		return url.Parse(text) //nolint:wrapcheck // it has been parsed before
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
