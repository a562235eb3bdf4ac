package aws

import (
	"errors"
	"net/url"
)

// Unreachable explains a websocket to Session Manager that could not be opened.
func (c *Client) Unreachable(u *url.URL, err error) error {
	explained := c.explainConnection(&url.Error{Op: "dial", URL: (&url.URL{Scheme: webURL(u).Scheme, Host: u.Host}).String(), Err: err}, "dial")
	if e, ok := errors.AsType[*UnreachableError](explained); ok {
		e.Stream = true
	}
	return explained
}
