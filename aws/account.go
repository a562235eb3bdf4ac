package aws

import (
	"context"
	"net/url"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

// Account is the account id: as credentials or answers have told it, else STS is asked.
func (c *Client) Account(ctx context.Context) (string, error) {
	if id := c.accountID(); id != "" {
		return id, nil
	}
	id, err := c.Identity(ctx)
	return id.Account, err
}

// KnownAccount is the account id as far as it is known without asking, else "".
func (c *Client) KnownAccount() string { return c.accountID() }

// ServedAt is where SSM is served instead of AWS's own place, from flag, environment or profile; "" when it is not. It is
// to compare and to show: without user information.
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
