package aws

import (
	"context"
	"net/url"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

// Account is the account id. It is what credentials or earlier answers have told; only when they have not, STS is asked.
func (c *Client) Account(ctx context.Context) (string, error) {
	if id := c.accountID(); id != "" {
		return id, nil
	}
	id, err := c.Identity(ctx)
	return id.Account, err
}

// KnownAccount is the account id if it is known without asking anybody, else "".
func (c *Client) KnownAccount() string { return c.accountID() }

// ServedAt is the endpoint of SSM that a flag, the environment or the profile sets in place of AWS's own; "" when none is set.
// It is for comparing and showing, so it has no user information.
func (c *Client) ServedAt() string {
	u, err := url.Parse(sdk.ToString(c.ssm.Options().BaseEndpoint))
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}

// TerminateCommand is how a person ends a session of this account, region and endpoint with AWS's own client.
func (c *Client) TerminateCommand(id string) string {
	return c.Shell().AWS("ssm", "terminate-session", "--session-id", id)
}
